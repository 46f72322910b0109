// ReferenceSink.swift: walks an object's bytes along its plan and collects what they refer to.

struct ReferenceSink {
    let memory: SwiftMemory
    let types: SwiftTypeReader
    let limit: Int
    var references: [HeapReference] = []

    /// Below it nothing is ever mapped.
    private static let lowest: UInt64 = 4096
    /// User space ends here.
    private static let highest: UInt64 = 1 << 47
    /// Object pointers without tag bits.
    private static let objectBits: UInt64 = 0x00FF_FFFF_FFFF_FFF8

    init(memory: SwiftMemory, types: SwiftTypeReader, limit: Int) {
        self.memory = memory
        self.types = types
        self.limit = limit
    }

    mutating func add(_ offset: Int, _ target: UInt64, _ label: String, _ strength: HeapReference.Strength, isOptional: Bool = false) {
        guard target >= Self.lowest, target < Self.highest, references.count < limit else { return }
        references.append(
            HeapReference(offset: UInt64(offset), target: target, label: label, strength: strength, isOptional: isOptional))
    }

    /// - Parameter base: where in the object the value lies to which the step belongs.
    mutating func take(_ step: ReadingStep, at base: Int, _ words: inout ObjectWords, label prefix: String = "", depth: Int = 0) {
        let offset = base + step.offset
        let label = prefix.isEmpty ? step.label : ReadingStep.join(prefix, step.label)
        switch step.action {
        case .reference(let strength, let isOptional):
            guard let word = words.word(at: offset) else { return }
            add(offset, word & Self.objectBits, label, strength, isOptional: isOptional)
        case .pointer:
            guard let word = words.word(at: offset) else { return }
            add(offset, word, label, .unmanaged)
        case .string:
            // Bit 63: constant; bit 61: the text is in these words themselves.
            guard let word = words.word(at: offset), word >> 63 == 0, word >> 61 & 1 == 0 else { return }
            add(offset, word & 0x0FFF_FFFF_FFFF_FFFF, label, .strong)
        case .weak:
            guard let table = words.word(at: offset), table >= Self.lowest else { return }
            add(offset, table, label, .unmanaged)
            if let object = ReferenceCountWord.object(ofSideTable: table, in: memory) {
                add(offset, object, label, .weak, isOptional: true)
            }
        case .existential: takeExistential(at: offset, &words, label: label, depth: depth)
        case .words(let count): takeWords(from: offset, to: offset + count, &words, label: label)
        case .present(let probe, let steps, let isOptional):
            let at: Int
            switch probe {
            case .pointer(let place):
                guard let word = words.word(at: offset + place), word >= Self.lowest else { return }
                at = place
            case .nonzero(let place):
                guard let word = words.word(at: offset + place), word != 0 else { return }
                at = place
            }
            let first = references.count
            take(steps, at: offset, &words, label: label, depth: depth)
            // A value with one reference, such as a closure, is gone when the word that tells is 0.
            if isOptional, depth == 0, references.count == first + 1 {
                references[first].isOptional = true
                references[first].nilOffset = UInt64(offset + at)
            }
        case .untagged(let at, let bytes, let steps):
            for index in 0..<bytes { guard words.byte(at: offset + at + index) == 0 else { return } }
            take(steps, at: offset, &words, label: label, depth: depth)
        case .choice(let tag, let cases):
            guard let chosen = chosenCase(tag, at: offset, &words), chosen < cases.count else { return }
            take(cases[chosen], at: offset, &words, label: label, depth: depth)
        }
    }

    private mutating func take(_ steps: [ReadingStep], at base: Int, _ words: inout ObjectWords, label: String, depth: Int) {
        guard depth < 16 else { return }
        let first = references.count
        for step in steps { take(step, at: base, &words, label: label, depth: depth + 1) }
        // Other bits of the same words may say which value it is.
        for index in first..<references.count { references[index].isOptional = false }
    }

    private func chosenCase(_ tag: EnumTag, at offset: Int, _ words: inout ObjectWords) -> Int? {
        var value = 0
        var shift = 0
        for (index, mask) in tag.payloadBits.enumerated() where mask != 0 {
            guard let byte = words.byte(at: offset + index) else { return nil }
            for bit in 0..<8 where mask >> UInt8(bit) & 1 == 1 {
                if shift < 40 { value |= Int(byte >> UInt8(bit) & 1) << shift }
                shift += 1
            }
        }
        for index in 0..<tag.extraBytes {
            guard let byte = words.byte(at: offset + tag.payloadBits.count + index) else { return nil }
            if shift < 40 { value |= Int(byte) << shift }
            shift += 8
        }
        return value
    }

    /// Three words of a value, or a pointer to its box; then the value's type.
    private mutating func takeExistential(at offset: Int, _ words: inout ObjectWords, label: String, depth: Int) {
        guard let metadata = words.word(at: offset + 24), metadata != 0 else { return }
        guard depth < 8, let layout = memory.witnessedLayout(ofMetadata: metadata) else {
            takeWords(from: offset, to: offset + 24, &words, label: label)
            return
        }
        guard layout.isInline, layout.size <= 24 else {
            guard let box = words.word(at: offset) else { return }
            add(offset, box & Self.objectBits, label, .strong)
            return
        }
        types.budget = SwiftTypeReader.workForOneType
        guard let shape = types.shape(of: .metadata(metadata)) else {
            takeWords(from: offset, to: offset + 24, &words, label: label)
            return
        }
        take(shape.steps, at: offset, &words, label: label, depth: depth)
    }

    private mutating func takeWords(from start: Int, to end: Int, _ words: inout ObjectWords, label: String) {
        for offset in stride(from: (start + 7) & ~7, to: min(end, words.size) - 7, by: 8) {
            guard let word = words.word(at: offset) else { return }
            let target = word & Self.objectBits
            // Canonical addresses have nothing in the upper bits but tags.
            if target >= Self.lowest, target < Self.highest { add(offset, target, label, .unknown) }
        }
    }

    // MARK: Elements

    mutating func takeTail(of plan: ObjectPlan, _ words: inout ObjectWords) {
        switch plan.tail {
        case .none: break
        case .words: takeWords(from: Int(plan.instanceSize), to: words.size, &words, label: "behind the fields")
        case .elements(let shape): takeElements(shape, &words)
        case .table(let key, let value, let isDictionary): takeTable(key, value, isDictionary: isDictionary, &words)
        }
    }

    private mutating func takeElements(_ shape: TypeShape, _ words: inout ObjectWords) {
        guard !shape.steps.isEmpty, let count = words.word(at: 16) else { return }
        let first = TypeShape.align(32, to: shape.alignment)
        let fitting = max(0, words.size - first) / shape.stride
        for index in 0..<Int(min(count, UInt64(fitting))) {
            let at = first + index * shape.stride
            let before = references.count
            for step in shape.steps { take(step, at: at, &words) }
            if references.count > before { label(from: before, "[\(index)]") }
            if references.count >= limit { return }
        }
    }

    /// Puts an element's index before the labels of what it refers to: only then, because most elements refer to nothing new.
    private mutating func label(from start: Int, _ prefix: String) {
        for index in start..<references.count { references[index].label = ReadingStep.join(prefix, references[index].label) }
    }

    /// A hash table's keys and values where its bitmap says that there are some.
    private mutating func takeTable(_ key: TypeShape?, _ value: TypeShape?, isDictionary: Bool, _ words: inout ObjectWords) {
        let header = isDictionary ? 64 : 56
        guard let key, !isDictionary || value != nil, let scaleWord = words.word(at: 32), scaleWord & 0xFF < 40,
            let keys = inside(words.word(at: 48), words), let values = isDictionary ? inside(words.word(at: 56), words) : 0
        else {
            takeWords(from: header, to: words.size, &words, label: "behind the fields")
            return
        }
        let buckets = 1 << Int(scaleWord & 0xFF)
        for start in stride(from: 0, to: buckets, by: 64) {
            guard var bits = words.word(at: header + start / 8) else { return }
            while bits != 0, references.count < limit {
                let bucket = start + bits.trailingZeroBitCount
                bits &= bits - 1
                guard bucket < buckets, bucket < words.size else { return }
                takeEntry(key, at: keys &+ bucket &* key.stride, "[key \(bucket)]", &words)
                if let value { takeEntry(value, at: values &+ bucket &* value.stride, "[value \(bucket)]", &words) }
            }
        }
    }

    private mutating func takeEntry(_ shape: TypeShape, at offset: Int, _ name: @autoclosure () -> String, _ words: inout ObjectWords) {
        let before = references.count
        for step in shape.steps { take(step, at: offset, &words) }
        if references.count > before { label(from: before, name()) }
    }

    /// Offset of an address that lies in the object.
    private func inside(_ address: UInt64?, _ words: ObjectWords) -> Int? {
        guard let address, address >= words.address, address - words.address <= UInt64(words.size) else { return nil }
        return Int(address - words.address)
    }
}
