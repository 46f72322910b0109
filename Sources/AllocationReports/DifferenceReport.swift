// DifferenceReport.swift: `compare`, how the memory of two runs differs.
package import AllocationProfile

/// The groups of two runs, largest change first.
package struct DifferenceReport {
    private let question: ReportQuestion
    private let table: StatisticDifferenceTable

    package init(old: [Snapshot], new: [Snapshot], _ question: ReportQuestion) throws(ProfileError) {
        self.question = question
        table = try new.differenceTable(
            from: old, groupedBy: question.grouping, measuring: question.metric, cumulative: question.isCumulative,
            attribution: question.attribution, sortedBy: question.order, limit: question.limit)
    }

    /// The new run has more bytes in all.
    package var hasGrown: Bool { table.total.bytes > table.oldTotal.bytes }
    /// There is no row to print.
    package var isEmpty: Bool { table.differences.isEmpty }

    /// Lines as tracemalloc prints them; by traceback each is followed by its frames, outermost first.
    package func text(_ style: TextStyle = .plain, sourceLine: (_ file: String, _ line: Int) -> String? = { _, _ in nil }) -> String {
        var text = ""
        var shown = (now: Tally.zero, difference: Tally.zero)
        let isList = question.grouping != .traceback
        let lines = table.differences.map { (key: $0.key, figures: TextForm.tally($0.tally, difference: $0.difference)) }
        let width = isList ? ReportLine.nameWidth(lines, style) : nil
        for (row, line) in zip(table.differences, lines) {
            text += ReportLine.text(key: line.key, figures: line.figures, style, width: width)
            if question.grouping == .traceback { text += ReportLine.frames(of: row.callStack, style, sourceLine) }
            shown = (shown.now + row.tally, shown.difference + row.difference)
        }
        let others = table.groupCount - table.differences.count
        guard others > 0 else { return text }
        let rest = TextForm.tally(table.total - shown.now, difference: table.total - table.oldTotal - shown.difference)
        return text + style.dim("\(PrintableText.number(others)) other\(question.isCumulative ? "" : ": " + rest)") + "\n"
    }

    package func json() -> String {
        func fields(_ tally: Tally, _ difference: Tally) -> [(String, JSONValue)] {
            [
                ("bytes", .integer(tally.bytes)), ("bytesDifference", .integer(difference.bytes)),
                ("count", .integer(tally.count)), ("countDifference", .integer(difference.count)),
            ]
        }
        let rows = table.differences.map { row in
            JSONValue.object(
                fields(row.tally, row.difference)
                    + [("average", .optional(row.average)), ("site", JSONValue(site: row.site))] + JSONValue.fields(of: row.callStack))
        }
        return JSONValue.object([
            ("metric", .string(question.metric.rawValue)), ("by", .string(question.grouping.rawValue)),
            ("total", .object(fields(table.total, table.total - table.oldTotal))), ("differences", .array(rows)),
        ]).text(outerLevels: 2)
    }
}
