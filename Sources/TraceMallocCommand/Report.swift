// Report.swift: `tracemalloc report`, the memory of a run in rows, or as a page.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Show which places of the program use how much memory.",
        discussion: """
            All processes of FILE are added up.

            Example:
              tracemalloc report jq.tmalloc --by function --metric peak --top 10
              tracemalloc report jq.tmalloc --html -o jq.html
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var file: String

    @OptionGroup var options: QuestionOptions
    @OptionGroup var selection: SelectionOptions

    @Option(help: "How to print.")
    var format = OutputFormat.text

    @OptionGroup var page: PageOptions

    func validate() throws { try page.check(options, format) }

    func run() throws {
        if page.html {
            return try page.write(named: PageOptions.stem(file) + ".html") {
                Page(try selection.read(file, attribution: options.attribute), PageOptions.question(options))
            }
        }
        let snapshots = try selection.read(file, attribution: options.attribute)
        let report: StatisticsReport
        do { report = try StatisticsReport(snapshots, options.question(for: format)) } catch { throw CommandError.unanswerable(error) }
        if format == .json { return try Terminal.output.write(report.json()) }
        if report.isEmpty { Terminal.error.say("nothing to show: no stack has \(options.metric.rawValue) memory") }
        let sources = SourceLines()
        try Terminal.output.write(report.text(Terminal.output.style, sourceLine: sources.line))
    }
}
