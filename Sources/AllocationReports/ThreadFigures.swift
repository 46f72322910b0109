// ThreadFigures.swift: what each thread of a process allocated, for `stats`.
import AllocationProfile

/// The figures of malloc's blocks by the thread that allocated them, most bytes first.
struct ThreadFigures {
    let thread: TracedThread
    private(set) var current = Tally.zero
    private(set) var peak = Tally.zero
    private(set) var total = Tally.zero

    /// Threads that allocated anything.
    static func all(_ snapshot: Snapshot) -> [ThreadFigures] {
        var figures = snapshot.threads.map { ThreadFigures(thread: $0) }
        for cost in snapshot.costs where cost.domain == 0 && figures.indices.contains(Int(cost.thread)) {
            figures[Int(cost.thread)].current += cost.current
            figures[Int(cost.thread)].peak += cost.peak
            figures[Int(cost.thread)].total += cost.total
        }
        return figures.enumerated().filter { $0.element.total != .zero }
            .sorted { ($0.element.total.bytes, $1.offset) > ($1.element.total.bytes, $0.offset) }.map(\.element)
    }

    var json: JSONValue {
        .object([
            ("tid", .integer(Int(thread.id))), ("name", .string(thread.name)), ("allocations", .integer(total.count)),
            ("bytesAllocated", .integer(total.bytes)), ("currentBlocks", .integer(current.count)),
            ("currentBytes", .integer(current.bytes)), ("peakBlocks", .integer(peak.count)), ("peakBytes", .integer(peak.bytes)),
        ])
    }

    /// `tid` 4711, 39.1 KiB in 7 blocks alive …
    var text: String {
        "\(PrintableText.name(thread.description)): \(PrintableText.count(total.count, "allocation")), \(TextForm.size(total.bytes)); "
            + "alive \(ProcessFigures.memory(current))"
    }
}
