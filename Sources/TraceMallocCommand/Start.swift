// Start.swift: `tracemalloc start`, begins to record a program that was started idle.
import AllocationRecording
import AllocationStore
import ArgumentParser
import Glibc

struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Begin to record a running program that was started idle.",
        discussion: """
            The program was started with LD_PRELOAD=libtracemalloc.so and TRACEMALLOC_START=0, and runs at full speed until then. \
            FILE is complete when the program has ended; `snapshot` and `mark` work meanwhile. Blocks that are older than the start \
            are not known, and neither are processes that the program starts.

            Example:
              tracemalloc start 4711 -o server.tmalloc
              tracemalloc snapshot 4711 -o now.tmalloc
            """)

    @Argument(help: "The process.")
    var pid: Int32

    @Option(name: [.short, .customLong("output")], help: ArgumentHelp("Where to write (default: PROGRAM.PID.tmalloc).", valueName: "file"))
    var output: String?

    @Flag(help: "Overwrite FILE when it exists.")
    var force = false

    @Option(help: ArgumentHelp("Innermost frames to keep of each stack, 1 to 65535.", valueName: "n"))
    var frames = FrameCount(256)

    func run() throws {
        let process: IdleProcess
        do { process = try IdleProcess(pid: pid) } catch { throw CommandError.noAnswer(error) }
        let file: OutputFile
        do { file = try makeOutput() } catch { throw CommandError.noOutput(error) }
        let session: Session
        do { session = try Session.create(frameLimit: frames.count, followChildren: false) } catch {
            file.remove()
            throw CommandError.noRecording(error)
        }
        // The collector goes on when this command has ended.
        session.handOver()
        var collector: pid_t?
        do {
            collector = try startCollector(session, file)
            try waitUntilServed(process, session)
        } catch {
            if let collector { kill(collector, SIGTERM) }
            session.remove()
            file.remove()
            throw error
        }
        Terminal.error.say("recording process \(pid) into \(file.path), which is complete when the process has ended")
    }

    private func makeOutput() throws(StoreError) -> OutputFile {
        if let output { return try OutputFile(path: output, force: force, isHandedOver: true) }
        let program = Unsafe.linkTarget(of: "/proc/\(pid)/exe") ?? "program"
        return try OutputFile(program: program, pid: pid, force: force, isHandedOver: true)
    }

    private func startCollector(_ session: Session, _ file: OutputFile) throws(CommandError) -> pid_t {
        let arguments = [
            "tracemalloc", "collect", "--session", session.directory, "--output", file.path, "--force", "--await", String(pid),
        ]
        let own = Unsafe.linkTarget(of: "/proc/self/exe") ?? CommandLine.arguments[0]
        do {
            return try Unsafe.spawn(
                own, arguments: arguments, ownArguments: 0, environment: ["LD_PRELOAD": ""], mask: Unsafe.block([]), defaults: []
            ).get()
        } catch { throw .cannotStart(program: own, error) }
    }

    /// Nothing is ordered before there is a collector. A program that sleeps takes the order when it allocates next.
    private func waitUntilServed(_ process: borrowing IdleProcess, _ session: Session) throws(CommandError) {
        var isOrdered = false
        var limit = ContinuousClock.now.advanced(by: .seconds(10))
        while ContinuousClock.now < limit {
            if !isOrdered, session.hasCollector {
                isOrdered = true
                limit = .now.advanced(by: .seconds(2))
            }
            if isOrdered { _ = process.order(session: session.directory, frameLimit: frames.count) }
            usleep(5000)
            if session.serves(pid) { return }
            // It said why.
            if case .success(.some) = Unsafe.reap() { throw .noCollector }
            if !process.isAlive { throw .noAnswer(.cannotStart(pid: pid, .endedMeanwhile)) }
        }
        if !isOrdered { throw .noCollector }
        Terminal.error.say("process \(pid) has not allocated anything yet; recording begins when it does")
    }
}
