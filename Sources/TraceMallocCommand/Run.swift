// Run.swift: `tracemalloc run`, runs a program and records its allocations.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationStore
import AllocationSymbols
import ArgumentParser
import Glibc
import Synchronization

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        // A command of another one: by itself it does not look for requests for a shell's completion script.
        _superCommandName: "tracemalloc",
        abstract: "Run a program and record its allocations.",
        usage: """
            tracemalloc run [-o FILE] [--force] [--frames N] [--top N] [--mark-every DURATION] [--sample BYTES] \
            [--no-follow-children] [--html] [--leaks] [--suppressions FILE] [--quiet] -- COMMAND [ARG ...]
            """,
        discussion: """
            The program keeps its standard streams, signals, directory and exit code. A summary goes to standard error when it \
            and the processes that it started have ended; after it has ended, Ctrl-C ends the waiting for the others.

            Example:
              tracemalloc run -o jq.tmalloc -- jq . big.json
              tracemalloc run --sample 512K -- ./server          in production
            """)

    @Option(name: [.short, .customLong("output")], help: ArgumentHelp("Where to write (default: PROGRAM.PID.tmalloc).", valueName: "file"))
    var output: String?

    @Flag(help: "Overwrite FILE when it exists.")
    var force = false

    @Option(help: ArgumentHelp("Innermost frames to keep of each stack, 1 to 65535.", valueName: "n"))
    var frames = FrameCount(256)

    @Option(
        help: ArgumentHelp(
            "Record a sample: one block in so many bytes on average, like 512K. All figures become estimates; hardly any cost.",
            valueName: "bytes"))
    var sample: SampleInterval?

    @Option(help: ArgumentHelp("Call sites in the summary.", valueName: "n"))
    var top = 10

    @Option(help: ArgumentHelp("Begin a new generation every 500ms, 2s, 1m …", valueName: "duration"))
    var markEvery: MarkInterval?

    @Flag(help: "Leave the processes that the program starts alone.")
    var noFollowChildren = false

    @Flag(help: "Also write a page beside FILE, as FILE.html: see `report --html`.")
    var html = false

    @Option(help: ArgumentHelp("Also write a page, to PAGE.", valueName: "page"))
    var htmlTo: String?

    @Flag(name: .shortAndLong, help: "No summary, only the name of the file.")
    var quiet = false

    @Flag(help: "Look for leaks when a process ends; the exit code is then 1 where the program's is 0 and something leaked.")
    var leaks = false

    @OptionGroup var suppressions: SuppressionOptions

    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("The program and its arguments.", valueName: "command"))
    var command: [String]

    func validate() throws {
        if top < 0 { throw ValidationError("--top cannot be negative.") }
        if words.isEmpty { throw ValidationError("There is no COMMAND to run.") }
        if leaks && sample != nil { throw ValidationError("--leaks needs every block: leave out --sample.") }
        // Everything from the first word that is no option of ours is the program's; what looks like one needs the separator.
        guard let first = command.first, first.hasPrefix("-"), first != "--" else { return }
        if first == "--help" || first == "-h" { throw CleanExit.helpRequest(self) }
        throw ValidationError("Unknown option '\(first)'. (A program of that name: put -- before it.)")
    }

    /// The program's own words: the separator is ours.
    private var words: [String] { command.first == "--" ? Array(command.dropFirst()) : command }

    func run() throws {
        let words = words
        let program: TracedProgram
        do { program = try TracedProgram(named: words[0]) } catch { throw CommandError.refused(error) }
        let library = try PreloadLibrary.find()
        let supervisor = Supervisor(waitsForAll: !noFollowChildren)

        let examinations = leaks ? ExitExaminations(try suppressions.read()) : nil
        let page = try pageFile()
        let recording: Recording
        do {
            recording = try Recording(
                output: output.map { .named($0, force: force) } ?? .afterProgram(force: force), frameLimit: frames.count,
                followsChildren: !noFollowChildren, markEvery: markEvery?.duration,
                sampleInterval: sample?.bytes ?? 0, examinations: examinations)
        } catch {
            page?.abandon()
            throw error
        }
        let pid: pid_t
        do {
            let environment = try recording.environment(preloading: library)
            try recording.begin()
            pid = try supervisor.start(program, argumentCount: words.count, environment: environment)
        } catch {
            recording.abandon()
            page?.abandon()
            throw error
        }
        let ownAllocator = OwnAllocatorCheck(program)
        ownAllocator.begin()
        recording.nameOutput(after: words[0], pid: pid)
        var hasWaited = false
        let exit = supervisor.wait(for: pid, ended: recording.noteExit) {
            if !hasWaited, Terminal.error.isTerminal, !quiet {
                Terminal.error.say("\(words[0]) has ended; waiting for processes that it left (Ctrl-C ends the waiting)")
            }
            hasWaited = true
        }
        let snapshots = recording.end(warnings: ownAllocator.warnings)
        Unsafe.keepToTheEnd(snapshots)
        try report(snapshots, recording, library, words)
        writePage(snapshots, recording, page)
        var code = Run.code(of: exit)
        if let examinations {
            let leaks = LeaksReport(try examinations.end(words[0]), limit: top)
            try Terminal.error.write(leaks.text(Terminal.error.style))
            if leaks.hasLeaks && code == 0 { code = 1 }
        }
        throw ExitCode(code)
    }

    private func report(_ snapshots: [Snapshot], _ recording: Recording, _ library: PreloadLibrary, _ words: [String]) throws {
        if snapshots.isEmpty, let trouble = recording.troubles.first {
            Terminal.error.say("nothing was recorded: \(trouble)")
        } else if snapshots.isEmpty {
            Terminal.error.say(
                "nothing was recorded: \(words[0]) did not load \(library.path), or ended before it could; "
                    + "see `tracemalloc doctor \(words[0])`")
        } else if !quiet {
            do { try Terminal.error.write(try RunSummary(snapshots, limit: top).text(Terminal.error.style)) } catch {
                Terminal.error.say("no summary: \(error)")
            }
        }
        recording.sayWhatWasWritten()
    }

    /// Made before the program runs, where its name is known by then: what is refused is refused early.
    private func pageFile() throws(CommandError) -> ExportFile? {
        guard let path = htmlTo ?? (html ? output.map { PageOptions.stem($0) + ".html" } : nil) else { return nil }
        return try ExportFile(path: path, force: force)
    }

    private func writePage(_ snapshots: [Snapshot], _ recording: Recording, _ early: ExportFile?) {
        guard html || htmlTo != nil else { return }
        do {
            // The profile's name, made after the program had a pid, was free: its page's name is most likely, too.
            guard let file = try early ?? recording.writtenPath.map({ try ExportFile(path: PageOptions.stem($0) + ".html", force: force) })
            else { return }
            try PageOptions.write(Page(snapshots, PageQuestion(metric: .peak)), to: file, withSource: false)
        } catch { Terminal.error.say("no page: \(error)") }
    }

    static func code(of exit: ProcessExit) -> Int32 {
        switch exit {
        case .code(let code): code
        case .signal(let signal): 128 + signal
        case .unknown: 1
        }
    }
}
