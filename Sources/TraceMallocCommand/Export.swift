// Export.swift: `tracemalloc export`, a run in the format of another tool.
import AllocationProfile
import AllocationReports
import ArgumentParser

extension ExportFormat: ExpressibleByArgument {}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a run in the format of another tool.",
        discussion: """
            pprof       profile.proto, compressed: go tool pprof, Pyroscope, Parca
            collapsed   main;load 4096, a line for each stack: flamegraph.pl, inferno; functions that were inlined end in _[i]
            speedscope  JSON for speedscope.app
            massif      memory over time, with the peak: ms_print, massif-visualizer; one process
            dhat        JSON for valgrind's dh_view.html; a stack's own maximum and its lifetimes are estimates

            Processes of FILE are added up, as in reports; pprof labels samples with their pid.

            Example:
              tracemalloc export jq.tmalloc --to collapsed --metric peak | flamegraph.pl --countname=bytes > jq.svg
              tracemalloc export jq.tmalloc --to pprof -o jq.pb.gz
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var file: String

    @Option(name: .customLong("to"), help: "Which format.")
    var format: ExportFormat

    @Option(name: .shortAndLong, help: ArgumentHelp("Write to OUT, readable for you only (default: standard output).", valueName: "out"))
    var output: String?

    @Option(help: "What is counted. massif and dhat show what they always show (default: current).")
    var metric: Metric?

    @Flag(help: "Replace OUT when it exists.")
    var force = false

    @OptionGroup var selection: SelectionOptions

    func run() throws {
        if format.isBinary, output == nil, Terminal.output.isTerminal { throw CommandError.binaryOnTerminal(format.rawValue) }
        // Made before FILE is read, which can take a while: a name that cannot be used is known at once.
        let target = try output.map { try ExportFile(path: $0, force: force) }
        do {
            let snapshots = try selection.read(file)
            explain(snapshots)
            let export = AllocationReports.Export(snapshots, as: format, measuring: metric ?? .current)
            try export.write { piece in
                if let target { try target.write(piece) } else { try Terminal.output.write(bytes: piece) }
            }
            try target?.finish()
        } catch {
            target?.abandon()
            guard let error = error as? ExportError else { throw error }
            throw CommandError.cannotExport(error)
        }
    }

    /// Says what the format leaves out.
    private func explain(_ snapshots: [Snapshot]) {
        if format.ignoresMetric, metric != nil { Terminal.error.say("\(format.rawValue) has figures of its own: --metric changes nothing") }
        if format.describesOneProcess, snapshots.count > 1, let first = snapshots.first {
            let others = snapshots.dropFirst().prefix(20).map { "\($0.process.pid)" }.joined(separator: ", ")
            Terminal.error.say(
                "a \(format.rawValue) file describes one process: this is \(first.process.pid); --pid chooses another of \(others)")
        }
    }
}
