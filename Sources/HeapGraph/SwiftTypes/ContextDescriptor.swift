// ContextDescriptor.swift: modules, types, extensions and protocols as the compiler describes them in constant data.

/// A declaration that can contain others.
struct ContextDescriptor: Sendable {
    enum Kind: UInt32, Sendable {
        case module = 0
        case `extension` = 1
        case anonymous = 2
        case `protocol` = 3
        case opaque = 4
        case `class` = 16
        case `struct` = 17
        case `enum` = 18
    }

    var address: UInt64
    var kind: Kind
    /// The upper half of the flags, whose meaning depends on the kind.
    var kindFlags: UInt32
    var isGeneric: Bool
    var parent: UInt64?
    /// Empty where the context has none.
    var name: String

    var isType: Bool { kind == .class || kind == .struct || kind == .enum }

    init?(at address: UInt64, in memory: SwiftMemory) {
        guard address & 3 == 0, memory.isStatic(address), let flags = memory.half(at: address), let kind = Kind(rawValue: flags & 0x1F)
        else { return nil }
        self.address = address
        self.kind = kind
        kindFlags = flags >> 16
        isGeneric = flags & 0x80 != 0
        parent = memory.relativeIndirectable(at: address &+ 4)
        name = ""
        switch kind {
        case .module, .protocol, .class, .struct, .enum:
            guard let start = memory.relative(at: address &+ 8), memory.isStatic(start), let text = memory.text(at: start),
                Self.isName(text)
            else { return nil }
            name = text
        case .extension, .anonymous, .opaque: break
        }
    }

    /// Names have no control characters; imported ones are followed by further strings that do not matter here.
    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    }
}

/// What the descriptor of a class, structure or enumeration says beyond its name.
struct NominalDescriptor: Sendable {
    var context: ContextDescriptor
    /// The field descriptor; nil without reflection metadata.
    var fields: UInt64?
    var accessFunction: UInt64?
    /// Index of the word (classes) or of the word at which 32-bit offsets begin (structures); 0 when there are none.
    var fieldOffsetVector: Int
    var payloadCases: Int
    var emptyCases: Int
    /// For each parameter of all levels whether metadata has a word for it.
    var parameters: [Bool]
    /// Index of the first argument's word in metadata; nil where the class decides at run time and cannot be asked.
    var argumentsStart: Int?

    init?(_ context: ContextDescriptor, in memory: SwiftMemory) {
        let address = context.address
        guard context.isType else { return nil }
        self.context = context
        accessFunction = memory.relative(at: address &+ 12)
        fields = memory.relative(at: address &+ 16).flatMap { memory.isStatic($0) ? $0 : nil }
        fieldOffsetVector = 0
        payloadCases = 0
        emptyCases = 0
        parameters = []
        var genericHeader = address &+ 28
        switch context.kind {
        case .class:
            guard let negative = memory.half(at: address &+ 24), let positive = memory.half(at: address &+ 28),
                let immediate = memory.half(at: address &+ 32), let vector = memory.half(at: address &+ 40)
            else { return nil }
            genericHeader = address &+ 44
            fieldOffsetVector = Int(vector & 0xFFFF)
            if context.kindFlags & 0x2000 != 0 {
                // A superclass from a library that may change: the bounds are filled in at run time.
                guard let bounds = memory.relative(at: address &+ 24), let immediateBytes = memory.word(at: bounds),
                    immediateBytes < 1 << 20, immediateBytes > 0
                else { break }
                argumentsStart = Int(immediateBytes / 8)
                fieldOffsetVector = fieldOffsetVector == 0 ? 0 : fieldOffsetVector + Int(immediateBytes / 8)
            } else if context.kindFlags & 0x1000 != 0 {
                argumentsStart = -Int(negative & 0xFFFF)
            } else {
                argumentsStart = max(0, Int(positive & 0xFFFFF) - Int(immediate & 0xFFFFF))
            }
        case .struct:
            guard let vector = memory.half(at: address &+ 24) else { return nil }
            fieldOffsetVector = Int(vector & 0xFFFF)
            argumentsStart = 2
        default:
            guard let payload = memory.half(at: address &+ 20), let empty = memory.half(at: address &+ 24) else { return nil }
            payloadCases = Int(payload & 0xFF_FFFF)
            emptyCases = Int(empty & 0xFF_FFFF)
            argumentsStart = 2
        }
        if context.isGeneric { parameters = Self.parameters(at: genericHeader &+ 8, in: memory) }
    }

    /// The list behind a generic context's four 16-bit counts.
    static func parameters(at header: UInt64, in memory: SwiftMemory) -> [Bool] {
        guard let count: UInt16 = memory.reader.load(at: header), count > 0, count <= 256 else { return [] }
        let bytes = memory.reader.bytes(at: header &+ 8, count: Int(count))
        return bytes.map { $0 & 0x80 != 0 }
    }
}

/// A stored property, an enumeration's case, or what stands for one.
struct FieldRecord: Sendable {
    var name: String
    /// Address of the mangled type; nil for a case without payload.
    var type: UInt64?
    /// The payload is in a box.
    var isIndirect: Bool

    static let most = 4096

    /// The records of a field descriptor; nil where there are none or they are damaged.
    static func records(at descriptor: UInt64, in memory: SwiftMemory) -> [FieldRecord]? {
        guard let form = memory.half(at: descriptor &+ 8), let count = memory.half(at: descriptor &+ 12),
            form >> 16 == 12, count <= Self.most
        else { return nil }
        var records: [FieldRecord] = []
        for index in 0..<UInt64(count) {
            let at = descriptor &+ 16 &+ index * 12
            guard let flags = memory.half(at: at) else { return nil }
            let name = memory.relative(at: at &+ 8).flatMap { memory.isStatic($0) ? memory.text(at: $0) : nil }
            let type = memory.relative(at: at &+ 4)
            records.append(FieldRecord(name: name ?? "field \(index)", type: type, isIndirect: flags & 1 != 0))
        }
        return records
    }
}
