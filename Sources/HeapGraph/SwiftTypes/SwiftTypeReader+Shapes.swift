// SwiftTypeReader+Shapes.swift: from types to the forms of their values, as the compiler lays them out.

extension SwiftTypeReader {
    /// The form of a type's values; nil where it cannot be proved.
    func shape(of type: TypeExpression, depth: Int = 0) -> TypeShape? {
        if let known = shapes[type] { return known }
        budget -= 1
        guard depth < Self.deepest, budget > 0 else { return nil }
        // A type that contains itself has no form; the answer stands while it is looked for.
        shapes[type] = .some(nil)
        let shape = newShape(of: type, depth: depth + 1).flatMap { $0.steps.count <= TypeShape.mostSteps ? $0 : nil }
        if shapes.count > 100_000 { shapes.removeAll() }
        shapes[type] = .some(shape)
        return shape
    }

    private func newShape(of type: TypeExpression, depth: Int) -> TypeShape? {
        switch type {
        case .metadata(let metadata): return witnessedShape(metadata, depth: depth)
        case .nominal(let descriptor, let arguments): return nominalShape(descriptor, arguments, depth: depth)
        case .standard(let standard, let arguments): return self.shape(of: standard, arguments, depth: depth)
        case .tuple(let elements):
            let fields = elements.enumerated().map { Field(label: $1.label ?? String($0), type: $1.type) }
            return record(fields, offsets: nil, layout: nil, depth: depth)
        case .function(let function):
            guard function.convention == .thick else { return pointerWithoutTarget }
            var shape = TypeShape.reference()
            shape.size = 16
            shape.spareBits = TypeShape.noSpareBits + TypeShape.noSpareBits
            shape.steps[0].offset = 8
            return shape
        case .existential(let existential): return self.shape(of: existential)
        case .metatype(let type): return isClass(type) ? pointerWithoutTarget : nil
        case .existentialMetatype(let type):
            guard case .existential(let existential) = type else { return nil }
            var shape = pointerWithoutTarget
            shape.size = 8 + 8 * existential.witnessTables
            shape.spareBits = nil
            return shape
        case .owned(let ownership, let type): return ownedShape(ownership, type)
        case .builtin(let builtin): return self.shape(of: builtin)
        case .named, .parameter, .unknown: return nil
        }
    }

    private var pointerWithoutTarget: TypeShape {
        TypeShape(size: 8, extraInhabitants: 4096, probe: .pointer(at: 0), spareBits: TypeShape.noSpareBits)
    }

    func isClass(_ type: TypeExpression) -> Bool {
        switch type {
        case .nominal(let descriptor, _): context(at: descriptor)?.kind == .class
        case .metadata(let metadata): memory.word(at: metadata) == 0
        default: false
        }
    }

    private func shape(of builtin: TypeExpression.Builtin) -> TypeShape {
        switch builtin {
        case .nativeObject: return .reference()
        case .bridgeObject: return .reference(spareBits: TypeShape.noSpareBits)
        case .rawPointer: return .pointer(extraInhabitants: 1)
        case .defaultActor:
            return TypeShape(size: 96, alignment: 16, steps: [ReadingStep(offset: 0, label: "", action: .words(96))])
        case .bits(let bits): return .plain(max(1, min(bits, 512) + 7) / 8)
        case .words(let count):
            return TypeShape(size: 8 * count, extraInhabitants: nil, steps: [ReadingStep(offset: 0, label: "", action: .words(8 * count))])
        }
    }

    private func shape(of existential: TypeExpression.Existential) -> TypeShape? {
        for case .named(let name) in existential.protocols where !name.hasPrefix("Swift.") { return nil }
        if existential.isError { return .reference() }
        guard existential.witnessTables <= 64 else { return nil }
        let tables = 8 * existential.witnessTables
        if existential.isClassBound || existential.superclass != nil {
            var shape = TypeShape.reference()
            shape.size += tables
            shape.spareBits = TypeShape.nativeSpareBits + [UInt8](repeating: 0, count: tables)
            return shape
        }
        return TypeShape(
            size: 32 + tables, extraInhabitants: 4096, probe: .pointer(at: 24), spareBits: [UInt8](repeating: 0, count: 32 + tables),
            steps: [ReadingStep(offset: 0, label: "", action: .existential)])
    }

    private func ownedShape(_ ownership: TypeExpression.Ownership, _ type: TypeExpression) -> TypeShape? {
        var referent = type
        var isOptional = false
        if case .standard(.optional, let arguments) = type, arguments.count == 1 {
            referent = arguments[0]
            isOptional = true
        }
        guard var shape = isClass(referent) ? .reference() : shape(of: referent), case .reference? = shape.steps.first?.action,
            shape.steps.count == 1
        else { return nil }
        switch ownership {
        case .weak:
            shape.extraInhabitants = 0
            shape.probe = nil
            shape.spareBits = nil
            shape.steps[0].action = .weak
        case .unowned, .unmanaged:
            if isOptional { shape.extraInhabitants = nil }
            shape.steps[0].action = .reference(ownership == .unowned ? .unowned : .unmanaged, isOptional: isOptional)
        }
        return shape
    }

    // MARK: Nominal types

    private func nominalShape(_ descriptor: UInt64, _ arguments: [TypeExpression], depth: Int) -> TypeShape? {
        guard let nominal = nominal(at: descriptor) else { return nil }
        if nominal.context.kind == .class { return .reference() }
        if arguments.isEmpty, let metadata = staticMetadata(of: descriptor) { return shape(of: .metadata(metadata), depth: depth) }
        if let standard = standard(at: descriptor) { return shape(of: standard, arguments, depth: depth) }
        let environment = environment(of: descriptor, arguments: arguments)
        if nominal.context.kind == .enum { return enumShape(nominal, environment, layout: nil, depth: depth) }
        guard let fields = fields(of: nominal, environment) else { return nil }
        return record(fields, offsets: nil, layout: nil, depth: depth)
    }

    private func witnessedShape(_ metadata: UInt64, depth: Int) -> TypeShape? {
        guard let type = expression(ofMetadata: metadata) else { return nil }
        if isClass(.metadata(metadata)) { return .reference() }
        guard let layout = memory.witnessedLayout(ofMetadata: metadata) else { return nil }
        var shape: TypeShape?
        switch type {
        case .nominal(let descriptor, let arguments):
            guard let nominal = nominal(at: descriptor) else { return nil }
            if nominal.context.kind == .class {  // One that another language manages.
                shape = .reference(.unmanaged)
            } else if let standard = standard(at: descriptor) {
                shape = self.shape(of: standard, arguments, depth: depth)
            } else {
                let environment = environment(of: descriptor, arguments: arguments)
                if nominal.context.kind == .enum {
                    shape = enumShape(nominal, environment, layout: layout, depth: depth)
                } else if let fields = fields(of: nominal, environment) {
                    shape = record(fields, offsets: offsets(of: nominal, metadata, count: fields.count), layout: layout, depth: depth)
                }
            }
        default: shape = self.shape(of: type, depth: depth)
        }
        guard var shape, shape.size == layout.size else { return .opaque(layout) }
        shape.alignment = layout.alignment
        if shape.extraInhabitants != layout.extraInhabitants {
            shape.extraInhabitants = layout.extraInhabitants
            shape.probe = nil
        }
        return shape
    }

    /// A structure's field offsets, as its metadata says.
    private func offsets(of nominal: NominalDescriptor, _ metadata: UInt64, count: Int) -> [Int]? {
        guard nominal.fieldOffsetVector > 0 else { return nil }
        let start = metadata &+ UInt64(nominal.fieldOffsetVector) * 8
        var offsets: [Int] = []
        for index in 0..<UInt64(count) {
            guard let offset = memory.half(at: start &+ index * 4), offset <= WitnessedLayout.largest else { return nil }
            offsets.append(Int(offset))
        }
        return offsets
    }

    struct Field {
        var label: String
        var type: TypeExpression
    }

    private func fields(of nominal: NominalDescriptor, _ environment: GenericEnvironment) -> [Field]? {
        records(of: nominal)?.map { record in
            Field(label: record.name, type: record.type.map { type(mangledAt: $0).substituted(environment) } ?? .tuple([]))
        }
    }

    /// Fields one behind the other. Where one's form is unknown its bytes are, if the offsets say where they end.
    private func record(_ fields: [Field], offsets: [Int]?, layout: WitnessedLayout?, depth: Int) -> TypeShape? {
        var shape = TypeShape(size: 0, alignment: 1, spareBits: [])
        var mostInhabitants: Int? = 0
        for (index, field) in fields.enumerated() {
            let form = self.shape(of: field.type, depth: depth)
            guard let offset = offsets?[index] ?? form.map({ TypeShape.align(shape.size, to: $0.alignment) }) else { return nil }
            let end = offsets.flatMap { offsets in offsets.filter { $0 > offset }.min() } ?? layout?.size
            guard let form, end.map({ offset + form.size <= $0 }) ?? true else {
                guard let end, end >= offset else { return nil }
                shape.steps.append(ReadingStep(offset: offset, label: field.label, action: .words(end - offset)))
                shape.spareBits = nil
                mostInhabitants = nil
                shape.size = max(shape.size, end)
                continue
            }
            if let spare = form.spareBits, shape.spareBits != nil, offset >= shape.size {
                shape.spareBits! += [UInt8](repeating: 0xFF, count: offset - shape.size) + spare
            } else if form.size > 0 {
                shape.spareBits = nil
            }
            shape.steps += form.steps.map { $0.moved(by: offset, label: field.label) }
            guard shape.steps.count <= TypeShape.mostSteps else { return nil }
            if let most = mostInhabitants {
                mostInhabitants = form.extraInhabitants.map { max($0, most) }
                if let own = form.extraInhabitants, own > most { shape.probe = form.probe?.moved(by: offset) }
            }
            shape.alignment = max(shape.alignment, form.alignment)
            shape.size = max(shape.size, offset + form.size)
            guard shape.size <= WitnessedLayout.largest else { return nil }
        }
        shape.extraInhabitants = mostInhabitants
        if mostInhabitants == nil { shape.probe = nil }
        return shape
    }

    // MARK: The standard library

    private func shape(of standard: StandardType, _ arguments: [TypeExpression], depth: Int) -> TypeShape? {
        switch standard {
        case .int, .uint: return .plain(8)
        case .double: return TypeShape(size: 8, spareBits: TypeShape.noSpareBits)
        case .float: return .plain(4)
        case .bool: return TypeShape(size: 1, alignment: 1, extraInhabitants: 254, spareBits: [0xFE])
        case .taskPriority: return .plain(1)
        case .string, .character:
            return TypeShape(
                size: 16, extraInhabitants: 4096, probe: .pointer(at: 8), spareBits: [UInt8](repeating: 0, count: 16),
                steps: [ReadingStep(offset: 8, label: "", action: .string)])
        case .substring:
            return TypeShape(
                size: 32, extraInhabitants: 4096, probe: .pointer(at: 24), spareBits: [UInt8](repeating: 0, count: 32),
                steps: [ReadingStep(offset: 24, label: "", action: .string)])
        case .array, .contiguousArray, .task, .mainActor: return .reference()
        case .unmanaged: return .reference(.unmanaged)
        case .dictionary, .set: return .reference(spareBits: TypeShape.noSpareBits)
        case .arraySlice:
            return TypeShape(
                size: 32, extraInhabitants: 4096, probe: .pointer(at: 0), spareBits: nil,
                steps: [ReadingStep(offset: 0, label: "", action: .reference(.strong, isOptional: false))])
        case .optional:
            guard arguments.count == 1, let payload = shape(of: arguments[0], depth: depth) else { return nil }
            return singlePayload(payload, label: "", emptyCases: 1, isOptional: true)
        case .range, .closedRange:
            guard arguments.count == 1 else { return nil }
            let fields = ["lowerBound", "upperBound"].map { Field(label: $0, type: arguments[0]) }
            return record(fields, offsets: nil, layout: nil, depth: depth)
        case .pointer, .mutablePointer, .rawPointer, .mutableRawPointer: return .pointer(extraInhabitants: 1)
        case .unsafeContinuation: return .pointer(extraInhabitants: 1)
        case .objectIdentifier: return .pointer(extraInhabitants: 1)
        case .bufferPointer, .mutableBufferPointer, .rawBufferPointer, .mutableRawBufferPointer:
            return TypeShape(
                size: 16, extraInhabitants: 0, spareBits: [UInt8](repeating: 0, count: 16),
                steps: [ReadingStep(offset: 0, label: "", action: .pointer)])
        }
    }
}
