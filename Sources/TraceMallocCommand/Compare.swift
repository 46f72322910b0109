// Compare.swift: `tracemalloc compare`, how the memory of two runs differs.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how the memory of two runs differs.",
        discussion: """
            Example:
              tracemalloc compare before.tmalloc after.tmalloc --by function --fail-on-growth
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

    func run() throws {
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
}
