// Compare.swift: `tracemalloc compare`, how the memory of two runs differs, in rows or as a page.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Show how the memory of two runs, or of two generations of one run, differs.",
        usage: """
            tracemalloc compare [options] OLD NEW
            tracemalloc compare [options] FILE --from MARK --to MARK
            """,
        discussion: """
            With --from and --to, what was allocated after one mark, before the next, and is alive, against the same of another \
            mark. MARK is its name or its number; 0 is the time before the first mark.

            The page's default name is that of both files: before-after.html.

            Example:
              tracemalloc compare before.tmalloc after.tmalloc --by function --fail-on-growth
              tracemalloc compare before.tmalloc after.tmalloc --html -o change.html
              tracemalloc compare server.tmalloc --from 3 --to "after login"
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var old: String

    @Argument(help: "A later one; none with --from and --to.", completion: .file())
    var new: String?

    @Option(help: ArgumentHelp("Compare what is alive of the generation that MARK began …", valueName: "mark"))
    var from: String?

    @Option(help: ArgumentHelp("… with what is alive of this one.", valueName: "mark"))
    var to: String?

    @OptionGroup var options: QuestionOptions
    @OptionGroup var selection: SelectionOptions

    @Option(help: "How to print.")
    var format = OutputFormat.text

    @Flag(help: "Exit with 1 when the second has more bytes in all.")
    var failOnGrowth = false

    @OptionGroup var page: PageOptions

    func validate() throws {
        try page.check(options, format)
        if (from == nil) != (to == nil) { throw ValidationError("--from and --to go together.") }
        if (new == nil) == (from == nil) {
            throw ValidationError("compare needs two files, or one with --from MARK and --to MARK.")
        }
        if from != nil, options.metric != .current {
            throw ValidationError("Of generations it is known what is alive: --metric \(options.metric.rawValue) is not.")
        }
    }

    /// What is compared: two files, or two generations of one.
    private func read() throws(CommandError) -> (old: [Snapshot], new: [Snapshot]) {
        let before = try selection.read(old, attribution: options.attribute)
        if let new { return (before, try selection.read(new, attribution: options.attribute)) }
        return (try generation(from ?? "", of: before), try generation(to ?? "", of: before))
    }

    /// The blocks of the generation that `mark` began, in the processes that have such a mark.
    private func generation(_ mark: String, of snapshots: [Snapshot]) throws(CommandError) -> [Snapshot] {
        var born: [Snapshot] = []
        for snapshot in snapshots {
            let marks = snapshot.marks
            // A name that is a number is still a name; of marks with one name the last counts.
            guard
                let index = marks.indices.last(where: { $0 > 0 && marks[$0].name == mark })
                    ?? Int(mark).flatMap({ marks.indices.contains($0) ? $0 : nil })
            else { continue }
            born.append(snapshot.born(in: index))
        }
        guard !born.isEmpty else {
            throw .noMark(
                mark, path: old, known: snapshots.flatMap { $0.marks.enumerated().dropFirst().map { "\($0.offset) \($0.element.name)" } })
        }
        return born
    }

    func run() throws {
        if page.html { return try writePage() }
        let (before, after) = try read()
        let report: DifferenceReport
        do { report = try DifferenceReport(old: before, new: after, options.question(for: format)) } catch {
            throw CommandError.unanswerable(error)
        }
        let sources = SourceLines()
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style, sourceLine: sources.line))
        if report.isEmpty, format == .text { Terminal.error.say("nothing to show: no stack has \(options.metric.rawValue) memory") }
        if failOnGrowth && report.hasGrown { throw ExitCode(1) }
    }

    private func writePage() throws {
        var hasGrown = false
        // A mark's name may hold anything, a slash too.
        let second = new.map { Frame.fileName(of: PageOptions.stem($0)) } ?? "generations"
        try page.write(named: PageOptions.stem(old) + "-" + second + ".html") {
            let (before, after) = try read()
            hasGrown = after.bytes(options.metric) > before.bytes(options.metric)
            return Page(old: before, new: after, PageOptions.question(options))
        }
        if failOnGrowth && hasGrown { throw ExitCode(1) }
    }
}

extension [Snapshot] {
    fileprivate func bytes(_ metric: Metric) -> Int { reduce(Tally.zero) { $0 + $1.total(of: metric) }.bytes }
}
