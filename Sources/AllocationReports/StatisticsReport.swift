// StatisticsReport.swift: `report`, the memory of a run in rows.
package import AllocationProfile

/// The groups of one or more snapshots, largest first.
package struct StatisticsReport {
    private let question: ReportQuestion
    private let table: StatisticTable

    package init(_ snapshots: [Snapshot], _ question: ReportQuestion) throws(ProfileError) {
        self.question = question
        table = try snapshots.statisticTable(
            groupedBy: question.grouping, measuring: question.metric, cumulative: question.isCumulative,
            attribution: question.attribution, sortedBy: question.order, limit: question.limit)
    }

    /// There is no row to print.
    package var isEmpty: Bool { table.statistics.isEmpty }

    /// Lines as tracemalloc prints them; by traceback each is followed by its frames, outermost first.
    /// - Parameter sourceLine: finds the text of a source line.
    package func text(_ style: TextStyle = .plain, sourceLine: (_ file: String, _ line: Int) -> String? = { _, _ in nil }) -> String {
        var text = ""
        var shown = Tally.zero
        let isList = question.grouping != .traceback
        let width = isList ? ReportLine.nameWidth(table.statistics.map { ($0.key, TextForm.tally($0.tally)) }, style) : nil
        for statistic in table.statistics {
            text += ReportLine.text(key: statistic.key, figures: TextForm.tally(statistic.tally), style, width: width)
            if question.grouping == .traceback { text += ReportLine.frames(of: statistic.callStack, style, sourceLine) }
            shown += statistic.tally
        }
        let others = table.groupCount - table.statistics.count
        guard others > 0 else { return text }
        // Cumulative rows overlap: what the others have cannot be told from the total.
        let figures = question.isCumulative ? "" : ": " + TextForm.tally(table.total - shown)
        return text + style.dim("\(PrintableText.number(others)) other\(figures)") + "\n"
    }

    package func json() -> String {
        let rows = table.statistics.map { statistic in
            JSONValue.object(
                [
                    ("bytes", .integer(statistic.bytes)), ("count", .integer(statistic.count)),
                    ("average", .optional(statistic.average)), ("site", JSONValue(site: statistic.site)),
                ] + JSONValue.fields(of: statistic.callStack))
        }
        return JSONValue.object([
            ("metric", .string(question.metric.rawValue)), ("by", .string(question.grouping.rawValue)), ("total", JSONValue(table.total)),
            ("statistics", .array(rows)),
        ]).text(outerLevels: 2)
    }
}

/// The form of a printed row, for statistics and for differences.
enum ReportLine {
    /// - Parameter width: of a column of names, as `nameWidth` gives it; nil for a line that stands alone.
    static func text(key: String, figures: String, _ style: TextStyle, width: Int? = nil) -> String {
        let room = width ?? style.room(beside: figures.count + 2)
        let name = style.columns == nil ? PrintableText.name(key, limit: room) : PrintableText.symbol(key, columns: room)
        let padding = String(repeating: " ", count: max(0, (width ?? 0) - PrintableText.columns(of: name)))
        return "\(style.bold(name)): \(padding)\(figures)\n"
    }

    /// On a terminal figures stand below each other: behind the widest name, or where the widest figures leave room.
    static func nameWidth(_ lines: [(key: String, figures: String)], _ style: TextStyle) -> Int? {
        guard style.columns != nil, let figures = lines.map(\.figures.count).max() else { return nil }
        let names = lines.map { PrintableText.columns(of: PrintableText.name($0.key, limit: 4000)) }.max() ?? 0
        return min(names, style.room(beside: figures + 2))
    }

    static func frames(of callStack: CallStack, _ style: TextStyle, _ sourceLine: (_ file: String, _ line: Int) -> String?) -> String {
        // Names become printable first, so source is looked up under the names that they had.
        var originals: [String: String] = [:]
        let printable = callStack.map { frame in
            let printable = frame.printable
            if let file = frame.file, let name = printable.file { originals[name] = file }
            return printable
        }
        let lines = CallStack(printable, totalFrameCount: callStack.totalFrameCount).formatted { file, line in
            sourceLine(originals[file] ?? file, line).map { PrintableText.name($0) }
        }
        // A terminal would break long names anywhere.
        return lines.map { line in
            guard let columns = style.columns, PrintableText.columns(of: line) > columns else { return line + "\n" }
            let indentation = line.prefix { $0 == " " }
            let text = String(line.dropFirst(indentation.count))
            return indentation + PrintableText.symbol(text, columns: max(24, columns - indentation.count)) + "\n"
        }.joined()
    }
}
