// ObjectCost.swift: which types the objects of a stack have, and who can tell.

/// Objects of one type that one stack allocated.
package struct ObjectCost: Hashable, Sendable {
    package var stack: Int32
    /// Index into `Snapshot.types`.
    package var type: Int32
    /// Live objects of this type, as far as they were looked at: less than the stack's figure where it has several types.
    package var live: Tally

    package init(stack: Int32, type: Int32, live: Tally) {
        self.stack = stack
        self.type = type
        self.live = live
    }
}

/// Knows objects. The collector does not: it is given this by what joins the stages.
package struct ObjectTypeSource: Sendable {
    /// Code that allocates objects in a module: addresses in its file. Empty for most modules.
    package var allocators: @Sendable (_ modulePath: String) -> [Range<UInt64>]
    /// Makes what names the types of a process by the first word of their objects; nil for what is no type. While it lives.
    package var namer: @Sendable (_ pid: Int32) -> (UInt64) -> String?

    package init(
        allocators: @escaping @Sendable (_ modulePath: String) -> [Range<UInt64>],
        namer: @escaping @Sendable (_ pid: Int32) -> (UInt64) -> String?
    ) {
        self.allocators = allocators
        self.namer = namer
    }
}

extension Snapshot {
    /// Objects whose type was not seen.
    package static let unknownType = ""

    /// What a stack's memory is by type. Figures that cannot be divided among several types stand under all of their names.
    /// - Parameters:
    ///   - amount: of the stack.
    ///   - costs: those of `objects` that belong to the stack.
    func amountsByType(_ amount: Tally, _ metric: Metric, _ costs: ArraySlice<ObjectCost>) -> [(types: [Int32], amount: Tally)] {
        let types = costs.map(\.type)
        let seen = costs.reduce(Tally.zero) { $0 + $1.live }
        // More were seen than there are: these are the figures of some of the threads.
        guard metric == .current, costs.count > 1, seen.bytes <= amount.bytes, seen.count <= amount.count else { return [(types, amount)] }
        var rest = amount
        var amounts: [(types: [Int32], amount: Tally)] = []
        for object in costs where object.live != .zero {
            amounts.append(([object.type], object.live))
            rest = rest - object.live
        }
        if rest != .zero { amounts.append((types, rest)) }
        return amounts
    }
}
