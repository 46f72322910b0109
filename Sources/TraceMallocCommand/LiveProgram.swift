// LiveProgram.swift: the program that `live` starts: recorded as by `run`, and kept away from the terminal.
import AllocationProfile
import AllocationRecording
import AllocationReports
import Glibc
import Synchronization

/// A program under a live view. Used from one thread.
final class LiveProgram {
    private let words: [String]
    private let program: TracedProgram
    private let ownAllocator: OwnAllocatorCheck
    private let supervisor: Supervisor
    private let recording: Recording
    /// Where its output goes while the screen is there.
    private var kept: Int32 = -1
    private let programOutput: String?
    private let hasOutput: Bool
    private(set) var pid: pid_t = 0
    private(set) var exit: ProcessExit?
    /// What the collector knew last, with names, once the program has ended.
    let final = Mutex<[Snapshot]?>(nil)

    static let signals = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2]

    init(_ words: [String], output: String?, programOutput: String?, force: Bool) throws {
        self.words = words
        self.programOutput = programOutput
        hasOutput = output != nil
        do { program = try TracedProgram(named: words[0]) } catch { throw CommandError.refused(error) }
        ownAllocator = OwnAllocatorCheck(program)
        _ = try PreloadLibrary.find()
        if let programOutput {
            // Appending: children may open what they inherited anew.
            kept = open(programOutput, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0o600)
            guard kept >= 0 else {
                if errno == EEXIST { throw CommandError.noOutput(.exists(path: programOutput)) }
                throw CommandError.noOutput(.cannotWrite(path: programOutput, reason: "\(SystemError(number: errno))"))
            }
        }
        // Before threads are started: they inherit its mask.
        supervisor = Supervisor(waitsForAll: false)
        recording = try Recording(
            output: output.map { .named($0, force: force) } ?? .none, frameLimit: 256, followsChildren: true, markEvery: nil)
    }

    /// - Parameter hidesOutput: a screen stands where the program would write.
    func start(hidesOutput: Bool) throws -> pid_t {
        let environment = try recording.environment(preloading: try PreloadLibrary.find())
        try recording.begin()
        var streams: [(from: Int32, to: Int32)] = []
        if kept < 0, hidesOutput { kept = Unsafe.temporaryFile() }
        if hidesOutput, isatty(STDIN_FILENO) != 0 {
            let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
            if nothing >= 0 { streams.append((nothing, STDIN_FILENO)) }
        }
        if kept >= 0 {
            for stream in [STDOUT_FILENO, STDERR_FILENO] where programOutput != nil || isatty(stream) != 0 {
                streams.append((kept, stream))
            }
        } else {
            // Standard output holds our lines.
            streams.append((STDERR_FILENO, STDOUT_FILENO))
        }
        pid = try supervisor.start(program, argumentCount: words.count, environment: environment, streams: streams)
        ownAllocator.begin()
        return pid
    }

    /// What could not be started leaves nothing behind.
    func abandon() { if pid == 0 { recording.abandon() } }

    /// Passes signals on and sees whether the program has ended; true once it has.
    func poll(_ feed: LiveFeed) -> Bool {
        if exit != nil { return true }
        if let signal = Unsafe.pendingSignal(LiveProgram.signals) { kill(pid, signal) }
        while case .success(let child?) = Unsafe.reap() {
            let how = Supervisor.exit(ofStatus: child.status)
            recording.noteExit(child.pid, how)
            if child.pid == pid { exit = how }
        }
        guard let exit else { return false }
        feed.model.withLock { $0.life = .ended(LiveProgram.words(exit)) }
        return true
    }

    func interrupt(_ signal: Int32) { if exit == nil { kill(pid, signal) } }

    static func words(_ exit: ProcessExit) -> String {
        switch exit {
        case .code(let code): "exit code \(code)"
        case .signal(let signal): "signal \(signal)"
        case .unknown: "how is not known"
        }
    }

    /// Ends the recording, reads the names, writes the profile. Takes a while for large programs; no other call may run meanwhile.
    func finishRecording(_ feed: LiveFeed) {
        let snapshots = recording.end(warnings: ownAllocator.warnings, showsProgress: false)
        // Of a program that called exec the last image is what was watched.
        let life = LiveProgram.words(exit ?? .unknown)
        feed.model.withLock { $0.finish(with: snapshots.last { $0.process.pid == pid } ?? snapshots.first, .ended(life)) }
        final.withLock { $0 = snapshots }
    }

    var outputPath: String? { recording.writtenPath }

    /// Waits for the end, after the screen is gone: shows what the program wrote, and the summary.
    /// - Returns: our exit code.
    func conclude() throws -> Int32 {
        if exit == nil { Terminal.error.say("waiting for the end of \(words[0])") }
        while exit == nil {
            if let signal = Unsafe.pendingSignal(LiveProgram.signals) { kill(pid, signal) }
            while case .success(let child?) = Unsafe.reap() {
                let how = Supervisor.exit(ofStatus: child.status)
                recording.noteExit(child.pid, how)
                if child.pid == pid { exit = how }
            }
            usleep(10_000)
        }
        if final.withLock({ $0 == nil }) {
            let snapshots = recording.end(warnings: ownAllocator.warnings)
            final.withLock { $0 = snapshots }
        }
        if kept >= 0, programOutput == nil { Unsafe.copy(kept, to: STDOUT_FILENO) }
        let snapshots = final.withLock { $0 ?? [] }
        if !snapshots.isEmpty { try Terminal.error.write(try RunSummary(snapshots, limit: 10).text(Terminal.error.style)) }
        if let programOutput { Terminal.error.say("the program's output is in \(programOutput)") }
        if hasOutput { recording.sayWhatWasWritten() }
        return Run.code(of: exit ?? .unknown)
    }
}
