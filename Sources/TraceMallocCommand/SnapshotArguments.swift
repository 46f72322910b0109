// SnapshotArguments.swift: options that the reading commands share.
public import AllocationProfile
import AllocationReports
import AllocationStore
public import ArgumentParser

extension Metric: ExpressibleByArgument {}
extension Grouping: ExpressibleByArgument {}
extension StatisticOrder: ExpressibleByArgument {}
extension Attribution: ExpressibleByArgument {}

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json
}

/// Which memory, in which rows.
struct QuestionOptions: ParsableArguments {
    @Option(name: .customLong("by"), help: "What makes a row.")
    var grouping = Grouping.line

    @Option(help: "What is counted.")
    var metric = Metric.current

    @Option(help: "Which column sorts.")
    var sort = StatisticOrder.bytes

    @Option(help: ArgumentHelp("Print at most N rows, 0 for all (default: 30 on a terminal, else all).", valueName: "n"))
    var top: Int?

    @Flag(help: "Charge every frame of a stack, not just its call site.")
    var cumulative = false

    @Option(help: "Which frame is the call site: the innermost outside of system libraries, or the innermost of all.")
    var attribute = Attribution.user

    func validate() throws {
        if let top, top < 0 { throw ValidationError("--top cannot be negative.") }
        if grouping == .type && cumulative { throw CommandError.unanswerable(.cumulativeType) }
        if grouping == .traceback && cumulative { throw CommandError.unanswerable(.cumulativeTraceback) }
    }

    func question(for format: OutputFormat) -> ReportQuestion {
        var question = ReportQuestion()
        question.grouping = grouping
        question.metric = metric
        question.order = sort
        question.attribution = attribute
        question.isCumulative = cumulative
        question.limit = RowLimit.limit(top, format)
        return question
    }
}

/// A terminal shows what is largest; a pipe gets everything, as nobody sees there that rows are missing.
enum RowLimit {
    static func limit(_ top: Int?, _ format: OutputFormat) -> Int? {
        guard let top else { return format == .text && Terminal.output.isTerminal ? 30 : nil }
        return top == 0 ? nil : top
    }
}

/// Which stacks of a file.
struct SelectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only stacks whose call site's file, function or module matches, as *name*.", valueName: "pattern"))
    var include: [String] = []

    @Option(help: ArgumentHelp("No stacks whose call site's file, function or module matches.", valueName: "pattern"))
    var exclude: [String] = []

    @Option(help: "Only this process of the file.")
    var pid: Int32?

    @Option(help: ArgumentHelp("Only what this thread allocated: its number, or a pattern for its name.", valueName: "name|tid"))
    var thread: [String] = []

    @Option(
        help: ArgumentHelp("Only this domain: 0 for malloc's blocks, others for ranges that the program tracks itself.", valueName: "n"))
    var domain: [Int] = []

    func read(_ path: String, attribution: Attribution = .user) throws(CommandError) -> [Snapshot] {
        let filters =
            include.flatMap { [Filter.include(file: $0), .include(function: $0), .include(module: $0)] }
            + exclude.flatMap { [Filter.exclude(file: $0), .exclude(function: $0), .exclude(module: $0)] }
        let snapshots = try SnapshotReader.read(path, pid: pid).snapshots
        for note in Set(snapshots.compactMap(\.process.samplingNote)).sorted() { Terminal.error.say(note) }
        let threads = thread.map { Filter.include(thread: $0) }
        if let unknown = zip(thread, threads).first(where: { !snapshots.hasThread($0.1) }) {
            throw .unknownThread(unknown.0, path: path, known: snapshots.flatMap(\.threads).map(\.description))
        }
        // Each kind of condition must hold.
        let groups = [filters, threads, domain.map { Filter.include(domain: $0) }].filter { !$0.isEmpty }
        return snapshots.map { snapshot in groups.reduce(snapshot) { $0.filtered(by: $1, attribution: attribution) } }
    }
}

extension [Snapshot] {
    fileprivate func hasThread(_ filter: Filter) -> Bool { contains { $0.threads.contains(where: filter.matchesThread) } }
}

enum SnapshotReader {
    static func read(_ path: String, pid: Int32?) throws(CommandError) -> (snapshots: [Snapshot], complete: Bool) {
        let content: (snapshots: [Snapshot], complete: Bool)
        // Small files are there before anybody could read the line.
        let showsProgress = (Unsafe.status(of: path)?.st_size ?? 0) > 4 << 20
        if showsProgress { Terminal.error.showProgress("tracemalloc: reading \(path)") }
        defer { if showsProgress { Terminal.error.clearProgress() } }
        do { content = try SnapshotFile.read(path) } catch { throw .unreadable(error) }
        guard !content.snapshots.isEmpty else { throw .emptySnapshot(path: path) }
        if !content.complete { Terminal.error.say("\(path) is a checkpoint: the recording was not finished") }
        guard let pid else { return content }
        let selected = content.snapshots.filter { $0.process.pid == pid }
        guard !selected.isEmpty else { throw .unknownProcess(pid, path: path, known: content.snapshots.map(\.process.pid)) }
        return (selected, content.complete)
    }
}
