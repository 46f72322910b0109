// SwiftTypeReader+Enums.swift: the forms of enumerations: which bits say the case, and where each payload has its references.

extension SwiftTypeReader {
    func enumShape(
        _ nominal: NominalDescriptor, _ environment: GenericEnvironment, layout: WitnessedLayout?, depth: Int
    ) -> TypeShape? {
        let empty = nominal.emptyCases
        if nominal.payloadCases == 0 { return noPayload(empty) }
        guard let records = records(of: nominal), records.count >= nominal.payloadCases, nominal.payloadCases <= 256 else { return nil }
        var payloads: [TypeShape] = []
        var isDependent = false
        for record in records.prefix(nominal.payloadCases) {
            if record.isIndirect {
                payloads.append(.reference())
                continue
            }
            let unbound = record.type.map { type(mangledAt: $0) } ?? .tuple([])
            isDependent = isDependent || unbound.isDependent
            guard let payload = shape(of: unbound.substituted(environment), depth: depth) else { return nil }
            payloads.append(payload)
        }
        let labels = records.prefix(nominal.payloadCases).map(\.name)
        if payloads.count == 1 {
            let isOptional = standard(at: nominal.context.address) == .optional
            return singlePayload(payloads[0], label: isOptional ? "" : labels[0], emptyCases: empty, isOptional: isOptional)
        }
        let cases = zip(payloads, labels).map { shape, label in shape.steps.map { $0.moved(by: 0, label: label) } }
        let fixed = isDependent ? nil : fixedMultiPayload(payloads, cases, emptyCases: empty)
        let dynamic = dynamicMultiPayload(payloads, cases, emptyCases: empty)
        guard let layout else { return isDependent ? dynamic : fixed }
        if let fixed, fixed.size == layout.size { return fixed }
        return isDependent && dynamic.size == layout.size ? dynamic : nil
    }

    private func noPayload(_ count: Int) -> TypeShape {
        if count <= 1 { return TypeShape(size: 0, alignment: 1, spareBits: []) }
        let size = count <= 1 << 8 ? 1 : count <= 1 << 16 ? 2 : 4
        let used = Int.bitWidth - (count - 1).leadingZeroBitCount
        var spare = [UInt8](repeating: 0, count: size)
        for bit in used..<size * 8 { spare[bit / 8] |= 1 << UInt8(bit % 8) }
        return TypeShape(size: size, alignment: size, extraInhabitants: (1 << (size * 8)) - count, spareBits: spare)
    }

    /// Bytes that hold the tags of `payloads` cases and of as many more as the empty cases need.
    private func tagBytes(size: Int, emptyCases: Int, payloads: Int) -> (bytes: Int, tags: Int) {
        var tags = payloads
        if emptyCases > 0 {
            tags += size >= 4 ? 1 : (emptyCases + (1 << (size * 8)) - 1) >> (size * 8)
        }
        return (tags <= 1 ? 0 : tags < 256 ? 1 : tags < 65536 ? 2 : 4, tags)
    }

    /// One case with a payload: the others are bit patterns that the payload never has, or have a tag behind it.
    func singlePayload(_ payload: TypeShape, label: String, emptyCases: Int, isOptional: Bool) -> TypeShape? {
        guard let inhabitants = payload.extraInhabitants else { return nil }
        var shape = payload
        var steps = payload.steps.map { $0.moved(by: 0, label: label) }
        shape.spareBits = [UInt8](repeating: 0, count: payload.size)
        if inhabitants >= emptyCases {
            shape.extraInhabitants = inhabitants - emptyCases
            if isOptional, steps.count == 1, steps[0].offset == 0, case .reference(let strength, _) = steps[0].action {
                steps[0].action = .reference(strength, isOptional: true)
            } else if emptyCases > 0, !steps.isEmpty, let probe = payload.probe {
                if steps.count > 1 || steps[0].offset != 0 {
                    steps = [ReadingStep(offset: 0, label: "", action: .present(probe, steps, isOptional: isOptional))]
                }
            }
            shape.steps = steps
            return shape
        }
        let (bytes, _) = tagBytes(size: payload.size, emptyCases: emptyCases - inhabitants, payloads: 1)
        shape.size += bytes
        shape.extraInhabitants = 0
        shape.probe = nil
        shape.spareBits = nil
        shape.steps = steps.isEmpty ? [] : [ReadingStep(offset: 0, label: "", action: .untagged(at: payload.size, bytes: bytes, steps))]
        return shape
    }

    /// Several payloads whose forms the compiler knew: the tag is in bits that all payloads spare, then in bytes behind.
    private func fixedMultiPayload(_ payloads: [TypeShape], _ cases: [[ReadingStep]], emptyCases: Int) -> TypeShape? {
        let size = payloads.map(\.size).max() ?? 0
        var common = [UInt8](repeating: 0xFF, count: size)
        for payload in payloads {
            guard let spare = payload.spareBits, spare.count == payload.size else { return nil }
            for index in 0..<payload.size { common[index] &= spare[index] }
        }
        let spareCount = common.reduce(0) { $0 + $1.nonzeroBitCount }
        let usedCount = size * 8 - spareCount
        var tags = payloads.count
        if emptyCases > 0 { tags += usedCount >= 32 ? 1 : (emptyCases + (1 << usedCount) - 1) >> usedCount }
        let tagBits = Int.bitWidth - (tags - 1).leadingZeroBitCount
        let extraBits = max(0, tagBits - spareCount)
        let extraBytes = extraBits == 0 ? 0 : extraBits <= 8 ? 1 : extraBits <= 16 ? 2 : 4

        // The most significant of the spare bits.
        var payloadBits = [UInt8](repeating: 0, count: size)
        var wanted = min(tagBits, spareCount)
        for bit in stride(from: size * 8 - 1, through: 0, by: -1) where wanted > 0 && common[bit / 8] >> UInt8(bit % 8) & 1 == 1 {
            payloadBits[bit / 8] |= 1 << UInt8(bit % 8)
            wanted -= 1
        }
        var spare = zip(common, payloadBits).map { $0 & ~$1 }
        var allBits = spareCount
        if extraBytes > 0 {
            var tag = [UInt8](repeating: 0, count: extraBytes)
            for bit in extraBits..<extraBytes * 8 { tag[bit / 8] |= 1 << UInt8(bit % 8) }
            spare += tag
            allBits += extraBytes * 8
        }
        let patterns = allBits >= 31 ? TypeShape.mostInhabitants : 1 << allBits
        return TypeShape(
            size: size + extraBytes, alignment: payloads.map(\.alignment).max() ?? 1,
            extraInhabitants: min(max(0, patterns - tags), TypeShape.mostInhabitants), spareBits: spare,
            steps: choice(EnumTag(payloadBits: payloadBits, extraBytes: extraBytes), cases))
    }

    /// Several payloads of which one depends on a parameter: the tag is always behind them.
    private func dynamicMultiPayload(_ payloads: [TypeShape], _ cases: [[ReadingStep]], emptyCases: Int) -> TypeShape {
        let size = payloads.map(\.size).max() ?? 0
        let (bytes, tags) = tagBytes(size: size, emptyCases: emptyCases, payloads: payloads.count)
        let patterns = bytes >= 4 ? TypeShape.mostInhabitants : 1 << (bytes * 8)
        return TypeShape(
            size: size + bytes, alignment: payloads.map(\.alignment).max() ?? 1, extraInhabitants: max(0, patterns - tags),
            spareBits: nil, steps: choice(EnumTag(payloadBits: [UInt8](repeating: 0, count: size), extraBytes: bytes), cases))
    }

    private func choice(_ tag: EnumTag, _ cases: [[ReadingStep]]) -> [ReadingStep] {
        cases.allSatisfy(\.isEmpty) ? [] : [ReadingStep(offset: 0, label: "", action: .choice(tag, cases))]
    }
}
