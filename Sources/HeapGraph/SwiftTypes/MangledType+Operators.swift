// MangledType+Operators.swift: the operators of mangled types, one after another.

extension MangledType {
    mutating func step() -> Bool {
        guard let character = next() else { return false }
        switch character {
        case 0x01, 0x02: return reference(isIndirect: character == 0x02)
        case 0x30...0x39:
            position -= 1
            return identifier()
        default: break
        }
        switch Unicode.Scalar(character) {
        case "S": return standard()
        case "s":
            stack.append(.context(["Swift"]))
            return true
        case "A": return substitution()
        case "B": return builtin()
        case "C", "V", "O": return nominal(isProtocol: false)
        case "P": return nominal(isProtocol: true)
        case "G": return boundGeneric()
        case "c": return function(.thick)
        case "m": return popType().map { push(.metatype($0)) } ?? false
        case "p": return protocolList(isClassBound: false, superclass: nil)
        case "q": return parameter()
        case "t": return tuple()
        case "x": return push(.parameter(depth: 0, index: 0))
        case "y":
            stack.append(.emptyList)
            return true
        case "_":
            stack.append(.firstElement)
            return true
        case "z": return true
        case "K":
            stack.append(.throwing)
            return true
        case "I": return loweredFunction()
        case "X": return extended()
        case "Y": return annotation()
        default: return false
        }
    }

    private mutating func reference(isIndirect: Bool) -> Bool {
        guard position + 4 <= bytes.count else { return false }
        let distance = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[position + $1]) << (8 * UInt32($1)) }
        var target = address &+ UInt64(position) &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance)))
        position += 4
        if isIndirect {
            guard let pointer = memory.word(at: target) else { return false }
            target = pointer
        }
        guard let item = resolve(target) else { return false }
        return remember(item)
    }

    private mutating func standard() -> Bool {
        if nextIf("o") || nextIf("C") {
            stack.append(.context(["__C"]))
            return true
        }
        if nextIf("g") {
            guard let type = popType() else { return false }
            return remember(.type(.standard(.optional, [type])))
        }
        let repeats = natural() ?? 1
        guard repeats <= 64 else { return false }
        let isConcurrency = nextIf("c")
        guard let letter = next() else { return false }
        let item: Item
        if let type = isConcurrency ? StandardType.byConcurrencyLetter[letter] : StandardType.byLetter[letter] {
            item = .type(.standard(type, []))
        } else if isConcurrency {
            item = .type(.named("Swift.concurrency type \(Unicode.Scalar(letter))"))
        } else if let name = StandardType.protocols[letter] {
            item = .protocolType(.named(name))
        } else {
            return false
        }
        for _ in 0..<max(1, repeats) { stack.append(item) }
        return true
    }

    private mutating func substitution() -> Bool {
        var repeats = 1
        while let character = next() {
            let index: Int
            var isLast = true
            switch character {
            case UInt8(ascii: "a")...UInt8(ascii: "z"):
                index = Int(character - UInt8(ascii: "a"))
                isLast = false
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): index = Int(character - UInt8(ascii: "A"))
            case UInt8(ascii: "_"):
                index = repeats + 27
                repeats = 1
            default:
                position -= 1
                guard let count = natural() else { return false }
                repeats = count
                continue
            }
            guard index < substitutions.count, repeats <= 64 else { return false }
            for _ in 0..<max(1, repeats) { stack.append(substitutions[index]) }
            if isLast { return true }
            repeats = 1
        }
        return false
    }

    private mutating func builtin() -> Bool {
        guard let letter = next() else { return false }
        switch Unicode.Scalar(letter) {
        case "o": return push(.builtin(.nativeObject))
        case "b": return push(.builtin(.bridgeObject))
        case "p", "c", "j": return push(.builtin(.rawPointer))
        case "e": return push(.builtin(.words(2)))
        case "D": return push(.builtin(.defaultActor))
        case "w": return push(.builtin(.bits(64)))
        case "B": return push(.builtin(.words(3)))
        case "i", "f": return index().map { push(.builtin(.bits($0 - 1))) } ?? false
        default: return false
        }
    }

    private mutating func nominal(isProtocol: Bool) -> Bool {
        guard let name = popIdentifier() else { return false }
        var path = [name]
        switch stack.popLast() {
        case .context(let context)?: path = context + path
        case .identifier(let module)?: path.insert(module, at: 0)
        default: return false
        }
        let text = path.joined(separator: ".")
        if isProtocol { return remember(.protocolType(.named(text))) }
        return remember(.type(StandardType(rawValue: text).map { .standard($0, []) } ?? .named(text)))
    }

    private mutating func boundGeneric() -> Bool {
        var lists: [[TypeExpression]] = []
        while true {
            var list: [TypeExpression] = []
            while let type = popType() { list.append(type) }
            lists.append(list.reversed())
            if popEmptyList() { break }
            guard popFirstElement() else { return false }
        }
        let arguments = Array(lists.reversed().joined())
        switch popType() {
        case .nominal(let descriptor, let known)?: return remember(.type(.nominal(descriptor, known + arguments)))
        case .standard(let type, _)?: return remember(.type(.standard(type, arguments)))
        case .named(let name)?: return remember(.type(.named(name)))
        default: return false
        }
    }

    private mutating func parameter() -> Bool {
        if nextIf("z") { return push(.parameter(depth: 0, index: 0)) }
        if nextIf("d") {
            guard let depth = index(), let position = index() else { return false }
            return push(.parameter(depth: depth + 1, index: position))
        }
        return index().map { push(.parameter(depth: 0, index: $0 + 1)) } ?? false
    }

    private mutating func tuple() -> Bool {
        if popEmptyList() { return push(.tuple([])) }
        var elements: [TypeExpression.Element] = []
        while true {
            let isFirst = popFirstElement()
            let label = popIdentifier()
            guard let type = popType() else { return false }
            elements.append(.init(label: label, type: type))
            if isFirst { break }
        }
        return push(.tuple(elements.reversed()))
    }

    private mutating func protocolList(isClassBound: Bool, superclass: TypeExpression?) -> Bool {
        var protocols: [TypeExpression.ProtocolReference] = []
        if !popEmptyList() {
            while true {
                let isFirst = popFirstElement()
                guard case .protocolType(let reference)? = stack.popLast() else { return false }
                protocols.append(reference)
                if isFirst { break }
            }
        }
        return push(
            .existential(
                .init(protocols: protocols.reversed(), superclass: superclass, isClassBound: isClassBound, isError: false, witnessTables: 0)
            ))
    }

    // MARK: Functions

    private mutating func function(_ convention: TypeExpression.Function.Convention) -> Bool {
        let canThrow = pop { if case .throwing = $0 { true } else { false } }
        let isSendable = pop { if case .sendable = $0 { true } else { false } }
        let isAsync = pop { if case .async = $0 { true } else { false } }
        guard let parameters = popParameters(), let results = popParameters() else { return false }
        let result = results.count == 1 ? results[0] : .tuple(results.map { .init(label: nil, type: $0) })
        return push(
            .function(
                .init(
                    parameters: parameters, result: result, convention: convention, isAsync: isAsync, canThrow: canThrow,
                    isSendable: isSendable)))
    }

    private mutating func popParameters() -> [TypeExpression]? {
        if popEmptyList() { return [] }
        guard let type = popType() else { return nil }
        if case .tuple(let elements) = type { return elements.map(\.type) }
        return [type]
    }

    /// A captured function in its lowered form. Only one that stands alone is understood.
    private mutating func loweredFunction() -> Bool {
        let form = bytes[position...]
        guard form.last == UInt8(ascii: "_") else { return false }
        position = bytes.count
        stack.removeAll()
        let isThin = form.contains(UInt8(ascii: "t")) || form.contains(UInt8(ascii: "C"))
        return push(.function(.init(parameters: [], result: .tuple([]), convention: isThin ? .thin : .thick)))
    }

    private mutating func annotation() -> Bool {
        switch next().map({ Unicode.Scalar($0) }) {
        case "a": stack.append(.async)
        case "b": stack.append(.sendable)
        case "c":  // A global actor is a type before the mark.
            guard popType() != nil else { return false }
        case "K":  // So is the type of errors.
            guard popType() != nil else { return false }
            stack.append(.throwing)
        case "A", "T", "u", "k", "g", "t", "C": break
        default: return false
        }
        return true
    }

    private mutating func extended() -> Bool {
        guard let letter = next() else { return false }
        switch Unicode.Scalar(letter) {
        case "w": return popType().map { push(.owned(.weak, $0)) } ?? false
        case "o": return popType().map { push(.owned(.unowned, $0)) } ?? false
        case "u": return popType().map { push(.owned(.unmanaged, $0)) } ?? false
        case "l": return protocolList(isClassBound: true, superclass: nil)
        case "c":
            guard let superclass = popType() else { return false }
            return protocolList(isClassBound: true, superclass: superclass)
        case "f": return function(.thin)
        case "C": return function(.c)
        case "E", "A", "B", "U": return function(.thick)
        case "M", "m", "p":
            guard letter != UInt8(ascii: "m"), letter != UInt8(ascii: "M") || next() != nil, let type = popType() else { return false }
            return push(letter == UInt8(ascii: "p") ? .existentialMetatype(type) : .metatype(type))
        case "D": return true
        case "b":
            guard popType() != nil else { return false }
            return push(.builtin(.nativeObject))
        case "x", "X":
            // A captured variable's box. Its contents are in the box's own metadata.
            guard position == bytes.count else { return false }
            stack.removeAll()
            return push(.builtin(.nativeObject))
        default: return false
        }
    }
}
