// ObjectPlan.swift: what to read in objects of one type, made once for each.

/// The parts of an object of one type. A class, because it is passed on for every object.
final class ObjectPlan {
    enum Tail {
        case none
        /// Bytes of unknown form behind the fields.
        case words
        /// Elements of an array, their count in the third word.
        case elements(TypeShape)
        /// Keys and values of a hash table; a set has no values.
        case table(key: TypeShape?, value: TypeShape?, isDictionary: Bool)
    }

    var typeName: String
    var kind: HeapObject.Kind
    var instanceSize: UInt64
    var steps: [ReadingStep] = []
    var tail = Tail.none
    var fieldsAreKnown: Bool

    init(
        typeName: String, kind: HeapObject.Kind, instanceSize: UInt64, tail: Tail = .none, fieldsAreKnown: Bool = true
    ) {
        self.typeName = typeName
        self.kind = kind
        self.instanceSize = instanceSize
        self.tail = tail
        self.fieldsAreKnown = fieldsAreKnown
    }
}

extension SwiftTypeReader {
    static let workForOneType = 20_000

    /// Whether objects may have metadata that begins with this word.
    func isKind(_ word: UInt64) -> Bool { word == 0 || word == 0x400 || (0x500...0x502).contains(word) }

    /// The plan for objects with this metadata; nil when it is no metadata of objects.
    func plan(metadata: UInt64, kind: UInt64, bindings: [UInt64]) -> ObjectPlan? {
        budget = Self.workForOneType
        switch kind {
        case 0: return classPlan(metadata)
        case 0x400: return closurePlan(metadata, bindings: bindings)
        case 0x500: return boxPlan(metadata)
        case 0x501: return bindings.count == 1 ? errorBoxPlan(valueType: bindings[0]) : nil
        case 0x502:
            guard memory.isStatic(metadata) else { return nil }
            return ObjectPlan(typeName: "Swift task", kind: .task, instanceSize: 16, fieldsAreKnown: false)
        default: return nil
        }
    }

    // MARK: Classes

    private func classPlan(_ metadata: UInt64) -> ObjectPlan? {
        var hierarchy: [(metadata: UInt64, nominal: NominalDescriptor, type: TypeExpression)] = []
        var at = metadata
        while at != 0 {
            guard hierarchy.count < 64, at & 7 == 0, memory.word(at: at) == 0, let type = expression(ofMetadata: at),
                case .nominal(let descriptor, _) = type, let nominal = nominal(at: descriptor), let parent = memory.word(at: at &+ 8),
                !hierarchy.contains(where: { $0.metadata == at })
            else { return nil }
            hierarchy.append((at, nominal, type))
            at = parent
        }
        guard let size = memory.half(at: metadata &+ 24), size >= 16, size <= WitnessedLayout.largest else { return nil }
        let plan = ObjectPlan(typeName: name(of: hierarchy[0].type), kind: .class, instanceSize: UInt64(size), tail: .words)
        if let storage = storage(hierarchy[0].type, hierarchy[0].nominal) {
            plan.kind = .storage
            plan.tail = storage
            return plan
        }
        var fields: [(offset: Int, label: String, type: TypeExpression)] = []
        for (metadata, nominal, type) in hierarchy.reversed() {
            guard let records = records(of: nominal) else {
                plan.fieldsAreKnown = false
                continue
            }
            guard case .nominal(let descriptor, let arguments) = type else { continue }
            let environment = environment(of: descriptor, arguments: arguments)
            for (index, record) in records.enumerated() {
                guard nominal.fieldOffsetVector > 0, let mangled = record.type,
                    let offset = memory.word(at: metadata &+ UInt64(nominal.fieldOffsetVector + index) * 8),
                    offset >= 16, offset <= size
                else {
                    plan.fieldsAreKnown = false
                    continue
                }
                fields.append((Int(offset), record.name, self.type(mangledAt: mangled).substituted(environment)))
            }
        }
        let offsets = fields.map(\.offset).sorted()
        for field in fields {
            let end = offsets.first { $0 > field.offset } ?? Int(size)
            add(field.type, at: field.offset, end: end, label: field.label, to: &plan.steps)
        }
        return plan
    }

    /// A field's steps, or its bytes up to the next field where its form is unknown.
    private func add(_ type: TypeExpression, at offset: Int, end: Int, label: String, to steps: inout [ReadingStep]) {
        guard let shape = shape(of: type), offset + shape.size <= end, steps.count + shape.steps.count <= TypeShape.mostSteps else {
            if end > offset { steps.append(ReadingStep(offset: offset, label: label, action: .words(end - offset))) }
            return
        }
        steps += shape.steps.map { $0.moved(by: offset, label: label) }
    }

    /// The standard library's storage, whose contents are no fields.
    private func storage(_ type: TypeExpression, _ nominal: NominalDescriptor) -> ObjectPlan.Tail? {
        guard case .nominal(_, let arguments) = type, let parent = nominal.context.parent.flatMap({ context(at: $0) }),
            parent.kind == .module, parent.name == "Swift"
        else { return nil }
        switch (nominal.context.name, arguments.count) {
        case ("_ContiguousArrayStorage", 1): return shape(of: arguments[0]).map { .elements($0) } ?? .words
        case ("_DictionaryStorage", 2):
            return .table(key: shape(of: arguments[0]), value: shape(of: arguments[1]), isDictionary: true)
        case ("_SetStorage", 1): return .table(key: shape(of: arguments[0]), value: nil, isDictionary: false)
        case ("__StringStorage", _): return .words
        default: return nil
        }
    }

    // MARK: Closures and boxes

    /// Number of words in a closure that say its generic parameters.
    func bindingCount(ofClosure metadata: UInt64) -> Int {
        guard memory.isStatic(metadata), let description = memory.word(at: metadata &+ 16), memory.isStatic(description),
            let count = memory.half(at: description &+ 8), count <= 64
        else { return 0 }
        return Int(count)
    }

    private func closurePlan(_ metadata: UInt64, bindings: [UInt64]) -> ObjectPlan? {
        guard memory.isStatic(metadata), let first = memory.half(at: metadata &+ 8), first <= 4096 else { return nil }
        let plan = ObjectPlan(typeName: "closure", kind: .closure, instanceSize: 16, fieldsAreKnown: false)
        guard let description = memory.word(at: metadata &+ 16), description != 0, memory.isStatic(description),
            let count = memory.half(at: description), let sources = memory.half(at: description &+ 4), count <= 256, sources <= 64
        else { return plan }
        let parameters = parameters(sources: Int(sources), at: description &+ 12 &+ UInt64(count) * 4, bindings: bindings)
        var offset = Int(max(first, 16)) + 8 * bindings.count
        var names: [String] = []
        var isProved = true
        plan.fieldsAreKnown = true
        for index in 0..<Int(count) {
            let type =
                memory.relative(at: description &+ 12 &+ UInt64(index) * 4).map { self.type(mangledAt: $0) } ?? TypeExpression.unknown
            let bound = parameters.isEmpty ? type : type.substituted(environment(parameters))
            names.append(name(of: bound))
            guard isProved else { continue }
            let label = "captured \(index + 1)"
            guard let shape = shape(of: bound) else {
                // Where the next one begins is unknown too.
                isProved = false
                plan.tail = .words
                continue
            }
            offset = TypeShape.align(offset, to: shape.alignment)
            plan.steps += shape.steps.map { $0.moved(by: offset, label: label) }
            offset += shape.size
        }
        plan.instanceSize = UInt64(offset)
        // The compiler's boxes of a known type look the same.
        plan.typeName = (count == 1 && bindings.isEmpty ? "box or closure (" : "closure (") + names.joined(separator: ", ") + ")"
        return plan
    }

    /// Which binding word holds the metadata of which parameter: `B1` is the second word.
    private func parameters(sources: Int, at address: UInt64, bindings: [UInt64]) -> [TypeExpression: TypeExpression] {
        var parameters: [TypeExpression: TypeExpression] = [:]
        for index in 0..<UInt64(sources) {
            let at = address &+ index * 8
            guard let mangled = memory.relative(at: at), let source = memory.relative(at: at &+ 4).flatMap({ memory.text(at: $0) }),
                source.hasPrefix("B"), let binding = Int(source.dropFirst().prefix { $0.isNumber }), bindings.indices.contains(binding)
            else { continue }
            parameters[type(mangledAt: mangled)] = .metadata(bindings[binding])
        }
        return parameters
    }

    /// Two levels are enough for what closures see in practice; deeper ones stay unknown.
    private func environment(_ parameters: [TypeExpression: TypeExpression]) -> GenericEnvironment {
        let outer = (0..<16).map { parameters[.parameter(depth: 0, index: $0)] ?? TypeExpression.unknown }
        let inner = (0..<16).map { parameters[.parameter(depth: 1, index: $0)] ?? TypeExpression.unknown }
        return GenericEnvironment(levels: [16, 32], arguments: outer + inner)
    }

    private func boxPlan(_ metadata: UInt64) -> ObjectPlan? {
        guard let offset = memory.half(at: metadata &+ 8), offset >= 16, offset <= 4096, let boxed = memory.word(at: metadata &+ 16),
            expression(ofMetadata: boxed) != nil
        else { return nil }
        let shape = shape(of: .metadata(boxed))
        let plan = ObjectPlan(typeName: "box (\(name(of: .metadata(boxed))))", kind: .box, instanceSize: 16)
        if let shape {
            plan.instanceSize = UInt64(Int(offset) + shape.size)
            plan.steps = shape.steps.map { $0.moved(by: Int(offset), label: "value") }
        } else {
            plan.tail = .words
        }
        return plan
    }

    private func errorBoxPlan(valueType: UInt64) -> ObjectPlan? {
        guard expression(ofMetadata: valueType) != nil else { return nil }
        let plan = ObjectPlan(typeName: "error box (\(name(of: .metadata(valueType))))", kind: .errorBox, instanceSize: 32)
        if let shape = shape(of: .metadata(valueType)) {
            let offset = TypeShape.align(32, to: shape.alignment)
            plan.instanceSize = UInt64(offset + shape.size)
            plan.steps = shape.steps.map { $0.moved(by: offset, label: "error") }
        } else {
            plan.tail = .words
        }
        return plan
    }
}
