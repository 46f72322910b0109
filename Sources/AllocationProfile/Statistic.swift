// Statistic.swift: one row of a report.

/// What the blocks of one group have in common, and how much memory they are.
public struct Statistic: Hashable, Sendable, CustomStringConvertible {
    /// The place that is charged: what the frames of the group have in common. Groups by file have line 0, groups by function
    /// none. For groups by traceback it is the stack's call site. nil for stacks without frames.
    public let site: Frame?
    /// The whole stack for groups by traceback, else just the site.
    public let callStack: CallStack
    /// The memory of the group.
    public let tally: Tally

    /// A row; `Snapshot.statistics` makes them.
    public init(site: Frame?, callStack: CallStack, tally: Tally) {
        self.site = site
        self.callStack = callStack
        self.tally = tally
    }

    /// Requested bytes.
    public var bytes: Int { tally.bytes }
    /// Number of blocks.
    public var count: Int { tally.count }
    /// Bytes per block; nil when there are no blocks.
    public var average: Double? { tally.average }
    /// The text of the site.
    public var key: String { (site ?? .unknown).description }
    /// `main.swift:5: size=39.1 KiB, count=7, average=5719 B`
    public var description: String { "\(key): \(TextForm.tally(tally))" }
}

/// The column that sorts statistics, largest first. The other column and the key decide ties.
public enum StatisticOrder: String, CaseIterable, Sendable, Codable {
    /// Bytes first, then blocks.
    case bytes
    /// Blocks first, then bytes.
    case count
}

/// The rows of a report with what was left out of it.
public struct StatisticTable: Hashable, Sendable {
    /// Largest first; at most as many as asked for.
    public let statistics: [Statistic]
    /// Number of groups, those beyond the limit included.
    public let groupCount: Int
    /// The memory of all stacks, those beyond the limit included. Less than the sum of the rows when these are cumulative.
    public let total: Tally
}
