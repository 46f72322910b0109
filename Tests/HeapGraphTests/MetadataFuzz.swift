// MetadataFuzz.swift: real Swift objects, read through memory that lies now and then.
@testable import HeapGraph

enum MetadataFuzz {
    /// This process's memory. The input says what is wrong with which reading: a byte for each, and the words that are put in.
    private final class LyingMemory: MemoryReader, @unchecked Sendable {
        private let own = OwnMemory()
        private var lies: UnsafeRawBufferPointer.SubSequence

        init(_ lies: UnsafeRawBufferPointer) { self.lies = lies[...] }

        func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
            let got = own.read(at: address, into: buffer)
            guard got > 0, let lie = lies.popFirst() else { return got }
            switch lie {
            case 0..<64:
                // Another word, at an offset that the lie says.
                let start = min(Int(lie) * 8, max(got - 8, 0) & ~7)
                for offset in start..<min(start + 8, got) { buffer[offset] = lies.popFirst() ?? 0 }
                return got
            case 64..<72: return min(got, Int(lie) - 64)
            default: return got
            }
        }
    }

    private protocol Host: AnyObject {}
    private enum Link {
        case none
        case one(Part)
        case two(Part, Part)
    }
    private class Part {
        var name = "a name that does not fit into a small string"
        weak var owner: Whole?
    }
    private final class Box<Value>: Part {
        var value: Value
        init(_ value: Value) { self.value = value }
    }
    private final class Whole: Host {
        var parts: [Part] = [Part(), Box(7), Box(["of": Part()])]
        var table: [String: Part] = ["a key that does not fit into a small string": Part()]
        var members: Set<Int> = [1, 2, 3]
        var link = Link.none
        var host: (any Host)?
        var action: (() -> Void)?
        var value: Any = Box(Part())
        unowned var first: Part
        init() {
            first = parts[0]
            link = .two(parts[0], parts[1])
            parts[0].owner = self
            host = self
            let counter = Box(0)
            action = { [self] in counter.value += parts.count }
        }
    }
    private nonisolated(unsafe) static let whole = Whole()

    private static let mostObjects = 48
    private static let size: UInt64 = 256

    /// Reads the objects, and what they seem to lead to. How many were taken for objects.
    @discardableResult
    static func run(_ bytes: UnsafeRawBufferPointer) -> Int {
        var reader = SwiftObjects(memory: LyingMemory(bytes), modules: [])
        var queue = [OwnMemory.address(whole)]
        var next = 0
        var objects = 0
        while next < min(queue.count, mostObjects) {
            let address = queue[next]
            next += 1
            guard let object = reader.object(at: address, size: size) else { continue }
            objects += 1
            queue += reader.references(of: object, size: size).map(\.target).prefix(mostObjects)
        }
        return objects
    }
}
