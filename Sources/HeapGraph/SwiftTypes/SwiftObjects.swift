// SwiftObjects.swift: Swift's objects, their types, counts and references, read from a program's memory.

/// Reads objects by their metadata. Works on stripped programs: what it needs is constant data that the runtime needs too.
package struct SwiftObjects: ObjectReader {
    private let memory: SwiftMemory
    private let types: SwiftTypeReader
    /// Of objects whose metadata says it all, and of those that say their type in further words.
    private var plans: [UInt64: Int32] = [:]
    private var boundPlans: [PlanKey: Int32] = [:]
    private var allPlans: [ObjectPlan] = []
    /// The last objects' type: neighbors often have the same.
    private var lastKey: PlanKey?
    private var lastPlan: Int32 = 0
    private var buffer: [UInt64] = []

    private struct PlanKey: Hashable {
        var metadata: UInt64
        var bindings: [UInt64]
    }

    /// Types beyond this many are not remembered: no program has them.
    private static let mostPlans = 200_000
    private static let mostReferences = 1 << 24

    package init(memory: any MemoryReader, modules: [LoadedModule]) {
        self.memory = SwiftMemory(reader: memory, modules: modules)
        types = SwiftTypeReader(memory: self.memory)
    }

    package mutating func object(at address: UInt64, size: UInt64) -> HeapObject? {
        guard size >= 16, address & 7 == 0 else { return nil }
        var words = ObjectWords(at: address, size: min(size, 32), memory: memory, buffer: takeBuffer())
        defer { buffer = words.giveBack() }
        guard let plan = plan(of: &words), let counts = words.word(at: 8) else { return nil }
        let known = allPlans[Int(plan)]
        guard known.instanceSize <= size else { return nil }
        let count = ReferenceCountWord(counts, in: memory)
        return HeapObject(
            address: address, typeName: known.typeName, kind: known.kind, instanceSize: known.instanceSize, strong: count.strong,
            unowned: count.unowned, weak: count.weak, fieldsAreKnown: known.fieldsAreKnown)
    }

    /// Name of the type of objects with this metadata; nil for what is no metadata of objects.
    package mutating func typeName(ofObjectsWithMetadata metadata: UInt64) -> String? {
        guard metadata & 7 == 0, let kind = memory.word(at: metadata) else { return nil }
        if kind == 0x501 { return memory.isStatic(metadata) ? "error box" : nil }
        let bindings = kind == 0x400 ? [UInt64](repeating: 0, count: types.bindingCount(ofClosure: metadata)) : []
        return plan(PlanKey(metadata: metadata, bindings: bindings), kind: kind).map { allPlans[Int($0)].typeName }
    }

    package mutating func references(of object: HeapObject, size: UInt64) -> [HeapReference] {
        var words = ObjectWords(at: object.address, size: size, memory: memory, buffer: takeBuffer())
        defer { buffer = words.giveBack() }
        guard let plan = plan(of: &words) else { return [] }
        let known = allPlans[Int(plan)]
        guard known.instanceSize <= size else { return [] }
        var sink = ReferenceSink(memory: memory, types: types, limit: Self.mostReferences)
        sink.references.reserveCapacity(known.steps.count)
        if let counts = words.word(at: 8), counts >> 62 == 3, let table = ReferenceCountWord(counts, in: memory).sideTable {
            sink.add(8, table, "(side table)", .unmanaged)
        }
        for step in known.steps { sink.take(step, at: 0, &words) }
        sink.takeTail(of: known, &words)
        return sink.references
    }

    /// Taken, not copied: it is written to.
    private mutating func takeBuffer() -> [UInt64] {
        defer { buffer = [] }
        return buffer
    }

    // MARK: Plans

    private mutating func plan(of words: inout ObjectWords) -> Int32? {
        guard let metadata = words.word(at: 0) else { return nil }
        if let lastKey, lastKey.metadata == metadata, lastKey.bindings.isEmpty { return lastPlan < 0 ? nil : lastPlan }
        // Most blocks of most programs are no objects, and each begins with a word of its own: nothing is remembered of them.
        guard metadata & 7 == 0, metadata >= 4096, metadata < 1 << 47, let kind = memory.word(at: metadata), types.isKind(kind)
        else { return nil }
        if let known = plans[metadata] { return remember(metadata, [], known) }
        // Some objects say their type in further words.
        var bindings: [UInt64] = []
        let count = kind == 0x400 ? types.bindingCount(ofClosure: metadata) : kind == 0x501 ? 1 : 0
        for index in 0..<count {
            guard let word = words.word(at: 16 + 8 * index) ?? memory.word(at: words.address &+ UInt64(16 + 8 * index)) else { return nil }
            bindings.append(word)
        }
        return plan(PlanKey(metadata: metadata, bindings: bindings), kind: kind)
    }

    private mutating func plan(_ key: PlanKey, kind: UInt64) -> Int32? {
        if let known = key.bindings.isEmpty ? plans[key.metadata] : boundPlans[key] { return remember(key.metadata, key.bindings, known) }
        let made = types.plan(metadata: key.metadata, kind: kind, bindings: key.bindings)
        return remember(key.metadata, key.bindings, newPlan(made, key.metadata, key.bindings))
    }

    private mutating func newPlan(_ plan: ObjectPlan?, _ metadata: UInt64, _ bindings: [UInt64]) -> Int32 {
        if plans.count + boundPlans.count >= Self.mostPlans {
            plans.removeAll()
            boundPlans.removeAll()
            allPlans.removeAll()
        }
        let number = plan == nil ? -1 : Int32(allPlans.count)
        if let plan { allPlans.append(plan) }
        if bindings.isEmpty { plans[metadata] = number } else { boundPlans[PlanKey(metadata: metadata, bindings: bindings)] = number }
        return number
    }

    private mutating func remember(_ metadata: UInt64, _ bindings: [UInt64], _ plan: Int32) -> Int32? {
        lastKey = PlanKey(metadata: metadata, bindings: bindings)
        lastPlan = plan
        return plan < 0 ? nil : plan
    }
}
