// Recording.swift: a run from the collector's side: session, collector thread, checkpoints, names, file.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationStore
import AllocationSymbols
import Glibc
import Synchronization

/// Everything that exists while a program is recorded by `run`. Used from one thread.
final class Recording {
    private let session: Session
    private let collector: Collector
    private let shared: Shared
    private var thread: Unsafe.Thread?
    private var failure: StoreError?

    /// What the collector's thread and the waiting one have in common.
    private final class Shared: Sendable {
        /// The file, once it has a name.
        let output: Mutex<OutputFile?>
        let snapshots = Mutex<[Snapshot]>([])

        init(_ output: OutputFile?) { self.output = Mutex(output) }
    }

    private var output: OutputFile? { shared.output.withLock(\.self) }

    /// Makes the file that the user named and the session, in this order: what is refused is refused before the program runs.
    init(
        output path: String?, force: Bool, frameLimit: Int, followsChildren: Bool, markEvery: Duration?, sampleInterval: Int
    ) throws(CommandError) {
        var output: OutputFile?
        if let path {
            do { output = try OutputFile(path: path, force: force) } catch { throw .noOutput(error) }
        } else if access(".", W_OK) != 0 {
            throw .unwritableDirectory(SystemError(number: errno))
        }
        var made: Session?
        do {
            let session = try Session.create(frameLimit: frameLimit, followChildren: followsChildren, sampleInterval: sampleInterval)
            made = session
            collector = try Collector(session: session, options: Recording.options(frameLimit: frameLimit, markEvery: markEvery))
            self.session = session
        } catch {
            output?.remove()
            made?.remove()
            throw .noRecording(error)
        }
        let free = Unsafe.fileSystem(of: session.directory)?.free ?? .max
        if free < Recording.smallestRoom {
            output?.remove()
            session.remove()
            throw .noRoom(directory: session.directory, free: free)
        }
        shared = Shared(output)
    }

    /// What a program with one thread reserves when it starts.
    static let smallestRoom: UInt64 = 256 << 10

    /// Checkpoints come early, as short runs are killed too; they take a small part of the time at most, and the file
    /// spreads its writes out by itself.
    static func options(frameLimit: Int, markEvery: Duration? = nil) -> CollectorOptions {
        CollectorOptions(frameLimit: frameLimit, markEvery: markEvery, checkpointEvery: .milliseconds(500))
    }

    /// What the program finds in its environment.
    func environment(preloading library: PreloadLibrary) throws(CommandError) -> [String: String] {
        var environment = session.environment
        environment["LD_PRELOAD"] = try library.preloadValue(linkDirectory: session.directory)
        return environment
    }

    /// Starts to collect, on a thread of its own.
    func begin() throws(CommandError) {
        thread = Unsafe.startThread { [collector, shared] in
            let snapshots = collector.run(
                untilIdle: false, checkpoint: { shared.output.withLock(\.self)?.checkpoint($0) }, save: Recording.save)
            shared.snapshots.withLock { $0 = snapshots }
        }
        if thread == nil { throw .noThread }
    }

    /// Makes the file if the user named none. The default name has the program's pid, so that runs already and is not
    /// disturbed when this fails: its summary is still worth having.
    func nameOutput(after program: String, pid: pid_t, force: Bool) {
        guard output == nil else { return }
        do {
            let file = try OutputFile(program: program, pid: pid, force: force)
            shared.output.withLock { $0 = file }
        } catch { failure = error }
    }

    /// Undoes everything, as the program could not be started.
    func abandon() {
        collector.finish()
        thread?.join()
        output?.remove()
        session.remove()
    }

    func noteExit(_ pid: pid_t, _ exit: ProcessExit) { collector.noteExit(pid: pid, exit) }

    /// Ends the collecting, names the addresses and writes the final state.
    func end(warnings: [String]) -> [Snapshot] {
        collector.finish()
        thread?.join()
        session.remove()
        // Taken, not copied: naming changes most of it.
        var snapshots = shared.snapshots.withLock { value in
            defer { value = [] }
            return value
        }
        // The library sees an allocator of the executable, too, when it is one that it knows.
        if !snapshots.isEmpty, snapshots[0].process.warnings.allSatisfy({ !$0.contains("bypass") }) {
            snapshots[0].process.warnings += warnings
        }
        failure = Recording.finish(&snapshots, output) ?? failure
        return snapshots
    }

    /// Names the addresses of `snapshots` and writes them.
    static func finish(_ snapshots: inout [Snapshot], _ output: OutputFile?) -> StoreError? {
        var options = SymbolicatorOptions()
        if Terminal.error.isTerminal {
            options.progress = { part, module in
                let name = module.isEmpty ? "" : ", reading \(PrintableText.name(module, limit: 50))"
                Terminal.error.showProgress("tracemalloc: \(Int(part * 100)) %\(name)")
            }
        }
        var symbolicator = Symbolicator(options: options)
        symbolicator.symbolicate(&snapshots)
        if Terminal.error.isTerminal { Terminal.error.clearProgress() }
        do { try output?.write(snapshots, complete: true) } catch { return error }
        return nil
    }

    /// Writes what another process asked for, as it is: that process finds the names.
    @Sendable static func save(_ snapshots: [Snapshot], to path: String) -> String? {
        do {
            try SnapshotFile.create(at: path, force: false).write(snapshots, complete: true)
            return nil
        } catch { return "\(error)" }
    }

    func sayWhatWasWritten() {
        if let failure { return Terminal.error.say("\(failure)") }
        if let output { Terminal.error.say("wrote \(output.path)") }
    }
}
