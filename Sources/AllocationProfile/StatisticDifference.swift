// StatisticDifference.swift: one row of a comparison.

/// How the memory of one group differs from an older snapshot.
public struct StatisticDifference: Hashable, Sendable, CustomStringConvertible {
    /// As `Statistic.site`.
    public let site: Frame?
    /// As `Statistic.callStack`.
    public let callStack: CallStack
    /// The memory of the group now; zero when it is gone.
    public let tally: Tally
    /// Now minus then: the whole tally for new groups, negative for groups that are gone.
    public let difference: Tally

    /// A row; `Snapshot.differences` makes them.
    public init(site: Frame?, callStack: CallStack, tally: Tally, difference: Tally) {
        self.site = site
        self.callStack = callStack
        self.tally = tally
        self.difference = difference
    }

    /// Requested bytes now.
    public var bytes: Int { tally.bytes }
    /// Bytes now minus bytes then.
    public var bytesDifference: Int { difference.bytes }
    /// Number of blocks now.
    public var count: Int { tally.count }
    /// Blocks now minus blocks then.
    public var countDifference: Int { difference.count }
    /// Bytes per block now; nil when there are no blocks.
    public var average: Double? { tally.average }
    /// The text of the site.
    public var key: String { (site ?? .unknown).description }
    /// `main.swift:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B`
    public var description: String { "\(key): \(TextForm.tally(tally, difference: difference))" }
}

/// The rows of a comparison with what was left out of it.
public struct StatisticDifferenceTable: Hashable, Sendable {
    /// Largest change first; at most as many as asked for.
    public let differences: [StatisticDifference]
    /// Number of groups in either snapshot, those beyond the limit included.
    public let groupCount: Int
    /// The memory of all stacks now.
    public let total: Tally
    /// The memory of all stacks then.
    public let oldTotal: Tally
}
