// ProcessReport.swift: `stats`, the figures of whole processes.
package import AllocationProfile

/// The totals of each process of a run; the first is the one that was started.
package struct ProcessReport {
    private struct Row {
        var process: ProcessSummary
        var callSites: Int
        var callStacks: Int
        var threads: [ThreadFigures]
    }

    /// Threads that the text shows.
    private static let mostThreads = 8

    private let rows: [Row]
    private let isComplete: Bool

    /// - Parameter isComplete: the recording was finished; otherwise the figures are those of its last checkpoint.
    package init(_ snapshots: [Snapshot], isComplete: Bool = true) throws(ProfileError) {
        self.isComplete = isComplete
        var rows: [Row] = []
        for snapshot in snapshots {
            let sites = try [snapshot].statisticTable(groupedBy: .line, measuring: .total, limit: 0)
            rows.append(
                Row(
                    process: snapshot.process, callSites: sites.groupCount, callStacks: ProcessReport.stackCount(snapshot),
                    threads: ThreadFigures.all(snapshot)))
        }
        self.rows = rows
    }

    /// Stacks of malloc's blocks; each has a cost for every thread that it was seen on.
    private static func stackCount(_ snapshot: Snapshot) -> Int {
        var last: Int32?
        return snapshot.costs.count { cost in
            guard cost.domain == 0, cost.total != .zero, cost.stack != last else { return false }
            last = cost.stack
            return true
        }
    }

    package func text(_ style: TextStyle = .plain) -> String {
        let processes = rows.map(\.process)
        return rows.indices.map { text(of: rows[$0], ProcessFigures.isReplaced($0, among: processes), style) }.joined(separator: "\n")
    }

    private func text(of row: Row, _ isReplaced: Bool, _ style: TextStyle) -> String {
        let process = row.process
        let parent = process.parent.map { ", child of \($0)" } ?? ""
        let title = "\(PrintableText.command(process.command, limit: style.room(beside: 30))) (pid \(process.pid)\(parent))"
        var text = style.bold(title) + "\n"
        for (name, value) in ProcessFigures.lines(process, isReplaced, style) { text += ProcessFigures.line(name, value, style) }
        let cut =
            process.truncatedStacks == 0 ? "" : ", \(PrintableText.number(process.truncatedStacks)) cut at \(process.frameLimit) frames"
        let early = process.incompleteStacks == 0 ? "" : ", \(PrintableText.number(process.incompleteStacks)) ended early"
        text += ProcessFigures.line("call sites", PrintableText.number(row.callSites), style)
        text += ProcessFigures.line("call stacks", PrintableText.number(row.callStacks) + cut + early, style)
        text += ProcessFigures.line("resident at most", process.peakRSS > 0 ? TextForm.size(process.peakRSS) : "unknown", style)
        let odd = [
            ("unknown frees", process.unknownFrees), ("reentrant events", process.reentrantEvents), ("lost events", process.lostEvents),
            ("lost stacks", process.lostStacks), ("stacks compared", process.walks), ("stacks that differ", process.walkDifferences),
            ("stacks by libunwind", process.walkFallbacks),
        ]
        for (name, value) in odd where value != 0 { text += ProcessFigures.line(name, PrintableText.number(value), style) }
        if row.threads.count > 1 {
            for thread in row.threads.prefix(ProcessReport.mostThreads) { text += ProcessFigures.line("thread", thread.text, style) }
            let others = row.threads.count - ProcessReport.mostThreads
            if others > 0 { text += ProcessFigures.line("", "\(PrintableText.count(others, "further thread"))", style) }
        }
        for domain in process.domains {
            let figures =
                "\(ProcessFigures.memory(domain.current)), at most \(ProcessFigures.memory(domain.peak)); not in the figures above"
            text += ProcessFigures.line("domain \(domain.domain)", figures, style)
        }
        let collector = "\(PrintableText.count(process.collectorEvents, "event")), \(TextForm.size(process.collectorMemory)) of memory"
        text += ProcessFigures.line("collector", collector, style)
        for warning in process.warnings { text += style.warning("  warning: \(PrintableText.name(warning))") + "\n" }
        return text
    }

    /// One object: the first process's fields, then all processes.
    package func json() -> String {
        guard let first = rows.first else { return JSONValue.object([("processes", .array([]))]).text(outerLevels: 2) }
        let processes = rows.map { row in JSONValue.object(fields(of: row, hasParent: true)) }
        let whole: [(String, JSONValue)] = [("complete", .bool(isComplete)), ("processes", .array(processes))]
        return JSONValue.object(fields(of: first, hasParent: false) + whole).text(outerLevels: 2)
    }

    private func fields(of row: Row, hasParent: Bool) -> [(String, JSONValue)] {
        let process = row.process
        let exit: JSONValue =
            switch process.exit {
            case .code(let code): .object([("code", .integer(Int(code)))])
            case .signal(let signal): .object([("signal", .integer(Int(signal)))])
            case .unknown: .object([("code", .null)])
            }
        let identity: [(String, JSONValue)] =
            hasParent ? [("pid", .integer(Int(process.pid))), ("parent", process.parent.map { .integer(Int($0)) } ?? .null)] : []
        let command: [(String, JSONValue)] = [("command", .array(process.command.map(JSONValue.string)))]
        let pid: [(String, JSONValue)] = hasParent ? [] : [("pid", .integer(Int(process.pid)))]
        let figures: [(String, JSONValue)] = [
            ("exit", exit), ("duration", .number(process.duration)), ("threads", .integer(process.threads)),
            ("allocations", .integer(process.allocations)), ("frees", .integer(process.frees)),
            ("bytesAllocated", .integer(process.bytesAllocated)), ("bytesFreed", .integer(process.bytesFreed)),
            ("currentBlocks", .integer(process.current.count)), ("currentBytes", .integer(process.current.bytes)),
            ("peakBlocks", .integer(process.peak.count)), ("peakBytes", .integer(process.peak.bytes)),
            ("temporaryAllocations", .integer(process.temporaryAllocations)), ("callSites", .integer(row.callSites)),
            ("callStacks", .integer(row.callStacks)), ("unknownFrees", .integer(process.unknownFrees)),
            ("reentrantEvents", .integer(process.reentrantEvents)), ("lostEvents", .integer(process.lostEvents)),
            ("truncatedStacks", .integer(process.truncatedStacks)), ("peakRSS", .integer(process.peakRSS)),
            (
                "collector",
                .object([("events", .integer(process.collectorEvents)), ("peakMemory", .integer(process.collectorMemory))])
            ),
        ]
        let further: [(String, JSONValue)] = [
            ("executable", .string(process.executable)), ("started", .number(process.started)), ("peakTime", .number(process.peakTime)),
            ("temporaryBytes", .integer(process.temporaryBytes)), ("frameLimit", .integer(process.frameLimit)),
            ("sampledEvery", .integer(process.sampledEvery)),
            ("lostStacks", .integer(process.lostStacks)), ("incompleteStacks", .integer(process.incompleteStacks)),
            ("walks", .integer(process.walks)), ("walkDifferences", .integer(process.walkDifferences)),
            ("walkFallbacks", .integer(process.walkFallbacks)), ("warnings", .array(process.warnings.map(JSONValue.string))),
        ]
        let threads: [(String, JSONValue)] = [("byThread", .array(row.threads.map(\.json)))]
        let domains: [(String, JSONValue)] =
            process.domains.isEmpty ? [] : [("domains", .array(process.domains.map(ProcessReport.json)))]
        return identity + command + pid + figures + further + threads + domains
    }

    private static func json(_ domain: DomainSummary) -> JSONValue {
        .object([
            ("domain", .integer(domain.domain)), ("allocations", .integer(domain.allocations)), ("frees", .integer(domain.frees)),
            ("bytesAllocated", .integer(domain.bytesAllocated)), ("bytesFreed", .integer(domain.bytesFreed)),
            ("currentBlocks", .integer(domain.current.count)), ("currentBytes", .integer(domain.current.bytes)),
            ("peakBlocks", .integer(domain.peak.count)), ("peakBytes", .integer(domain.peak.bytes)),
        ])
    }
}

/// The figures that `stats` and the summary of a run have in common.
enum ProcessFigures {
    static func line(_ name: String, _ value: String, _ style: TextStyle) -> String {
        style.dim("  " + PrintableText.right(padded: name, to: 20)) + value + "\n"
    }

    static func lines(_ process: ProcessSummary, _ isReplaced: Bool, _ style: TextStyle) -> [(String, String)] {
        let alive = process.exit == .unknown ? "alive at the end" : "alive at exit"
        return [
            ("ended", end(of: process, isReplaced)),
            ("allocations", "\(PrintableText.number(process.allocations)), \(TextForm.size(process.bytesAllocated))"),
            ("frees", "\(PrintableText.number(process.frees)), \(TextForm.size(process.bytesFreed))"),
            ("peak", "\(memory(process.peak)), after \(PrintableText.duration(process.peakTime))"),
            (alive, memory(process.current)),
            (
                "temporary",
                "\(PrintableText.count(process.temporaryAllocations, "allocation")) "
                    + "(\(PrintableText.percent(process.temporaryAllocations, of: process.allocations)))"
            ),
            ("threads", PrintableText.number(process.threads)),
        ]
    }

    /// Whether another program took the process's place, by exec: a later image of the same process.
    static func isReplaced(_ index: Int, among processes: [ProcessSummary]) -> Bool {
        processes[index].exit == .unknown && processes[(index + 1)...].contains { $0.pid == processes[index].pid }
    }

    static func end(of process: ProcessSummary, _ isReplaced: Bool) -> String {
        let time = "after \(PrintableText.duration(process.duration))"
        return switch process.exit {
        case .code(let code): "with exit code \(code), \(time)"
        case .signal(let signal): "by signal \(signal), \(time)"
        case .unknown: isReplaced ? "as another program, by exec, \(time)" : "exit code unknown, \(time)"
        }
    }

    static func memory(_ tally: Tally) -> String { "\(TextForm.size(tally.bytes)) in \(PrintableText.count(tally.count, "block"))" }
}
