// Why.swift: `tracemalloc why`, what keeps a block alive.
import AllocationProfile
import AllocationReports
import ArgumentParser
import Glibc
import HeapGraph

struct Why: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Show the shortest ways from a running program's roots to a block.",
        discussion: """
            A root is a thread's register or stack, a thread-local or global variable, or memory that the program mapped itself.

            Example:
              tracemalloc why 4711 0x7f3e44000b70
              tracemalloc why 4711 --type Parent
            """)

    @Argument(help: "A process that `run` or the preloaded library records.")
    var pid: Int32

    @Argument(help: "An address in the block.")
    var address: String?

    @Option(help: ArgumentHelp("Instead of an address: objects of types with this in their names.", valueName: "name"))
    var type: String?

    @Option(help: ArgumentHelp("Ways to print for each block.", valueName: "n"))
    var paths = 3

    @Option(help: ArgumentHelp("With --type: objects to print at most.", valueName: "n"))
    var top = 5

    @Option(help: "How to print.")
    var format = OutputFormat.text

    private var number: UInt64? {
        address.flatMap { $0.hasPrefix("0x") ? UInt64($0.dropFirst(2), radix: 16) : UInt64($0, radix: 16) }
    }

    func validate() throws {
        if (address == nil) == (type == nil) { throw ValidationError("Name either an address or a --type.") }
        if address != nil && number == nil { throw ValidationError("'\(address ?? "")' is no hexadecimal address.") }
        if paths < 1 || top < 1 { throw ValidationError("--paths and --top are at least 1.") }
    }

    func run() throws {
        let examination = try HeapExamination(pid: pid)
        let graph = ReferenceGraph(examination.program)
        var blocks: [Int32] = []
        if let type {
            let objects = TypedHeap(examination.program, reader: examination.reader).objects.filter { $0.typeName.contains(type) }
            blocks = objects.prefix(top).compactMap { graph.block(at: $0.address) }
            if blocks.isEmpty { throw CommandError.noSuchType(type, pid: pid) }
        } else if let number {
            guard let block = graph.block(at: number) else { throw CommandError.noSuchBlock(number, pid: pid) }
            blocks = [block]
        }
        let dominators = Dominators(graph)
        let stacks = examination.names(Set(blocks.map { graph.blocks[Int($0)].stack }))
        var describer = PathDescriber(graph, reader: examination.reader)
        let answers = blocks.map { block in
            PathsReport.Answer(
                block: describer.describe(block), size: Int(clamping: graph.blocks[Int(block)].size), kept: dominators.kept(by: block),
                isReachable: graph.isReached(block), paths: graph.paths(to: block, limit: paths).map { describer.describe($0) },
                callStack: stacks[graph.blocks[Int(block)].stack] ?? CallStack([]))
        }
        let report = PathsReport(answers)
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
    }
}
