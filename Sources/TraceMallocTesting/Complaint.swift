// Complaint.swift: what a test that is outside of its limit is told.
import AllocationProfile
import AllocationRecording
import TraceMalloc

/// A sentence with the figures, then the places that allocated most.
struct Complaint {
    let text: String

    private static let mostSites = 5
    private static let mostFrames = 10

    /// Nil when the figures are within the bound.
    init?(_ bound: AllocationLimit.Bound, _ figures: WindowFigures) {
        var figures = figures
        figures.leaveOutChecks()
        let sentence: String
        var order = StatisticOrder.count
        switch bound {
        case .count(let range):
            if range.contains(figures.allocated.count) { return nil }
            let allowed = range.lowerBound == 0 ? "at most \(range.upperBound) are" : "\(range.lowerBound) to \(range.upperBound) are"
            sentence = "\(Self.allocations(figures.allocated.count)) (\(TextForm.size(figures.allocated.bytes))) where \(allowed) allowed"
        case .peakBytes(let most):
            if figures.peak.bytes <= most { return nil }
            order = .bytes
            let blocks = figures.peak.count == 1 ? "1 block" : "\(figures.peak.count) blocks"
            sentence = "\(TextForm.size(figures.peak.bytes)) in \(blocks) at the peak where at most \(TextForm.size(most)) are allowed"
        }
        let stacks = AllocationWindow.named(figures.stacks)
        let sites = (try? stacks.statistics(groupedBy: .traceback, measuring: .total, sortedBy: order)) ?? []
        var lines = [sentence + (sites.isEmpty ? "" : "; most by")]
        for site in sites.prefix(Self.mostSites) { lines += Self.lines(of: site) }
        if sites.count > Self.mostSites { lines.append("and \(sites.count - Self.mostSites) other call stacks") }
        text = lines.joined(separator: "\n")
    }

    /// What calls the test: code that its macro made, or the runtime that runs its task.
    private static func isBehindTest(_ frame: Frame) -> Bool {
        frame.file?.contains("@__swiftmacro_") == true || frame.function?.contains("runJobInEstablishedExecutorContext") == true
    }

    private static func allocations(_ count: Int) -> String { count == 1 ? "1 allocation" : "\(count) allocations" }

    /// The site with its figures, then the frames from the site outward as far as the test's own code goes.
    private static func lines(of statistic: Statistic) -> [String] {
        let frames = Array(statistic.callStack.drop { $0.isSystem }.prefix { !isBehindTest($0) })
        let outermost = frames.lastIndex { !$0.isSystem && $0.line != nil }
        let shown = CallStack(Array(frames.prefix((outermost ?? -1) + 1).prefix(mostFrames)))
        return ["  \(statistic)"] + shown.formatted(mostRecentFirst: true).map { "  " + $0 }
    }
}
