// Compare.swift: `tracemalloc compare`, how the memory of two runs differs, in rows or as a page.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how the memory of two runs differs.",
        discussion: """
            Example:
              tracemalloc compare before.tmalloc after.tmalloc --by function --fail-on-growth
              tracemalloc compare before.tmalloc after.tmalloc --html -o change.html

            The page's default name is that of both files: before-after.html.
            """)

    @Argument(help: "A file that `run` wrote.")
    var old: String

    @Argument(help: "A later one.")
    var new: String

    @OptionGroup var options: QuestionOptions
    @OptionGroup var selection: SelectionOptions

    @Option(help: "How to print.")
    var format = OutputFormat.text

    @Flag(help: "Exit with 1 when the second has more bytes in all.")
    var failOnGrowth = false

    @OptionGroup var page: PageOptions

    func validate() throws { try page.check(options, format) }

    func run() throws {
        if page.html { return try writePage() }
        let before = try selection.read(old, attribution: options.attribute)
        let after = try selection.read(new, attribution: options.attribute)
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
        let stem = PageOptions.stem(old) + "-" + Frame.fileName(of: PageOptions.stem(new))
        try page.write(named: stem + ".html") {
            let before = try selection.read(old, attribution: options.attribute)
            let after = try selection.read(new, attribution: options.attribute)
            hasGrown = after.bytes(options.metric) > before.bytes(options.metric)
            return Page(old: before, new: after, PageOptions.question(options))
        }
        if failOnGrowth && hasGrown { throw ExitCode(1) }
    }
}

extension [Snapshot] {
    fileprivate func bytes(_ metric: Metric) -> Int { reduce(Tally.zero) { $0 + $1.total(of: metric) }.bytes }
}
