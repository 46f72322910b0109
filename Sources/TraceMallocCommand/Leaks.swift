// Leaks.swift: `tracemalloc leaks`, what a program cannot reach any more.
import AllocationProfile
import AllocationReports
import ArgumentParser
import Glibc
import HeapGraph

struct Leaks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leaks",
        abstract: "Find memory that a program lost, and Swift objects that keep each other alive.",
        usage: """
            tracemalloc leaks [--suppressions FILE] [--top N] [--format text|json] PID
            tracemalloc leaks [--suppressions FILE] [--top N] [--format text|json] [-o FILE] [--no-follow-children] -- COMMAND [ARG ...]
            """,
        discussion: """
            PID is a process that `run` or the preloaded library records; it stands still for some milliseconds. A COMMAND is \
            looked at when it ends, behind its exit handlers; the report goes to standard error then.
            The exit code is 1 when there are leaks, 0 when there are none, 2 when the question cannot be answered.

            Example:
              tracemalloc leaks 4711
              tracemalloc leaks -- ./server --once
            """)

    @OptionGroup var suppressions: SuppressionOptions

    @Option(help: ArgumentHelp("Print at most N leaks of each process, 0 for all.", valueName: "n"))
    var top = 20

    @Option(help: "How to print.")
    var format = OutputFormat.text

    @Option(
        name: [.short, .customLong("output")], help: ArgumentHelp("With a COMMAND: where the report goes.", valueName: "file"))
    var output: String?

    @Flag(help: "Leave the processes that the program starts alone.")
    var noFollowChildren = false

    @Option(help: ArgumentHelp("Innermost frames to keep of each stack, 1 to 65535.", valueName: "n"))
    var frames = FrameCount(256)

    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("A process, or -- and a program with its arguments.", valueName: "pid"))
    var words: [String]

    /// A process that is asked about.
    private var pid: Int32? { words.count == 1 && words[0] != "--" ? Int32(words[0]) : nil }

    func validate() throws {
        if top < 0 { throw ValidationError("--top cannot be negative.") }
        if words.first == "--help" || words.first == "-h" { throw CleanExit.helpRequest(self) }
        if pid != nil { return }
        guard words.first == "--", words.count > 1 else {
            throw ValidationError("Name a process, or put -- before a command: `leaks 4711`, `leaks -- ./program`.")
        }
    }

    func run() throws {
        let known = try suppressions.read()
        let limit = top == 0 ? nil : top
        if let pid {
            let report = LeaksReport([try HeapExamination(pid: pid).leaks(known)], limit: limit)
            try Terminal.output.write(format == .json ? report.json() : report.text(Terminal.output.style))
            throw ExitCode(report.hasLeaks ? 1 : 0)
        }
        let file = try output.map { path throws(CommandError) in try ExportFile(path: path, force: false) }
        let examinations = ExitExaminations(known)
        do {
            try record(Array(words.dropFirst()), examinations)
            let report = LeaksReport(try examinations.end(words[1]), limit: limit)
            let text = format == .json ? report.json() : report.text(file == nil ? Terminal.error.style : .plain)
            try file?.write(Array(text.utf8))
            try file?.finish()
            if file == nil { try Terminal.error.write(text) }
            throw ExitCode(report.hasLeaks ? 1 : 0)
        } catch let error as CommandError {
            file?.abandon()
            throw error
        }
    }

    /// Runs the program, with nothing to keep but what the examinations find.
    private func record(_ words: [String], _ examinations: ExitExaminations) throws(CommandError) {
        let program: TracedProgram
        do { program = try TracedProgram(named: words[0]) } catch { throw CommandError.refused(error) }
        let library = try PreloadLibrary.find()
        let supervisor = Supervisor(waitsForAll: !noFollowChildren)
        let recording = try Recording(
            output: .none, frameLimit: frames.count, followsChildren: !noFollowChildren, markEvery: nil,
            examinations: examinations)
        let pid: pid_t
        do {
            let environment = try recording.environment(preloading: library)
            try recording.begin()
            pid = try supervisor.start(program, argumentCount: words.count, environment: environment)
        } catch {
            recording.abandon()
            throw error
        }
        _ = supervisor.wait(for: pid, ended: recording.noteExit, mainEnded: {})
        recording.drop()
    }
}
