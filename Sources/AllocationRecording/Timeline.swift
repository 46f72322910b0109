// Timeline.swift: memory over time, in a bounded number of points however long the run.
import AllocationProfile

/// Points at equal distances. When there are too many, every other one goes and the distance doubles.
struct Timeline {
    struct Point {
        var clock: UInt64
        /// Seconds since the start, where the clock cannot tell.
        var seconds: Double
        var live: Tally
        var residentBytes: Int
        /// Rows of the largest stacks.
        var largest: [(row: Int, bytes: Int)]
    }

    static let mostPoints = 500

    private(set) var points: [Point] = []
    /// Distance of the points, in ticks.
    private(set) var interval: UInt64
    /// The time up to which no further point is wanted.
    private(set) var next: UInt64

    init(start: UInt64, interval: UInt64) {
        self.interval = max(interval, 1)
        next = start
    }

    mutating func setInterval(_ ticks: UInt64) {
        if points.isEmpty { interval = max(ticks, 1) }
    }

    /// Adds a point for `clock`, the time of an event after `next`.
    mutating func add(_ point: Point) {
        points.append(point)
        if points.count >= Self.mostPoints {
            points = points.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            interval = interval.multipliedReportingOverflow(by: 2).overflow ? interval : interval * 2
        }
        let (after, overflow) = (points.last?.clock ?? point.clock).addingReportingOverflow(interval)
        next = overflow ? .max : after
    }

    /// Nothing changed until `clock`: the next point is the last one before it.
    mutating func skip(to clock: UInt64) {
        if clock > next { next += (clock - next) / interval * interval }
    }

    mutating func removeAll() { points = [] }
}
