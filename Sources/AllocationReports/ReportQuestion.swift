// ReportQuestion.swift: what a report is asked for.
package import AllocationProfile

/// The parameters that `report` and `compare` share.
package struct ReportQuestion: Hashable, Sendable {
    package var grouping = Grouping.line
    package var metric = Metric.current
    package var order = StatisticOrder.bytes
    package var attribution = Attribution.user
    package var isCumulative = false
    /// At most so many rows.
    package var limit: Int?

    package init() {}
}
