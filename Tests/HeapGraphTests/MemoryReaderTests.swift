// MemoryReaderTests.swift: reading memory that may end anywhere.
import Testing

@testable import HeapGraph

/// Memory made of pieces; everything between them is not mapped.
struct PatchedMemory: MemoryReader {
    var pieces: [UInt64: [UInt8]] = [:]

    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        for (start, bytes) in pieces where address >= start && address - start < UInt64(bytes.count) {
            let rest = bytes[Int(address - start)...].prefix(buffer.count)
            buffer.copyBytes(from: rest)
            return rest.count
        }
        return 0
    }
}

@Suite struct MemoryReaderTests {
    let memory = PatchedMemory(pieces: [0x1000: [1, 0, 0, 0, 65, 66, 0, 67]])

    @Test func aValueThatIsNotReadableAsAWholeIsNil() {
        #expect(memory.load(UInt32.self, at: 0x1000) == 1)
        #expect(memory.load(UInt64.self, at: 0x1004) == nil)
        #expect(memory.load(UInt8.self, at: 0x2000) == nil)
    }

    @Test func bytesEndWhereTheMemoryEnds() {
        #expect(memory.bytes(at: 0x1006, count: 100) == [0, 67])
        #expect(memory.bytes(at: 0x9000, count: 4) == [])
    }

    @Test func textEndsAtItsNulAndIsNilWithoutOne() {
        #expect(memory.text(at: 0x1004) == "AB")
        #expect(memory.text(at: 0x1007) == nil)
        #expect(memory.text(at: 0x9000) == nil)
    }
}
