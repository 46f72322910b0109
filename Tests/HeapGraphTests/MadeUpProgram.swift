// MadeUpProgram.swift: a frozen program that a test writes word by word.
import AllocationProfile

@testable import HeapGraph

/// Blocks, one stack, one module's data, all in made-up memory.
struct MadeUpProgram {
    private static let heap: UInt64 = 0x5555_0000_0000
    private static let data: UInt64 = 0x4000_0000
    private static let stack: UInt64 = 0x7ffd_0000_0000
    private static let size: UInt64 = 1 << 12

    private var words: [UInt64: UInt64] = [:]
    private var blocks: [FrozenProcess.Block] = []
    private var next = MadeUpProgram.heap + 16
    private var globals: UInt64 = 0
    private var locals: UInt64 = 0
    var registers: [UInt64] = []
    var threadPointer: UInt64 = 0
    var exit: (thread: Int32, stack: UInt64)?
    var knowsAllBlocks = true

    /// A block of some words.
    mutating func block(words count: Int, stack: Int32 = 1) -> UInt64 {
        let address = next
        next += UInt64(max(count, 2) * 8 + 16) & ~15
        blocks.append(FrozenProcess.Block(address: address, size: UInt64(count * 8), stack: stack))
        return address
    }

    mutating func set(_ address: UInt64, _ word: UInt64) { words[address] = word }

    /// A global variable.
    mutating func global(_ word: UInt64) {
        words[Self.data + globals] = word
        globals += 8
    }

    /// A word of the stack, `above` the stack pointer or below it.
    mutating func local(_ word: UInt64, above: Int) { words[stackPointer &+ UInt64(bitPattern: Int64(above))] = word }

    var stackPointer: UInt64 { Self.stack + 2048 }

    func freeze() -> FrozenProgram {
        var process = FrozenProcess(pid: 1)
        let heapEnd = (next + 4095) & ~4095
        let ranges = [Self.data..<Self.data + Self.size, Self.heap..<heapEnd, Self.stack..<Self.stack + Self.size]
        process.mappings = zip(ranges, ["/bin/made-up", "[heap]", "[stack]"]).map { FrozenProcess.Mapping(addresses: $0, name: $1) }
        process.threads = [FrozenProcess.Thread(id: 1, stackPointer: stackPointer, threadPointer: threadPointer, registers: registers)]
        process.blocks = blocks
        process.exit = exit
        process.knowsAllBlocks = knowsAllBlocks
        var contents: [UInt64] = []
        for range in ranges {
            process.pieces.append(FrozenProcess.Piece(address: range.lowerBound, size: UInt64(range.count), offset: contents.count * 8))
            for address in stride(from: range.lowerBound, to: range.upperBound, by: 8) { contents.append(words[address] ?? 0) }
        }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: contents.count * 8, alignment: 8)
        contents.withUnsafeBytes { bytes.copyMemory(from: $0) }
        let memory = FrozenMemory(bytes: UnsafeRawBufferPointer(bytes), owner: Owner(bytes), pieces: process.pieces)
        return FrozenProgram(process, memory: memory)
    }

    private final class Owner {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }
        deinit { bytes.deallocate() }
    }
}

extension FrozenProgram {
    func leaks(_ change: (inout LeakAnalysis) -> Void = { _ in }, reader: some ObjectReader = NoObjects()) -> LeakReport {
        var analysis = LeakAnalysis()
        change(&analysis)
        return analysis.report(on: self, processID: 1, reader: reader) { stacks in
            Dictionary(uniqueKeysWithValues: stacks.map { ($0, CallStack([Frame(function: "function\($0)", file: "file.c", line: 1)])) })
        }
    }
}

/// Knows the objects that a test tells it about.
struct ToldObjects: ObjectReader {
    var types: [UInt64: String] = [:]
    var fields: [UInt64: [HeapReference]] = [:]

    mutating func field(_ object: UInt64, _ type: String, at offset: UInt64, _ label: String, _ target: UInt64, weak: Bool = false) {
        types[object] = type
        fields[object, default: []].append(
            HeapReference(offset: offset, target: target, label: label, strength: weak ? .unowned : .strong, isOptional: true))
    }

    mutating func object(at address: UInt64, size: UInt64) -> HeapObject? {
        types[address].map {
            HeapObject(
                address: address, typeName: $0, kind: .class, instanceSize: size, strong: 1, unowned: 0, weak: 0, fieldsAreKnown: true)
        }
    }

    mutating func references(of object: HeapObject, size: UInt64) -> [HeapReference] { fields[object.address] ?? [] }
}
