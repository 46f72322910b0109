// SwiftTypeReader.swift: descriptors, metadata and mangled names of one program, each read once.

/// What is known about a program's types. Everything comes from its memory, so nothing is believed that is not checked.
final class SwiftTypeReader {
    let memory: SwiftMemory
    private let contexts = Memo<ContextDescriptor>()
    private let nominals = Memo<NominalDescriptor>()
    private let standards = Memo<StandardType>()
    private let expanded = Memo<TypeExpression>()
    private let statics = Memo<UInt64>()
    private let recordLists = Memo<[FieldRecord]>()
    /// Forms of types, filled by `TypeShape`'s builder.
    var shapes: [TypeExpression: TypeShape?] = [:]
    /// Work left for the type that is being read: hostile metadata could describe types that are exponentially large.
    var budget = 0

    static let deepest = 32
    init(memory: SwiftMemory) { self.memory = memory }

    func context(at address: UInt64) -> ContextDescriptor? {
        contexts.value(of: address) { ContextDescriptor(at: address, in: memory) }
    }

    func nominal(at address: UInt64) -> NominalDescriptor? {
        nominals.value(of: address) { context(at: address).flatMap { NominalDescriptor($0, in: memory) } }
    }

    /// The standard library's type that a descriptor describes, if its form is known.
    func standard(at address: UInt64) -> StandardType? {
        standards.value(of: address) {
            guard let type = context(at: address), type.isType, let parent = type.parent.flatMap({ context(at: $0) }),
                parent.kind == .module, parent.name == "Swift" || parent.name == "_Concurrency"
            else { return nil }
            return StandardType(rawValue: "Swift." + type.name)
        }
    }

    /// Stored properties or cases; nil without reflection metadata.
    func records(of nominal: NominalDescriptor) -> [FieldRecord]? {
        guard let fields = nominal.fields else { return nil }
        return recordLists.value(of: fields) { FieldRecord.records(at: fields, in: memory) }
    }

    // MARK: Mangled names

    /// The type that a mangled name says, its parameters still unbound.
    func type(mangledAt address: UInt64) -> TypeExpression {
        guard memory.isStatic(address), let bytes = MangledType.bytes(at: address, in: memory) else { return .unknown }
        var mangled = MangledType(at: address, bytes: bytes, in: memory) { [unowned self] in item(at: $0) }
        return completed(mangled.parse())
    }

    private func item(at descriptor: UInt64) -> MangledType.Item? {
        guard let context = context(at: descriptor) else { return nil }
        switch context.kind {
        case .class, .struct, .enum:
            return .type(standard(at: descriptor).map { .standard($0, []) } ?? .nominal(descriptor, []))
        case .protocol: return .protocolType(.descriptor(descriptor))
        case .module: return .context([context.name])
        default: return nil
        }
    }

    /// Fills in what existentials' protocols say about their form.
    private func completed(_ type: TypeExpression, depth: Int = 0) -> TypeExpression {
        if depth > Self.deepest { return .unknown }
        func inside(_ type: TypeExpression) -> TypeExpression { completed(type, depth: depth + 1) }
        switch type {
        case .existential(var existential):
            existential.superclass = existential.superclass.map(inside)
            existential.witnessTables = 0
            for reference in existential.protocols {
                guard case .descriptor(let address) = reference, let context = context(at: address) else {
                    guard case .named(let name) = reference else { return .unknown }
                    // Marker protocols have no witness tables.
                    if !["Swift.Sendable", "Swift.Copyable", "Swift.Escapable", "Swift.BitwiseCopyable"].contains(name) {
                        existential.witnessTables += 1
                    }
                    if name == "Swift.Error" { existential.isError = true }
                    continue
                }
                existential.witnessTables += 1
                if context.kindFlags & 1 == 0 { existential.isClassBound = true }
                if context.kindFlags >> 2 & 0x3F == 1 { existential.isError = true }
            }
            if existential.protocols.count > 1 { existential.isError = false }
            return .existential(existential)
        case .nominal(let descriptor, let arguments): return .nominal(descriptor, arguments.map(inside))
        case .standard(let type, let arguments): return .standard(type, arguments.map(inside))
        case .tuple(let elements): return .tuple(elements.map { .init(label: $0.label, type: inside($0.type)) })
        case .owned(let ownership, let type): return .owned(ownership, inside(type))
        case .metatype(let type): return .metatype(inside(type))
        case .existentialMetatype(let type): return .existentialMetatype(inside(type))
        case .function(var function):
            function.parameters = function.parameters.map(inside)
            function.result = inside(function.result)
            return .function(function)
        default: return type
        }
    }

    // MARK: Metadata

    /// The type that metadata stands for, one level deep; nil for what is no metadata of a type.
    func expression(ofMetadata metadata: UInt64) -> TypeExpression? {
        expanded.value(of: metadata) { readExpression(ofMetadata: metadata) }
    }

    private func readExpression(ofMetadata metadata: UInt64) -> TypeExpression? {
        guard metadata & 7 == 0, let kind = memory.word(at: metadata) else { return nil }
        switch kind {
        case 0:
            guard let descriptor = memory.word(at: metadata &+ 40), context(at: descriptor)?.kind == .class else { return nil }
            return nominalType(descriptor, metadata)
        case 0x200, 0x201, 0x202, 0x203:
            let expected: ContextDescriptor.Kind = kind == 0x200 ? .struct : kind == 0x203 ? .class : .enum
            guard let descriptor = memory.word(at: metadata &+ 8), context(at: descriptor)?.kind == expected else { return nil }
            return nominalType(descriptor, metadata)
        case 0x300:
            return memory.witnessedLayout(ofMetadata: metadata).map { .builtin(.bits($0.size * 8)) }
        case 0x301:
            guard let count = memory.word(at: metadata &+ 8), count <= 256, let labelText = memory.word(at: metadata &+ 16) else {
                return nil
            }
            let labels = labelText == 0 ? [] : (memory.text(at: labelText) ?? "").split(separator: " ", omittingEmptySubsequences: false)
            var elements: [TypeExpression.Element] = []
            for index in 0..<Int(count) {
                guard let type = memory.word(at: metadata &+ 24 &+ UInt64(index) * 16) else { return nil }
                let label = index < labels.count && !labels[index].isEmpty ? String(labels[index]) : nil
                elements.append(.init(label: label, type: .metadata(type)))
            }
            return .tuple(elements)
        case 0x302:
            guard let flags = memory.word(at: metadata &+ 8), let result = memory.word(at: metadata &+ 16), flags & 0xFFFF <= 256 else {
                return nil
            }
            let parameters = (0..<(flags & 0xFFFF)).map {
                memory.word(at: metadata &+ 24 &+ $0 * 8).map(TypeExpression.metadata) ?? .unknown
            }
            let convention: TypeExpression.Function.Convention = [.thick, .thin, .thin, .c][Int(flags >> 16 & 3)]
            return .function(
                .init(
                    parameters: parameters, result: .metadata(result), convention: convention, isAsync: flags & 0x2000_0000 != 0,
                    canThrow: flags & 0x0100_0000 != 0, isSendable: flags & 0x4000_0000 != 0))
        case 0x303: return existential(metadata)
        case 0x304: return memory.word(at: metadata &+ 8).map { .metatype(.metadata($0)) }
        case 0x306: return memory.word(at: metadata &+ 8).map { .existentialMetatype(.metadata($0)) }
        default: return nil
        }
    }

    private func existential(_ metadata: UInt64) -> TypeExpression? {
        guard let flags = memory.half(at: metadata &+ 8), let count = memory.half(at: metadata &+ 12), count <= 64 else { return nil }
        var at = metadata &+ 16
        var superclass: TypeExpression?
        if flags & 0x4000_0000 != 0 {
            superclass = memory.word(at: at).map(TypeExpression.metadata)
            at &+= 8
        }
        let protocols = (0..<UInt64(count)).map { TypeExpression.ProtocolReference.descriptor(memory.word(at: at &+ $0 * 8) ?? 0) }
        return .existential(
            .init(
                protocols: protocols, superclass: superclass, isClassBound: flags & 0x8000_0000 == 0,
                isError: flags >> 24 & 0x3F == 1, witnessTables: Int(min(flags & 0xFF_FFFF, 64))))
    }

    /// The type with the arguments that its metadata carries; parameters that a constraint fixes have none there.
    private func nominalType(_ descriptor: UInt64, _ metadata: UInt64) -> TypeExpression {
        guard let nominal = nominal(at: descriptor), !nominal.parameters.isEmpty else { return .nominal(descriptor, []) }
        var index = nominal.argumentsStart ?? 0
        var arguments: [TypeExpression] = []
        for hasArgument in nominal.parameters {
            guard hasArgument, nominal.argumentsStart != nil else {
                arguments.append(.unknown)
                continue
            }
            let address = metadata &+ UInt64(bitPattern: Int64(index * 8))
            arguments.append(memory.word(at: address).map(TypeExpression.metadata) ?? .unknown)
            index += 1
        }
        return .nominal(descriptor, arguments)
    }

    /// Which parameters the mangled names inside a type mean.
    func environment(of descriptor: UInt64, arguments: [TypeExpression]) -> GenericEnvironment {
        var levels: [Int] = []
        for context in path(of: descriptor) {
            let count = parameterCount(of: context)
            if count > levels.last ?? 0 { levels.append(count) }
        }
        return GenericEnvironment(levels: levels, arguments: arguments)
    }

    /// Metadata of a type without parameters, where its access function only returns a constant or what it remembers.
    func staticMetadata(of descriptor: UInt64) -> UInt64? {
        statics.value(of: descriptor) {
            guard let nominal = nominal(at: descriptor), nominal.parameters.isEmpty, let function = nominal.accessFunction else {
                return nil
            }
            return MetadataAccessor.candidates(at: function, in: memory).first { candidate in
                guard candidate & 7 == 0, let kind = memory.word(at: candidate) else { return false }
                switch kind {
                case 0: return nominal.context.kind == .class && memory.word(at: candidate &+ 40) == descriptor
                case 0x200...0x203: return memory.word(at: candidate &+ 8) == descriptor
                default: return false
                }
            }
        }
    }
}

/// What was found out about addresses, also that there is nothing to find.
private final class Memo<Value> {
    private var known: [UInt64: Value?] = [:]
    /// More than any program has; keeps hostile memory from filling ours.
    private static var most: Int { 200_000 }

    func value(of address: UInt64, _ read: () -> Value?) -> Value? {
        if let value = known[address] { return value }
        let value = read()
        if known.count >= Self.most { known.removeAll() }
        known[address] = .some(value)
        return value
    }
}
