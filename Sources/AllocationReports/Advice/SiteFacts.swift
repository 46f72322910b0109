// SiteFacts.swift: everything that is known about one call site, summed up over its stacks.
import AllocationProfile

/// The costs of all stacks that are charged to one call site.
struct SiteFacts: Sendable {
    let site: Frame
    var cost = StackCost(stack: 0)
    /// Allocations by size, as in the snapshots' histograms.
    var sizes = [UInt64](repeating: 0, count: StackCost.sizeBuckets)
    /// Allocations that were made to replace a container's memory by a larger one.
    var containerGrowth = Tally.zero

    /// What a site left alive in finished generations of one process.
    struct Kept {
        var tally = Tally.zero
        var generations = 0
    }

    fileprivate mutating func add(_ other: StackCost, _ histograms: Histograms) {
        cost.current += other.current
        cost.peak += other.peak
        cost.total += other.total
        cost.temporary += other.temporary
        cost.growth += other.growth
        for (index, count) in histograms[other.sizes].prefix(StackCost.sizeBuckets).enumerated() { sizes[index] &+= count }
    }

    /// One for each call site, in no particular order.
    static func all(_ snapshots: [Snapshot], _ table: CallSiteTable) -> [SiteFacts] {
        var facts = table.sites.map { SiteFacts(site: $0) }
        for (snapshot, sites) in zip(snapshots, table.siteOfCost) {
            let grows = snapshot.growsContainers()
            for (cost, site) in zip(snapshot.costs, sites) {
                facts[Int(site)].add(cost, snapshot.histograms)
                if grows[snapshot.node(of: cost)] { facts[Int(site)].containerGrowth += cost.total }
            }
        }
        return facts.filter { $0.cost.total != .zero || $0.cost.current != .zero }
    }

    /// For each call site what its finished generations kept. The first one is not asked, as programs set up what they
    /// keep, and neither is the last one, which is not over.
    static func kept(by snapshot: Snapshot, _ siteOfCost: [Int32]) -> [(site: Int32, kept: Kept)] {
        let finished = 1..<max(1, snapshot.marks.count - 1)
        // Both lists ascend by stack.
        var rows: [(site: Int32, generation: Int32, live: Tally)] = []
        var index = 0
        for row in snapshot.liveByGeneration where finished.contains(Int(row.generation)) && row.live.bytes > 0 {
            // All costs of a stack have one site.
            while index < snapshot.costs.count && snapshot.costs[index].stack < row.stack { index += 1 }
            guard index < snapshot.costs.count, snapshot.costs[index].stack == row.stack else { continue }
            rows.append((siteOfCost[index], row.generation, row.live))
        }
        rows.sort { ($0.site, $0.generation) < ($1.site, $1.generation) }
        var result: [(site: Int32, kept: Kept)] = []
        var previous: Int32?
        for row in rows {
            if result.last?.site != row.site {
                result.append((row.site, Kept()))
                previous = nil
            }
            result[result.count - 1].kept.tally += row.live
            if row.generation != previous { result[result.count - 1].kept.generations += 1 }
            previous = row.generation
        }
        return result
    }
}

extension Snapshot {
    /// For each node whether its stack, from the allocator out to the call site, goes through a container's growth.
    fileprivate func growsContainers() -> [Bool] {
        let growing = locations.map { $0.frames.prefix(while: \.isSystem).contains(where: \.growsContainer) }
        let isSystem = locations.map { !$0.frames.isEmpty && $0.frames.allSatisfy(\.isSystem) }
        var result = [Bool](repeating: false, count: nodes.count)
        for node in nodes.indices.dropFirst() {
            guard let location = location(of: node) else { continue }
            result[node] = growing[location] || (isSystem[location] && result[caller(of: node)])
        }
        return result
    }
}

extension Frame {
    /// Functions of standard libraries that run only when a container is full. `reserve` and `reserveCapacity` are none.
    private static let containerGrowth = [
        // libstdc++: vector, string, deque, unordered containers
        "_M_realloc_insert", "_M_realloc_append", "_M_default_append", "_M_fill_insert", "_M_range_insert", "::_M_mutate(",
        "_M_reallocate_map", "::_M_rehash",
        // libc++
        "__push_back_slow_path", "__emplace_back_slow_path", "__grow_by",
        // Swift: Array, String, Dictionary, Set
        "_reserveCapacityAssumingUniqueBuffer", "reserveCapacityForAppend", "_StringGuts.grow(", "_NativeDictionary.resize(",
        "_NativeDictionary.copyAndResize(", "_NativeSet.resize(", "_NativeSet.copyAndResize(",
    ]

    fileprivate var growsContainer: Bool {
        guard let function else { return false }
        return Frame.containerGrowth.contains { function.contains($0) }
    }
}
