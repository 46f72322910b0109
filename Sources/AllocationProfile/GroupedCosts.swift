// GroupedCosts.swift: costs summed up by group, now and in an older picture, without building a row.

/// The memory of each group in `new` and `old` snapshots.
struct GroupedCosts {
    /// Memory of each group now and then. Groups that are zero in both do not exist.
    private(set) var now: [Tally]
    private(set) var then: [Tally]
    private(set) var total = Tally.zero
    private(set) var oldTotal = Tally.zero
    private let sites: Sites

    /// How a group's number becomes a row's frames.
    private enum Sites {
        /// Groups are keys: one frame for each.
        case frames([Frame])
        /// Groups are merged stacks.
        case stacks(MergedStacks, frames: [Frame], Attribution)
    }

    init(
        new: [Snapshot], old: [Snapshot], groupedBy grouping: Grouping, measuring metric: Metric, cumulative: Bool,
        attribution: Attribution
    ) throws(ProfileError) {
        if grouping == .type && cumulative { throw .cumulativeType }
        if grouping == .traceback && cumulative { throw .cumulativeTraceback }
        let snapshots = new + old
        if grouping == .type {
            let types = TypeGroups(snapshots, newCount: new.count, measuring: metric, attribution: attribution)
            (now, then) = (types.now, types.then)
            sites = .frames(types.frames)
            for snapshot in new { total += snapshot.total(of: metric) }
            for snapshot in old { oldTotal += snapshot.total(of: metric) }
            return
        }
        let table = FrameTable(snapshots, groupedBy: grouping)
        if grouping == .traceback {
            let stacks = MergedStacks(snapshots, table: table, measuring: metric)
            now = [Tally](repeating: .zero, count: stacks.tree.count)
            then = now
            for (index, snapshot) in snapshots.enumerated() {
                for (cost, end) in zip(snapshot.costs, stacks.ends[index]) where end >= 0 {
                    if index < new.count { now[Int(end)] += cost[metric] } else { then[Int(end)] += cost[metric] }
                }
            }
            sites = .stacks(stacks, frames: table.frames(snapshots, charged: stacks.charged), attribution)
        } else {
            var charges = Charges(table)
            for (index, snapshot) in snapshots.enumerated() {
                if index == new.count { charges.startOld() }
                if cumulative {
                    charges.addCumulative(snapshot, index, metric)
                } else {
                    charges.add(snapshot, index, metric, attribution)
                }
            }
            now = charges.now
            then = charges.then
            sites = .frames(table.frames(snapshots, charged: charges.charged))
        }
        for snapshot in new { total += snapshot.total(of: metric) }
        for snapshot in old { oldTotal += snapshot.total(of: metric) }
    }

    /// Groups by `precedes`, at most `limit`; what `precedes` leaves undecided is ordered by key, last key first. Also the
    /// number of all groups. Only rows near the top are ordered by text: hundreds of thousands of small groups tie.
    func ordered(limit: Int?, by precedes: (Int, Int) -> Bool) -> (groups: [Int], count: Int) {
        var groups = now.indices.filter { now[$0] != .zero || then[$0] != .zero }
        let count = groups.count
        groups.sort(by: precedes)
        let limit = min(Swift.max(limit ?? count, 0), count)
        var start = 0
        while start < limit {
            var end = start + 1
            while end < count && !precedes(groups[start], groups[end]) { end += 1 }
            if end - start > 1 { groups[start..<end].sort { isKey($1, before: $0) } }
            start = end
        }
        return (Array(groups.prefix(limit)), count)
    }

    private func isKey(_ left: Int, before right: Int) -> Bool {
        switch sites {
        case .frames(let frames): return frames[left] < frames[right]
        case .stacks(let stacks, let frames, _):
            var (left, right) = (Int32(left), Int32(right))
            while left != 0 && right != 0 {
                if stacks.tree.codes[Int(left)] != stacks.tree.codes[Int(right)] {
                    let (leftFrame, rightFrame) = (stacks.frame(of: left, frames), stacks.frame(of: right, frames))
                    if leftFrame != rightFrame { return leftFrame < rightFrame }
                    if stacks.isAwaited(left) != stacks.isAwaited(right) { return stacks.isAwaited(right) }
                }
                left = stacks.tree.parents[Int(left)]
                right = stacks.tree.parents[Int(right)]
            }
            return left == 0 && right != 0
        }
    }

    /// The frames that a group's row shows.
    func row(_ group: Int) -> (site: Frame?, callStack: CallStack) {
        switch sites {
        case .frames(let frames): return (frames[group], CallStack([frames[group]]))
        case .stacks(let stacks, let frames, let attribution):
            var stack: [Frame] = []
            var node = Int32(group)
            var isAsync = false
            while node != 0 {
                var frame = stacks.frame(of: node, frames)
                frame.isAsync = isAsync
                stack.append(frame)
                isAsync = stacks.isAwaited(node)
                node = stacks.tree.parents[Int(node)]
            }
            let isCut = stack.last == .cut
            let site = attribution == .user ? stack.first { !$0.isSystem } ?? stack.first : stack.first
            return (site, CallStack(stack, totalFrameCount: isCut ? nil : stack.count))
        }
    }
}

/// Charges the keys of a frame table with the costs of stacks.
private struct Charges {
    private let table: FrameTable
    private(set) var now: [Tally]
    private(set) var then: [Tally]
    private(set) var charged: [Bool]
    private var isOld = false
    /// For each key the last stack that was charged to it.
    private var lastStack: [Int]
    private var stackNumber = 0

    init(_ table: FrameTable) {
        self.table = table
        now = [Tally](repeating: .zero, count: table.keyCount)
        then = now
        lastStack = [Int](repeating: 0, count: table.keyCount)
        charged = [Bool](repeating: false, count: table.keys.count)
    }

    mutating func startOld() { isOld = true }

    /// Charges each stack to its call site. Time: one step per node and per stack.
    mutating func add(_ snapshot: Snapshot, _ index: Int, _ metric: Metric, _ attribution: Attribution) {
        let sites = snapshot.callSites(table, index, attribution)
        for cost in snapshot.costs where cost[metric] != .zero {
            charge(snapshot.hasNode(cost.stack) ? Int(sites[Int(cost.stack)]) : FrameTable.unknown, cost[metric])
        }
    }

    /// Charges each stack to all its frames, to recursive ones once. Time: one step per frame of each stack.
    mutating func addCumulative(_ snapshot: Snapshot, _ index: Int, _ metric: Metric) {
        for cost in snapshot.costs where cost[metric] != .zero {
            stackNumber += 1
            var node = snapshot.hasNode(cost.stack) ? Int(cost.stack) : 0
            if node == 0 { charge(FrameTable.unknown, cost[metric]) }
            while node != 0 {
                for occurrence in table.occurrences(of: snapshot.nodes[node], in: index) {
                    let key = Int(table.keys[occurrence])
                    guard lastStack[key] != stackNumber else { continue }
                    lastStack[key] = stackNumber
                    charge(occurrence, cost[metric])
                }
                node = snapshot.parent(of: node)
            }
        }
    }

    private mutating func charge(_ occurrence: Int, _ tally: Tally) {
        charged[occurrence] = true
        let key = Int(table.keys[occurrence])
        if isOld { then[key] += tally } else { now[key] += tally }
    }
}

extension Snapshot {
    /// For each node the occurrence of the frame that its stack's cost is charged to: the innermost that is not system code,
    /// else the innermost.
    func callSites(_ table: FrameTable, _ index: Int, _ attribution: Attribution) -> [Int32] {
        var users = [Int32](repeating: -1, count: nodes.count)
        var sites = [Int32](repeating: Int32(FrameTable.unknown), count: nodes.count)
        for node in nodes.indices.dropFirst() {
            let occurrences = table.occurrences(of: nodes[node], in: index)
            let parent = parent(of: node)
            users[node] = occurrences.first { !table.isSystem[$0] }.map(Int32.init) ?? users[parent]
            let innermost = occurrences.first.map(Int32.init) ?? sites[parent]
            sites[node] = attribution == .user && users[node] >= 0 ? users[node] : innermost
        }
        return sites
    }
}
