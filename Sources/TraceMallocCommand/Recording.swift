// Recording.swift: a run from the collector's side: session, collector thread, checkpoints, names, file.
import AllocationProfile
import AllocationRecording
import AllocationStore
import AllocationSymbols
import Glibc
import Synchronization

/// Everything that exists while a program is recorded by `run`.
struct Recording: ~Copyable {
    private let session: Session
    private let collector: Collector
    private let result = CollectedSnapshots()
    private var output: OutputFile?
    private var thread: Unsafe.Thread?
    private var failure: StoreError?

    /// Makes the file that the user named and the session, in this order: what is refused is refused before the program runs.
    init(output path: String?, force: Bool, frameLimit: Int, followsChildren: Bool, markEvery: Duration?) throws(CommandError) {
        if let path {
            do { output = try OutputFile(path: path, force: force) } catch { throw .noOutput(error) }
        } else if access(".", W_OK) != 0 {
            throw .unwritableDirectory(SystemError(number: errno))
        }
        do {
            session = try Session.create(frameLimit: frameLimit, followChildren: followsChildren)
        } catch {
            output?.remove()
            throw .noRecording(error)
        }
        do {
            collector = try Collector(session: session, options: CollectorOptions(frameLimit: frameLimit, markEvery: markEvery))
        } catch {
            output?.remove()
            session.remove()
            throw .noRecording(error)
        }
    }

    /// What the program finds in its environment.
    func environment(preloading library: PreloadLibrary) throws(CommandError) -> [String: String] {
        var environment = session.environment
        environment["LD_PRELOAD"] = try library.preloadValue(linkDirectory: session.directory)
        return environment
    }

    /// Undoes everything, as the program could not be started.
    func abandon() {
        output?.remove()
        session.remove()
    }

    /// Collects on a thread of its own. The default name of the file has the program's pid, so the file comes only now.
    mutating func begin(program: String, pid: pid_t, force: Bool) throws(CommandError) {
        if output == nil {
            do { output = try OutputFile(program: program, pid: pid, force: force) } catch {
                // The program runs already and is not disturbed; its summary is still worth having.
                failure = error
                Terminal.error.say("\(error)")
            }
        }
        thread = Unsafe.startThread { [collector, result, output] in
            let snapshots = collector.run(untilIdle: false, checkpoint: output.map { file in { file.checkpoint($0) } })
            result.store(snapshots)
        }
        if thread == nil { throw .noThread }
    }

    func noteExit(_ pid: pid_t, _ exit: ProcessExit) { collector.noteExit(pid: pid, exit) }

    /// Ends the collecting, names the addresses and writes the final state.
    mutating func end(warnings: [String]) -> [Snapshot] {
        collector.finish()
        thread?.join()
        session.remove()
        var snapshots = result.take()
        for warning in warnings where !snapshots.isEmpty { snapshots[0].process.warnings.append(warning) }
        failure = Recording.finish(&snapshots, output) ?? failure
        return snapshots
    }

    /// Names the addresses of `snapshots` and writes them.
    static func finish(_ snapshots: inout [Snapshot], _ output: OutputFile?) -> StoreError? {
        let addresses = snapshots.reduce(0) { $0 + $1.locations.count }
        Terminal.error.showProgress("tracemalloc: naming \(addresses) addresses …")
        defer { Terminal.error.clearProgress() }
        var symbolicator = Symbolicator()
        symbolicator.symbolicate(&snapshots)
        do { try output?.write(snapshots, complete: true) } catch { return error }
        return nil
    }

    func sayWhatWasWritten() {
        if let failure { return Terminal.error.say("\(failure)") }
        if let output { Terminal.error.say("wrote \(output.path)") }
    }
}

/// Hands the result of the collector's thread over.
private final class CollectedSnapshots: Sendable {
    private let snapshots = Mutex<[Snapshot]>([])

    func store(_ value: [Snapshot]) { snapshots.withLock { $0 = value } }

    func take() -> [Snapshot] {
        snapshots.withLock { value in
            defer { value = [] }
            return value
        }
    }
}
