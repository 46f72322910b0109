// HostileMemoryTests.swift: whatever memory says, the reader answers, and soon.
import Glibc
import Testing

@testable import HeapGraph

/// The process's memory with some of its bytes changed.
final class CorruptedMemory: MemoryReader, @unchecked Sendable {
    private let own = OwnMemory()
    private var generator: SeededGenerator
    /// One read in so many is changed.
    private let rarity: UInt64
    /// Nothing is changed while types are learned, if they are to be right.
    var isActive = true

    init(seed: UInt64, rarity: UInt64) {
        generator = SeededGenerator(state: seed)
        self.rarity = rarity
    }

    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = own.read(at: address, into: buffer)
        guard isActive, count > 0, generator.next() % rarity == 0 else { return count }
        for _ in 0...(generator.next() % 8) {
            let index = Int(generator.next() % UInt64(count))
            buffer[index] = [0, 0xFF, 0x7F, UInt8(truncatingIfNeeded: generator.next()), buffer[index] ^ 1][Int(generator.next() % 5)]
        }
        // Memory may also end early.
        return generator.next() % 4 == 0 ? Int(generator.next() % UInt64(count + 1)) : count
    }
}

struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct HostileMemoryTests {
    @Test func corruptMemoryNeverStopsTheReader() {
        let seed = UInt64.random(in: 1...UInt64.max)
        print("seed \(seed)")
        let plain = Plain()
        let everything = Everything(plain)
        let keep: [AnyObject] = [
            plain, everything, Derived(owner: plain), Counter(plain), Outer<[Plain]>.Inner<State>(([plain], .idle)),
            Box([1: plain, 2: plain]), Box(["a": State.loading(plain)]), Box<any Shape>(Large(plain: plain)),
        ]
        var roots = keep.map { OwnMemory.address($0) }
        var look = Looker()
        for root in roots { roots += look.references(root).map(\.target) }
        let modules = OwnMemory.modules
        var answers = 0
        for round in 0..<120 {
            let memory = CorruptedMemory(seed: seed &+ UInt64(round), rarity: [3, 20, 200][round % 3])
            var objects = SwiftObjects(memory: memory, modules: round % 2 == 0 ? modules : [])
            for root in roots {
                let size = OwnMemory.size(root)
                guard let object = objects.object(at: root, size: max(size, 64)) else { continue }
                answers += 1
                let references = objects.references(of: object, size: size)
                #expect(references.allSatisfy { $0.offset < max(size, 64) }, "seed \(seed), round \(round)")
            }
        }
        #expect(answers > 500, "seed \(seed)")
        withExtendedLifetime(keep) {}
    }

    @Test func randomBytesAreNoMangledType() {
        let seed = UInt64.random(in: 1...UInt64.max)
        print("seed \(seed)")
        var generator = SeededGenerator(state: seed)
        let alphabet = Array("SsiSgyGtx_qAaB0123CVOPpXwlcKz\u{1}\u{2}mIYd".utf8)
        let memory = SwiftMemory(reader: OwnMemory(), modules: [])
        for _ in 0..<20_000 {
            let bytes = (0..<Int(generator.next() % 60)).map { _ in alphabet[Int(generator.next() % UInt64(alphabet.count))] }
            var mangled = MangledType(at: 0x1000, bytes: bytes, in: memory) { _ in .type(.nominal(8, [])) }
            _ = mangled.parse()
        }
    }

    @Test func aTypeThatRepeatsItselfEndsAsUnknown() {
        let memory = SwiftMemory(reader: OwnMemory(), modules: [])
        var mangled = MangledType(at: 0x1000, bytes: Array(repeating: UInt8(ascii: "m"), count: 4000), in: memory) { _ in nil }
        #expect(mangled.parse() == .unknown)
        let text = "Si" + String(repeating: "Sg", count: 1500)
        mangled = MangledType(at: 0x1000, bytes: Array(text.utf8), in: memory) { _ in nil }
        #expect(mangled.parse() == .unknown)
    }
}

@Suite(.serialized) struct ReadingSpeedTests {
    @Test func objectsOfKnownTypesAreReadInAboutAMicrosecond() {
        let plain = Plain()
        let objects = (0..<100_000).map { _ in Derived(owner: plain) }
        for object in objects { object.next = plain }
        var reader = SwiftObjects(memory: LocalMemory(), modules: OwnMemory.modules)
        let addresses = objects.map { OwnMemory.address($0) }
        var found = 0
        // Time of the processor: other tests run meanwhile.
        let start = processorTime()
        for address in addresses {
            guard let object = reader.object(at: address, size: 112) else { continue }
            found += reader.references(of: object, size: 112).count
        }
        let time = processorTime() - start
        print("\(time / Double(addresses.count)) ns an object, \(found) references")
        #expect(found >= 300_000)
        withExtendedLifetime(objects) {}
    }
}

/// Nanoseconds of the processor that this thread had.
private func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}

/// Plain memory, for what is certain to be there.
struct LocalMemory: MemoryReader {
    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard let start = UnsafeRawPointer(bitPattern: UInt(address)), address > 1 << 16, address < 1 << 47 else { return 0 }
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: start, count: buffer.count))
        return buffer.count
    }
}
