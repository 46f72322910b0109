// Stats.swift: `tracemalloc stats`, the figures of whole processes.
import AllocationProfile
import AllocationReports
import ArgumentParser

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show the totals of each process.",
        discussion: """
            Example:
              tracemalloc stats jq.tmalloc --format json
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var file: String

    @Option(help: "Only this process of the file.")
    var pid: Int32?

    @Option(help: "How to print.")
    var format = OutputFormat.text

    func run() throws {
        let content = try SnapshotReader.read(file, pid: pid)
        let report: ProcessReport
        do { report = try ProcessReport(content.snapshots, isComplete: content.complete) } catch { throw CommandError.unanswerable(error) }
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
    }
}
