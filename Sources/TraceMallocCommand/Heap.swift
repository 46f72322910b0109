// Heap.swift: `tracemalloc heap`, what lives on the heap, by type.
import AllocationProfile
import AllocationReports
import ArgumentParser
import Glibc
import HeapGraph

struct Heap: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heap",
        abstract: "Show the live blocks of a running program by type.",
        discussion: """
            PID is a process that `run` or the preloaded library records; it stands still for some milliseconds. A FILE is \
            answered from what the recording knows of types.

            Example:
              tracemalloc heap 4711
              tracemalloc heap 4711 --type Parent
              tracemalloc heap server.tmalloc
            """)

    @Argument(help: ArgumentHelp("A process, or a file that `run` wrote.", valueName: "pid|file"))
    var subject: String

    @Option(help: ArgumentHelp("List the objects of types with this in their names; of a FILE only these types.", valueName: "name"))
    var type: String?

    @Option(help: ArgumentHelp("Print at most N rows, 0 for all.", valueName: "n"))
    var top = 30

    @Option(help: "How to print.")
    var format = OutputFormat.text

    func validate() throws {
        if top < 0 { throw ValidationError("--top cannot be negative.") }
    }

    func run() throws {
        let limit = top == 0 ? nil : top
        guard let pid = Int32(subject) else {
            return try report(file: subject, limit)
        }
        let examination = try HeapExamination(pid: pid)
        let objects = TypedHeap(examination.program, reader: examination.reader)
        if let type {
            let graph = ReferenceGraph(examination.program)
            let dominators = Dominators(graph)
            let found = objects.objects.filter { $0.typeName.contains(type) }
            guard !found.isEmpty else { throw CommandError.noSuchType(type, pid: pid) }
            let report = InstancesReport(
                found.map { object in
                    let block = graph.block(at: object.address)
                    return InstancesReport.Instance(
                        address: object.address, size: object.size, typeName: object.typeName, strong: object.strong,
                        unowned: object.unowned, weak: object.weak, isReachable: block.map(graph.isReached) ?? false,
                        kept: block.map(dominators.kept) ?? .zero)
                }, limit: limit)
            return try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
        }
        let report = TypesReport(objects.types, limit: limit)
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
    }

    private func report(file: String, _ limit: Int?) throws(CommandError) {
        let snapshots = try SnapshotReader.read(file, pid: nil).snapshots
        let statistics: [Statistic]
        do { statistics = try snapshots.statistics(groupedBy: .type) } catch { throw .unanswerable(error) }
        // Which objects there are is known of a running process only.
        let asked = statistics.filter { row in type.map { row.key.contains($0) } ?? true }
        if let type, asked.isEmpty { throw .noTypeInFile(type, path: file) }
        let report = TypesReport(asked.map { (name: $0.key, tally: $0.tally) }, limit: limit)
        try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
    }
}
