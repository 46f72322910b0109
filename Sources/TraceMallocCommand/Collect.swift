// Collect.swift: the hidden `tracemalloc collect`, which the preloaded library starts when there is no `run`.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationStore
import ArgumentParser
import CLinux
import Glibc

struct Collect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Collect a session that a preloaded library made.", shouldDisplay: false)

    @Option(help: "Directory of the session.")
    var session: String

    @Option(help: "Where to write.")
    var output: String

    @Flag(help: "Overwrite the output when it exists.")
    var force = false

    @Option(name: .customLong("await"), help: "Wait for this process as long as it lives, and say nothing.")
    var awaited: Int32?

    func run() throws {
        leaveTheProgram()
        let file: OutputFile
        do { file = try OutputFile(path: output, force: force) } catch { throw CommandError.noOutput(error) }
        let collector: Collector
        let joined: Session
        do {
            joined = try Session(joining: session)
            collector = try Collector(
                session: joined, options: Recording.options(frameLimit: FrameCount.range.upperBound, awaited: awaited))
        } catch {
            file.remove()
            throw CommandError.noRecording(error)
        }
        // Whoever started it by `start` has been told by now if it cannot begin, and goes on.
        if awaited != nil { silence(STDERR_FILENO) }
        var snapshots = collector.run(untilIdle: true, checkpoint: { file.checkpoint($0) }, save: Recording.save)
        joined.remove()
        if let failure = Recording.finish(&snapshots, file) { throw CommandError.noOutput(failure) }
        if snapshots.isEmpty { Terminal.error.say("nothing was recorded: \(collector.troubles.first ?? "no program came to \(session)")") }
        Terminal.error.say("wrote \(output)")
    }

    /// The collector outlives the program that it was started from: it holds none of its files (a reader of the program's
    /// output would wait for us), does not belong to its terminal, and is not stopped by what stops the program.
    private func leaveTheProgram() {
        setsid()
        for signal in [SIGINT, SIGHUP, SIGPIPE, SIGXFSZ] { Glibc.signal(signal, SIG_IGN) }
        silence(STDIN_FILENO, STDOUT_FILENO)
        if tm_close_from(3) != 0 {
            for descriptor in 3..<Int32(clamping: max(sysconf(Int32(_SC_OPEN_MAX)), 3)) { close(descriptor) }
        }
    }

    private func silence(_ streams: Int32...) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        for stream in streams where stream != null { dup2(null, stream) }
        if null > STDERR_FILENO { close(null) }
    }
}
