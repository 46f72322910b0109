// Snapshot+Filter.swift: a snapshot reduced to the stacks that filters let through.

extension Snapshot {
    /// The snapshot with only those stacks that match at least one inclusive filter (if there are any) and no exclusive one.
    ///
    /// The process's totals become those of the stacks that are left: allocations, frees, current, peak and temporary figures, and
    /// those of its domains.
    /// Its time line is dropped, as it cannot be divided. An empty list changes nothing. `attribution` says which frame
    /// filters look at that do not look at all.
    public func filtered(by filters: [Filter], attribution: Attribution = .user) -> Snapshot {
        guard !filters.isEmpty else { return self }
        // Only occurrences are asked for: any keys will do, and these are the cheapest.
        let table = FrameTable([self], groupedBy: .module)
        let sites = callSites(table, 0, attribution)
        let included = filters.filter(\.isInclusive).map { Matches($0, self, nodes: matches($0, table, sites)) }
        let excluded = filters.filter { !$0.isInclusive }.map { Matches($0, self, nodes: matches($0, table, sites)) }
        func isKept(_ stack: Int32, _ domain: Int, _ thread: Int32) -> Bool {
            let node = hasNode(stack) ? Int(stack) : 0
            return (included.isEmpty || included.contains { $0.hold(node, domain, thread) })
                && !excluded.contains { $0.hold(node, domain, thread) }
        }

        var result = self
        result.costs.removeAll { !isKept($0.stack, $0.domain, $0.thread) }
        result.liveByGeneration.removeAll { !isKept($0.stack, $0.domain, $0.thread) }
        // Types are known of stacks, not of threads.
        let kept = Set(result.costs.lazy.filter { $0.domain == 0 }.map(\.stack))
        result.objects.removeAll { !kept.contains($0.stack) }
        result.timeline = []
        result.sumUpProcess()
        return result
    }

    /// What a filter matches of a snapshot.
    private struct Matches {
        let filter: Filter
        /// For each node whether the stack that ends there matches.
        let nodes: [Bool]
        let threads: [Bool]
        private let others: Bool

        init(_ filter: Filter, _ snapshot: Snapshot, nodes: [Bool]) {
            self.filter = filter
            self.nodes = nodes
            threads = snapshot.threads.map(filter.matchesThread)
            others = filter.matchesThread(.others)
        }

        func hold(_ node: Int, _ domain: Int, _ thread: Int32) -> Bool {
            nodes[node] && filter.matches(domain: domain)
                && (threads.indices.contains(Int(thread)) ? threads[Int(thread)] : others)
        }
    }

    /// For each node whether the stack that ends there matches.
    private func matches(_ filter: Filter, _ table: FrameTable, _ sites: [Int32]) -> [Bool] {
        // Every frame is asked once, however many stacks it stands on.
        let frames = occurrences(table).map { filter.matches($0) }
        guard filter.allFrames else { return sites.map { frames[Int($0)] } }
        var matches = [Bool](repeating: false, count: nodes.count)
        matches[0] = frames[FrameTable.unknown]
        for node in nodes.indices.dropFirst() {
            let parent = parent(of: node)
            matches[node] = (parent != 0 && matches[parent]) || table.occurrences(of: nodes[node], in: 0).contains { frames[$0] }
        }
        return matches
    }

    private func occurrences(_ table: FrameTable) -> [Frame] {
        FrameTable.markers + locations.flatMap { $0.frames.isEmpty ? [unnamedFrame(of: $0)] : $0.frames }
    }

    /// Makes the process's totals those of its stacks: of malloc's blocks, and of each domain by itself.
    mutating func sumUpProcess() {
        var sums: [Int: StackCost] = [0: StackCost(stack: 0)]
        for cost in costs {
            sums[cost.domain, default: StackCost(stack: 0)].current += cost.current
            sums[cost.domain]?.peak += cost.peak
            sums[cost.domain]?.total += cost.total
            sums[cost.domain]?.temporary += cost.temporary
        }
        let own = sums.removeValue(forKey: 0) ?? StackCost(stack: 0)
        process.current = own.current
        process.peak = own.peak
        process.allocations = own.total.count
        process.bytesAllocated = own.total.bytes
        process.frees = (own.total - own.current).count
        process.bytesFreed = (own.total - own.current).bytes
        process.temporaryAllocations = own.temporary.count
        process.temporaryBytes = own.temporary.bytes
        process.domains = sums.sorted { $0.key < $1.key }.map { domain, sum in
            let freed = sum.total - sum.current
            return DomainSummary(
                domain: domain, allocations: sum.total.count, frees: freed.count, bytesAllocated: sum.total.bytes,
                bytesFreed: freed.bytes, current: sum.current, peak: sum.peak)
        }
    }
}
