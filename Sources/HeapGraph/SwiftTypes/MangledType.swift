// MangledType.swift: reads the mangled type names of reflection metadata, with their references to descriptors.

/// A stack machine over one mangled type. What it does not know ends in `.unknown`, never in a wrong type.
struct MangledType {
    /// What stands on the stack.
    enum Item {
        case type(TypeExpression)
        case protocolType(TypeExpression.ProtocolReference)
        case context([String])
        case identifier(String)
        case emptyList, firstElement, async, sendable, throwing
    }

    /// Finds what a reference in a name points to.
    let resolve: (_ descriptor: UInt64) -> Item?
    let memory: SwiftMemory
    /// Where the first byte of `bytes` lies: references are relative to themselves.
    let address: UInt64
    let bytes: [UInt8]
    var position = 0
    var stack: [Item] = []
    var substitutions: [Item] = []
    var words: [String] = []

    static let longest = 4096

    /// The bytes of a mangled name: up to a NUL that is not part of a reference.
    static func bytes(at address: UInt64, in memory: SwiftMemory) -> [UInt8]? {
        var bytes: [UInt8] = []
        var skip = 0
        while bytes.count < longest {
            let piece = memory.reader.bytes(at: address &+ UInt64(bytes.count), count: 64)
            if piece.isEmpty { return nil }
            for byte in piece {
                if skip > 0 {
                    skip -= 1
                } else if byte == 0 {
                    return bytes
                } else if byte <= 0x17 {
                    skip = 4
                } else if byte <= 0x1F {
                    skip = 8
                }
                bytes.append(byte)
            }
        }
        return nil
    }

    init(at address: UInt64, bytes: [UInt8], in memory: SwiftMemory, resolve: @escaping (UInt64) -> Item?) {
        self.address = address
        self.bytes = bytes
        self.memory = memory
        self.resolve = resolve
    }

    mutating func parse() -> TypeExpression {
        while position < bytes.count {
            guard stack.count < 512, substitutions.count < 512, step() else { return .unknown }
        }
        guard stack.count == 1, let type = popType() else { return .unknown }
        return type
    }

    // MARK: The stack

    mutating func next() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func nextIf(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func natural() -> Int? {
        var value: Int?
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 {
            value = (value ?? 0) * 10 + Int(bytes[position] - 0x30)
            if value ?? 0 > 1 << 20 { return nil }
            position += 1
        }
        return value
    }

    /// `_` is 0, `0_` is 1 …
    mutating func index() -> Int? {
        if nextIf("_") { return 0 }
        guard let value = natural(), nextIf("_") else { return nil }
        return value + 1
    }

    mutating func popType() -> TypeExpression? {
        switch stack.last {
        case .type(let type):
            stack.removeLast()
            return type
        case .protocolType(let reference):
            stack.removeLast()
            return .existential(
                .init(protocols: [reference], superclass: nil, isClassBound: false, isError: false, witnessTables: 1))
        default: return nil
        }
    }

    mutating func pop(_ matches: (Item) -> Bool) -> Bool {
        guard let last = stack.last, matches(last) else { return false }
        stack.removeLast()
        return true
    }

    mutating func popEmptyList() -> Bool { pop { if case .emptyList = $0 { true } else { false } } }
    mutating func popFirstElement() -> Bool { pop { if case .firstElement = $0 { true } else { false } } }

    mutating func popIdentifier() -> String? {
        guard case .identifier(let text)? = stack.last else { return nil }
        stack.removeLast()
        return text
    }

    /// Pushes, and remembers for later substitution.
    mutating func remember(_ item: Item) -> Bool {
        stack.append(item)
        substitutions.append(item)
        return true
    }

    mutating func push(_ type: TypeExpression) -> Bool {
        stack.append(.type(type))
        return true
    }
}
