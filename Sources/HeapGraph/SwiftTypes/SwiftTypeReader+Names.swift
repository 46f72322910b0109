// SwiftTypeReader+Names.swift: types as Swift prints them, built from descriptors.

extension SwiftTypeReader {
    /// Contexts from the outermost to the type itself; extensions are replaced by what they extend, private scopes are left out.
    func path(of descriptor: UInt64) -> [ContextDescriptor] {
        var path: [ContextDescriptor] = []
        var at: UInt64? = descriptor
        for _ in 0..<Self.deepest {
            guard let address = at, let context = context(at: address) else { break }
            at = context.parent
            switch context.kind {
            case .extension:
                guard let extended = memory.relative(at: address &+ 8) else { break }
                switch type(mangledAt: extended) {
                case .nominal(let type, _): at = type
                case .standard(let type, _):
                    // The extension itself stands for the type, whose descriptor is not known: it has its parameters.
                    var named = context
                    named.name = type.rawValue
                    path.append(named)
                    return path.reversed()
                default: break
                }
            case .anonymous, .opaque: break
            default: path.append(context)
            }
        }
        return path.reversed()
    }

    /// Generic parameters of a context and of all around it.
    func parameterCount(of context: ContextDescriptor) -> Int {
        if context.kind == .extension {
            return context.isGeneric ? NominalDescriptor.parameters(at: context.address &+ 12, in: memory).count : 0
        }
        return context.isType ? nominal(at: context.address)?.parameters.count ?? 0 : 0
    }

    /// `Module.Outer<Argument>.Inner`
    func name(ofDescriptor descriptor: UInt64, arguments: [TypeExpression], depth: Int = 0) -> String {
        var name = ""
        var used = 0
        for context in path(of: descriptor) {
            if !name.isEmpty { name += "." }
            name += context.name
            let count = min(parameterCount(of: context), arguments.count)
            guard count > used else { continue }
            name += list(arguments[used..<count], depth: depth)
            used = count
        }
        if used < arguments.count, used == 0 || depth == 0 { name += list(arguments[used...], depth: depth) }
        return name
    }

    private func list(_ arguments: ArraySlice<TypeExpression>, depth: Int) -> String {
        "<" + arguments.map { name(of: $0, depth: depth + 1) }.joined(separator: ", ") + ">"
    }

    func name(of type: TypeExpression, depth: Int = 0) -> String {
        guard depth < 12 else { return "…" }
        func inside(_ type: TypeExpression) -> String { name(of: type, depth: depth + 1) }
        switch type {
        case .metadata(let metadata): return expression(ofMetadata: metadata).map(inside) ?? "_"
        case .nominal(let descriptor, let arguments): return name(ofDescriptor: descriptor, arguments: arguments, depth: depth)
        case .standard(let type, let arguments):
            return type.rawValue + (arguments.isEmpty ? "" : list(arguments[...], depth: depth))
        case .named(let name): return name
        case .builtin(.nativeObject), .builtin(.bridgeObject): return "Builtin.NativeObject"
        case .builtin(.rawPointer): return "Builtin.RawPointer"
        case .builtin(.bits(let bits)): return "Builtin.Int\(bits)"
        case .builtin: return "Builtin"
        case .tuple(let elements):
            return "(" + elements.map { ($0.label.map { $0 + ": " } ?? "") + inside($0.type) }.joined(separator: ", ") + ")"
        case .function(let function):
            let prefix = (function.convention == .c ? "@convention(c) " : "") + (function.isSendable ? "@Sendable " : "")
            let effects = (function.isAsync ? "async " : "") + (function.canThrow ? "throws " : "")
            return prefix + "(" + function.parameters.map(inside).joined(separator: ", ") + ") \(effects)-> " + inside(function.result)
        case .existential(let existential):
            var parts = existential.superclass.map { [inside($0)] } ?? []
            parts += existential.protocols.map(name(of:))
            if !parts.isEmpty { return parts.joined(separator: " & ") }
            return existential.isClassBound ? "Swift.AnyObject" : "Any"
        case .metatype(let type): return inside(type) + ".Type"
        case .existentialMetatype(let type): return inside(type) + ".Type"
        case .parameter, .unknown: return "_"
        case .owned(_, let type): return inside(type)
        }
    }

    private func name(of reference: TypeExpression.ProtocolReference) -> String {
        switch reference {
        case .named(let name): return name
        case .descriptor(let address): return name(ofDescriptor: address & ~1, arguments: [])
        }
    }
}
