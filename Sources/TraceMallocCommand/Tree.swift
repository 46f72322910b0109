// Tree.swift: `tracemalloc tree`, who called whom and how much memory came of it.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Tree: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        abstract: "Show the calls that led to allocations as a tree.",
        discussion: """
            Outermost calls first. A call without a branch before its name was made by the call above it.

            Example:
              tracemalloc tree jq.tmalloc --metric peak --top 5
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var file: String

    @Option(help: "What is counted.")
    var metric = Metric.current

    @Option(help: ArgumentHelp("Show the N largest stacks, 0 for all (default: 30 on a terminal, else all).", valueName: "n"))
    var top: Int?

    @OptionGroup var selection: SelectionOptions

    func validate() throws {
        if let top, top < 0 { throw ValidationError("--top cannot be negative.") }
    }

    func run() throws {
        let snapshots = try selection.read(file)
        let report = TreeReport(snapshots, measuring: metric, limit: RowLimit.limit(top, .text))
        if report.isEmpty { Terminal.error.say("nothing to show: no stack has \(metric.rawValue) memory") }
        try Terminal.output.write(report.text(Terminal.output.style))
    }
}
