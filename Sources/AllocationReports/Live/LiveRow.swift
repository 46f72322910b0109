// LiveRow.swift: one row of a live view, and what the view is asked for.
package import AllocationProfile

/// The memory of a call site or, in a list of stacks, of a stack.
package struct LiveRow: Hashable, Sendable {
    package let site: LiveSite
    /// The node of a stack; nil for call sites.
    package var stack: Int32?
    /// Memory in the metric that was asked for.
    package private(set) var tally = Tally.zero
    package private(set) var allocations = 0
    package private(set) var temporary = 0
    /// Live memory now minus then.
    package private(set) var change = Tally.zero
    /// Stacks that are charged to the site.
    package private(set) var stackCount = 0

    init(site: LiveSite) { self.site = site }

    mutating func add(_ cost: StackCost, _ metric: Metric, change: Tally) {
        tally += cost[metric]
        allocations &+= cost.total.count
        temporary &+= cost.temporary.count
        self.change += change
        stackCount += 1
    }
}

/// What the rows show.
package struct LiveQuestion: Hashable, Sendable {
    /// What changes are counted from.
    package enum Baseline: String, Sendable {
        case refresh, mark
    }

    package var metric = Metric.current
    package var baseline = Baseline.refresh
    /// Charge the call-site rule's frame, not the innermost; and hide such frames in stacks.
    package var hidesRuntime = true

    package init() {}
}

/// A column that sorts.
package enum LiveColumn: String, CaseIterable, Sendable {
    case bytes, blocks, allocations, temporary, change, name

    /// The key that chooses it.
    package var key: Character {
        switch self {
        case .bytes: "b"
        case .blocks: "k"
        case .allocations: "a"
        case .temporary: "t"
        case .change: "c"
        case .name: "n"
        }
    }
}

extension [LiveRow] {
    /// Largest first, names in their order; `isInverted` turns this round. Ties have a fixed order, so that rows do not dance.
    func sorted(by column: LiveColumn, isInverted: Bool) -> [LiveRow] {
        func figure(_ row: LiveRow) -> Int {
            switch column {
            case .bytes: row.tally.bytes
            case .blocks: row.tally.count
            case .allocations: row.allocations
            case .temporary: row.temporary
            case .change: Int(clamping: row.change.bytes.magnitude)
            case .name: 0
            }
        }
        let sorted = sorted { left, right in
            let (one, other) = (figure(left), figure(right))
            if one != other { return one > other }
            let (frame, otherFrame) = (left.site.frame, right.site.frame)
            if frame != otherFrame { return frame < otherFrame }
            return (left.stack ?? 0) < (right.stack ?? 0)
        }
        return isInverted ? sorted.reversed() : sorted
    }
}
