// PageQuestion.swift: what a page is asked for.
package import AllocationProfile

/// What a page shows at first, and what belongs into it.
package struct PageQuestion: Hashable, Sendable {
    package var grouping = Grouping.line
    package var metric = Metric.current
    package var order = StatisticOrder.bytes
    package var attribution = Attribution.user
    /// At most about so many calls are in the page; the smallest are summed up. Of so many a browser shows the
    /// first picture after a fifth of a second and everything after half a second; the file has about 5 MB.
    package var callLimit = 60_000

    package init(metric: Metric = .current) { self.metric = metric }
}
