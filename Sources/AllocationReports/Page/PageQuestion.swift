// PageQuestion.swift: what a page is asked for.
package import AllocationProfile

/// What a page shows at first, and what belongs into it.
package struct PageQuestion: Hashable, Sendable {
    package var grouping = Grouping.line
    package var metric = Metric.current
    package var order = StatisticOrder.bytes
    package var attribution = Attribution.user
    /// At most about so many calls are in the page; the smallest are summed up. A browser draws its first picture of so many
    /// within a quarter of a second.
    package var callLimit = 60_000

    package init() {}
}
