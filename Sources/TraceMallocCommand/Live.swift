// Live.swift: `tracemalloc live`, a program's memory while it runs: a screen on a terminal, a line a second elsewhere.
import AllocationProfile
import AllocationReports
import ArgumentParser
import Glibc

struct Live: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "live",
        abstract: "Watch the memory of a running program.",
        usage: """
            tracemalloc live [options] PID
            tracemalloc live [options] -- COMMAND [ARG ...]
            """,
        discussion: """
            A full screen on a terminal: figures, and a table of call sites that sorts, filters and opens into stacks; ? shows the \
            keys. Elsewhere, a line for each refresh. PID is a process that `run` or the preloaded library records. Watching costs \
            the program nothing: its collector answers.

            COMMAND reads nothing and writes nothing on the terminal while the screen is there: its input is empty, its output is \
            kept and shown at the end, or goes to the file that --program-output names. Without a terminal, its output goes to \
            standard error. Ctrl-C goes to COMMAND; the exit code is COMMAND's.

            Example:
              tracemalloc live 4711
              tracemalloc live -o server.tmalloc -- ./server --port 80
              tracemalloc live 4711 --count 5 --interval 0.5 > memory.txt
            """)

    @Argument(help: "A process that is being recorded.")
    var pid: Int32?

    @Argument(parsing: .postTerminator, help: ArgumentHelp("A program to start, and its arguments.", valueName: "command"))
    var command: [String] = []

    @Option(help: ArgumentHelp("Refresh every N seconds, 0.1 to 3600.", valueName: "n"))
    var interval = 1.0

    @Option(help: ArgumentHelp("Print N lines instead of a screen, then end (a COMMAND is still waited for).", valueName: "n"))
    var count: Int?

    @Option(name: .customLong("by"), help: "What makes a row at first.")
    var grouping = Grouping.line

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Write COMMAND's profile to FILE at its end (default: none is written).", valueName: "file")
    )
    var output: String?

    @Flag(help: "Overwrite the files when they exist.")
    var force = false

    @Option(help: ArgumentHelp("Where COMMAND's standard output and error go.", valueName: "file"))
    var programOutput: String?

    func validate() throws {
        if (pid == nil) == command.isEmpty { throw ValidationError("live needs a PID, or -- and a COMMAND.") }
        if !(0.1...3600).contains(interval) { throw ValidationError("--interval is a number of seconds from 0.1 to 3600.") }
        if let count, count < 1 { throw ValidationError("--count is at least 1.") }
        if let pid, pid < 1 { throw ValidationError("\(pid) is no process.") }
        if pid != nil, output != nil || programOutput != nil || force {
            throw ValidationError("-o, --force and --program-output belong to a COMMAND; `tracemalloc snapshot` writes a file of a PID.")
        }
        if [.type, .traceback].contains(grouping) {
            throw ValidationError("live groups --by line, function, file or module; Enter opens the stacks of a row.")
        }
    }

    func run() throws {
        let program = try pid == nil ? LiveProgram(command, output: output, programOutput: programOutput, force: force) : nil
        // Before threads are started: they inherit the mask.
        if program == nil {
            _ = Unsafe.block(LiveProgram.signals + [SIGTTOU, SIGWINCH])
            signal(SIGPIPE, SIG_IGN)
        } else {
            _ = Unsafe.block([SIGWINCH])
        }
        let feed = LiveFeed(groupedBy: grouping, interval: interval)
        let screen = count == nil && Terminal.output.isTerminal ? Screen() : nil
        do {
            let pid = try program?.start(hidesOutput: screen != nil) ?? self.pid ?? 0
            // A process that nobody records is refused before the screen is taken over.
            try feed.start(pid, waitsForArrival: program != nil)
            if let screen {
                try LiveSession(feed, screen, program, pid: pid, groupedBy: grouping).run()
            } else {
                try LiveLines(feed, program, count: count, interval: interval).run()
            }
        } catch {
            screen?.close()
            program?.abandon()
            throw error
        }
        guard let program else { return }
        throw ExitCode(try program.conclude())
    }
}

/// A line for each refresh, for what is no terminal.
struct LiveLines {
    private let feed: LiveFeed
    private let program: LiveProgram?
    private let count: Int?
    private let interval: Double

    init(_ feed: LiveFeed, _ program: LiveProgram?, count: Int?, interval: Double) {
        (self.feed, self.program, self.count, self.interval) = (feed, program, count, interval)
    }

    func run() throws {
        var printed = 0
        var refreshes = 0
        while true {
            if program?.poll(feed) == true { break }
            if program == nil, Unsafe.pendingSignal(LiveProgram.signals) != nil { return feed.stop() }
            let state = feed.model.withLock { (refreshes: $0.refreshes, life: $0.life, isNaming: $0.isNaming) }
            // Names are worth a little patience.
            if state.refreshes > refreshes, printed < count ?? .max, !state.isNaming || state.refreshes > refreshes + 1 || interval < 0.5 {
                refreshes = state.refreshes
                try Terminal.output.write(feed.model.withLock { LivePlain.line($0) })
                printed += 1
            }
            if program == nil {
                if printed >= count ?? .max { return feed.stop() }
                if case .ended = state.life { return }
                if case .lost(let why) = state.life { return Terminal.error.say(why) }
            }
            usleep(20_000)
        }
        feed.stop()
        program?.finishRecording(feed)
        if printed < count ?? .max { try Terminal.output.write(feed.model.withLock { LivePlain.line($0) }) }
    }
}
