// Snapshot+Statistics.swift: snapshots grouped into rows, and compared with older ones.

extension Snapshot {
    /// Innermost frames that were kept of each stack.
    public var frameLimit: Int { process.frameLimit }

    /// The blocks of malloc that were alive at the moment when their bytes were at the maximum.
    ///
    ///     for line in try snapshot.statistics(groupedBy: .line, measuring: .peak) { print(line) }   // and where they came from
    public var peak: Tally { process.peak }

    /// The memory of all stacks.
    public func total(of metric: Metric) -> Tally { costs.reduce(.zero) { $0 + $1[metric] } }

    /// The memory of the snapshot in groups, largest first.
    ///
    /// - Parameters:
    ///   - grouping: what makes a group.
    ///   - metric: what is counted. Groups without any of it have no row.
    ///   - cumulative: charge every frame of a stack, not just its call site. A frame that recurs in a stack is charged once.
    ///   - attribution: which frame is the call site; cumulative statistics have no use for it.
    ///   - order: the column that sorts. Ties are decided by the other column, then by the key, last one first.
    ///   - limit: at most so many rows.
    /// - Throws: `ProfileError.cumulativeTraceback`, `ProfileError.cumulativeType`.
    public func statistics(
        groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> [Statistic] {
        try [self].statistics(
            groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution, sortedBy: order, limit: limit)
    }

    /// How the memory of the snapshot differs from an older one, largest change first.
    ///
    /// Groups that are gone have a zero tally and a negative difference, new ones differ by all they have, and unchanged ones
    /// are kept. Parameters and errors as for `statistics`; `order` names the column whose change sorts: ties are decided by
    /// its value, then by the change and value of the other column, then by the key, last one first.
    public func differences(
        from old: Snapshot, groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> [StatisticDifference] {
        try [self].differences(
            from: [old], groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution,
            sortedBy: order, limit: limit)
    }
}

/// Several processes in one report: groups with the same key are one row. Tallies are added, peaks as well, although
/// processes rarely reach theirs at the same moment.
extension [Snapshot] {
    /// As `Snapshot.statistics`.
    public func statistics(
        groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> [Statistic] {
        try statisticTable(
            groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution, sortedBy: order, limit: limit
        ).statistics
    }

    /// As `statistics`, with the number of groups and the total of all stacks.
    public func statisticTable(
        groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> StatisticTable {
        let costs = try GroupedCosts(
            new: self, old: [], groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution)
        let now = costs.now
        let (groups, count) = costs.ordered(limit: limit) { left, right in
            switch order {
            case .bytes: (now[left].bytes, now[left].count) > (now[right].bytes, now[right].count)
            case .count: (now[left].count, now[left].bytes) > (now[right].count, now[right].bytes)
            }
        }
        let statistics = groups.map { group in
            let (site, callStack) = costs.row(group)
            return Statistic(site: site, callStack: callStack, tally: now[group])
        }
        return StatisticTable(statistics: statistics, groupCount: count, total: costs.total)
    }

    /// As `Snapshot.differences`.
    public func differences(
        from old: [Snapshot], groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> [StatisticDifference] {
        try differenceTable(
            from: old, groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution,
            sortedBy: order, limit: limit
        ).differences
    }

    /// As `differences`, with the number of groups and the totals of all stacks.
    public func differenceTable(
        from old: [Snapshot], groupedBy grouping: Grouping, measuring metric: Metric = .current, cumulative: Bool = false,
        attribution: Attribution = .user, sortedBy order: StatisticOrder = .bytes, limit: Int? = nil
    ) throws(ProfileError) -> StatisticDifferenceTable {
        let costs = try GroupedCosts(
            new: self, old: old, groupedBy: grouping, measuring: metric, cumulative: cumulative, attribution: attribution)
        let now = costs.now
        let change = zip(now, costs.then).map { $0 - $1 }
        let (groups, count) = costs.ordered(limit: limit) { left, right in
            let bytes = (change[left].bytes.magnitude, now[left].bytes)
            let otherBytes = (change[right].bytes.magnitude, now[right].bytes)
            let blocks = (change[left].count.magnitude, now[left].count)
            let otherBlocks = (change[right].count.magnitude, now[right].count)
            switch order {
            case .bytes: return bytes != otherBytes ? bytes > otherBytes : blocks > otherBlocks
            case .count: return blocks != otherBlocks ? blocks > otherBlocks : bytes > otherBytes
            }
        }
        let differences = groups.map { group in
            let (site, callStack) = costs.row(group)
            return StatisticDifference(site: site, callStack: callStack, tally: now[group], difference: change[group])
        }
        return StatisticDifferenceTable(
            differences: differences, groupCount: count, total: costs.total, oldTotal: costs.oldTotal)
    }
}
