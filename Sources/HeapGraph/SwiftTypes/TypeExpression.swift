// TypeExpression.swift: a Swift type as metadata or a mangled name says it.

/// A type. Nominal types are named by the address of their descriptor, and types whose metadata is known by its address.
indirect enum TypeExpression: Hashable, Sendable {
    case metadata(UInt64)
    /// Arguments of all levels, the outermost type's first.
    case nominal(UInt64, [TypeExpression])
    /// One that mangled names abbreviate: `Si` for `Swift.Int`.
    case standard(StandardType, [TypeExpression])
    /// A nominal type of which only the name is known.
    case named(String)
    case builtin(Builtin)
    case tuple([Element])
    case function(Function)
    case existential(Existential)
    case metatype(TypeExpression)
    case existentialMetatype(TypeExpression)
    case parameter(depth: Int, index: Int)
    case owned(Ownership, TypeExpression)
    case unknown

    struct Element: Hashable, Sendable {
        var label: String?
        var type: TypeExpression
    }

    struct Function: Hashable, Sendable {
        enum Convention: Hashable, Sendable { case thick, thin, c }
        var parameters: [TypeExpression]
        var result: TypeExpression
        var convention = Convention.thick
        var isAsync = false
        var canThrow = false
        var isSendable = false
    }

    struct Existential: Hashable, Sendable {
        var protocols: [ProtocolReference]
        var superclass: TypeExpression?
        /// Values are references to objects.
        var isClassBound: Bool
        var isError: Bool
        var witnessTables: Int
    }

    enum ProtocolReference: Hashable, Sendable {
        case descriptor(UInt64)
        case named(String)
    }

    enum Ownership: Hashable, Sendable { case weak, unowned, unmanaged }

    enum Builtin: Hashable, Sendable {
        case nativeObject, bridgeObject, rawPointer, defaultActor
        case bits(Int)
        case words(Int)
    }

    /// The type with the arguments of its context put in for its parameters.
    func substituted(_ environment: GenericEnvironment, depth: Int = 0) -> TypeExpression {
        if depth > 32 { return .unknown }
        func inside(_ type: TypeExpression) -> TypeExpression { type.substituted(environment, depth: depth + 1) }
        switch self {
        case .metadata, .named, .builtin, .unknown: return self
        case .existential(var existential):
            existential.superclass = existential.superclass.map(inside)
            return .existential(existential)
        case .nominal(let descriptor, let arguments): return .nominal(descriptor, arguments.map(inside))
        case .standard(let type, let arguments): return .standard(type, arguments.map(inside))
        case .tuple(let elements): return .tuple(elements.map { Element(label: $0.label, type: inside($0.type)) })
        case .function(var function):
            function.parameters = function.parameters.map(inside)
            function.result = inside(function.result)
            return .function(function)
        case .metatype(let type): return .metatype(inside(type))
        case .existentialMetatype(let type): return .existentialMetatype(inside(type))
        case .owned(let ownership, let type): return .owned(ownership, inside(type))
        case .parameter(let depth, let index): return environment[depth, index]
        }
    }

    /// Mentions a generic parameter: its layout differs between instances.
    var isDependent: Bool { dependent(depth: 0) }

    private func dependent(depth: Int) -> Bool {
        if depth > 32 { return true }
        switch self {
        case .metadata, .named, .builtin, .existential: return false
        case .unknown, .parameter: return true
        case .nominal(_, let arguments), .standard(_, let arguments): return arguments.contains { $0.dependent(depth: depth + 1) }
        case .tuple(let elements): return elements.contains { $0.type.dependent(depth: depth + 1) }
        case .function, .metatype, .existentialMetatype: return false
        case .owned(_, let type): return type.dependent(depth: depth + 1)
        }
    }
}

/// The arguments of a generic context, by the depth and index that parameters have in mangled names.
struct GenericEnvironment: Hashable, Sendable {
    /// Number of parameters up to each level, the outermost level first.
    var levels: [Int] = []
    var arguments: [TypeExpression] = []

    subscript(depth: Int, index: Int) -> TypeExpression {
        guard depth >= 0, index >= 0, depth < max(1, levels.count), index < 1 << 16 else { return .unknown }
        let flat = (depth == 0 ? 0 : levels[depth - 1]) + index
        return flat < arguments.count ? arguments[flat] : .unknown
    }
}
