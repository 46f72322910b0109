// Snapshot+Filter.swift: a snapshot reduced to the stacks that filters let through.

extension Snapshot {
    /// The snapshot with only those stacks that match at least one inclusive filter (if there are any) and no exclusive one.
    ///
    /// The process's totals become those of the stacks that are left: allocations, frees, current, peak and temporary figures.
    /// Its time line is dropped, as it cannot be divided. An empty list changes nothing. `attribution` says which frame
    /// filters look at that do not look at all.
    public func filtered(by filters: [Filter], attribution: Attribution = .user) -> Snapshot {
        guard !filters.isEmpty else { return self }
        // Only occurrences are asked for: any keys will do, and these are the cheapest.
        let table = FrameTable([self], groupedBy: .module)
        let sites = callSites(table, 0, attribution)
        var kept = [Bool](repeating: !filters.contains { $0.isInclusive }, count: nodes.count)
        for filter in filters where filter.isInclusive {
            for (node, matches) in matches(filter, table, sites).enumerated() where matches { kept[node] = true }
        }
        for filter in filters where !filter.isInclusive {
            for (node, matches) in matches(filter, table, sites).enumerated() where matches { kept[node] = false }
        }

        var result = self
        result.costs.removeAll { !kept[hasNode($0.stack) ? Int($0.stack) : 0] }
        result.liveByGeneration.removeAll { !kept[hasNode($0.stack) ? Int($0.stack) : 0] }
        result.objects.removeAll { !kept[hasNode($0.stack) ? Int($0.stack) : 0] }
        result.timeline = []
        result.sumUpProcess()
        return result
    }

    /// For each node whether the stack that ends there matches.
    private func matches(_ filter: Filter, _ table: FrameTable, _ sites: [Int32]) -> [Bool] {
        guard filter.matchesDomain else { return [Bool](repeating: false, count: nodes.count) }
        // Every frame is asked once, however many stacks it stands on.
        let frames = occurrences(table).map(filter.matches)
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

    /// Makes the process's totals those of its stacks.
    mutating func sumUpProcess() {
        let (total, temporary) = (total(of: .total), total(of: .temporary))
        process.current = self.total(of: .current)
        process.peak = self.total(of: .peak)
        process.allocations = total.count
        process.bytesAllocated = total.bytes
        process.frees = (total - process.current).count
        process.bytesFreed = (total - process.current).bytes
        process.temporaryAllocations = temporary.count
        process.temporaryBytes = temporary.bytes
    }
}
