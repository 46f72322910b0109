// RunSummary.swift: what `run` says when the program has ended.
package import AllocationProfile

/// The figures of the first process, everything that went wrong, and the largest call sites of all processes.
package struct RunSummary {
    private let snapshots: [Snapshot]
    private let table: StatisticTable

    /// - Parameter limit: at most so many call sites.
    package init(_ snapshots: [Snapshot], limit: Int) throws(ProfileError) {
        self.snapshots = snapshots
        table = try snapshots.statisticTable(groupedBy: .line, measuring: .peak, limit: limit)
    }

    package func text(_ style: TextStyle = .plain) -> String {
        guard let first = snapshots.first?.process else { return "" }
        var text = style.bold(PrintableText.command(first.command, limit: style.room(beside: 0))) + "\n"
        let isReplaced = ProcessFigures.isReplaced(0, among: snapshots.map(\.process))
        for (name, value) in ProcessFigures.lines(first, isReplaced, style) { text += ProcessFigures.line(name, value, style) }
        if snapshots.count > 1 {
            let all = snapshots.reduce(0) { $0 &+ $1.process.allocations }
            text += ProcessFigures.line("processes", "\(snapshots.count), \(PrintableText.count(all, "allocation")) in all", style)
        }
        for warning in warnings { text += style.warning("  warning: \(PrintableText.name(warning))") + "\n" }
        return text + sites(style)
    }

    /// Each sentence once, however many processes say it.
    private var warnings: [String] {
        var seen: Set<String> = []
        return snapshots.flatMap(\.process.warnings).filter { seen.insert($0).inserted }
    }

    private func sites(_ style: TextStyle) -> String {
        guard !table.statistics.isEmpty else { return "" }
        var text = style.bold("Largest at the peak\(snapshots.count > 1 ? " of each process" : ""):") + "\n"
        for statistic in table.statistics {
            let figures =
                PrintableText.left(padded: TextForm.size(statistic.bytes), to: 10)
                + PrintableText.left(padded: PrintableText.number(statistic.count), to: 11)
                + (statistic.count == 1 ? " block   " : " blocks  ")
            let function = statistic.site?.line == nil ? nil : statistic.site?.function
            let name = [statistic.key, function].compactMap(\.self).joined(separator: "  ")
            let room = style.room(beside: figures.count)
            text +=
                figures + (style.columns == nil ? PrintableText.name(name, limit: room) : PrintableText.symbol(name, columns: room)) + "\n"
        }
        let others = table.groupCount - table.statistics.count
        guard others > 0 else { return text }
        return text + style.dim(PrintableText.left(padded: PrintableText.count(others, "other call site"), to: 26)) + "\n"
    }
}
