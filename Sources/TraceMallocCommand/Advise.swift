// Advise.swift: `tracemalloc advise`, findings in plain words.
import AllocationReports
import ArgumentParser

struct Advise: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "advise",
        abstract: "Say what stands out, with the figure and the remedy.",
        discussion: """
            Looks for temporary blocks in large numbers, memory that grows step by step, blocks of one size that come and go,
            tiny blocks, memory that grows from mark to mark, and resident memory far above live blocks at the peak. That
            nothing stands out is a fine answer.

            Example:
              tracemalloc run --mark-every 10s -o server.tmalloc -- ./server
              tracemalloc advise server.tmalloc
            """)

    @Argument(help: "A file that `run` wrote.", completion: .file())
    var file: String

    @OptionGroup var selection: SelectionOptions

    @Option(help: "How to print.")
    var format = OutputFormat.text

    func run() throws {
        let report = AdviceReport(try selection.read(file))
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
    }
}
