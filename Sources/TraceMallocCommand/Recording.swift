// Recording.swift: a run from the collector's side: session, collector thread, checkpoints, names, file.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationStore
import AllocationSymbols
import Glibc
import HeapGraph
import Synchronization

/// Everything that exists while a program is recorded by `run`. Used from one thread.
final class Recording {
    private let session: Session
    private let collector: Collector
    private let shared: Shared
    /// Looks at processes that wait at their ends.
    private let examinations: ExitExaminations?
    private let preparation = SymbolPreparation()
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

    /// Where the profile goes.
    enum Output {
        case named(String, force: Bool)
        /// To a file in the current directory with the program's name and pid.
        case afterProgram(force: Bool)
        case none
    }

    private let kind: Output

    /// Makes the file that the user named and the session, in this order: what is refused is refused before the program runs.
    init(
        output kind: Output, frameLimit: Int, followsChildren: Bool, markEvery: Duration?, sampleInterval: Int = 0,
        examinations: ExitExaminations? = nil
    ) throws(CommandError) {
        self.kind = kind
        var output: OutputFile?
        switch kind {
        case .named(let path, let force):
            do { output = try OutputFile(path: path, force: force) } catch { throw .noOutput(error) }
        case .afterProgram: if access(".", W_OK) != 0 { throw .unwritableDirectory(SystemError(number: errno)) }
        case .none: break
        }
        var made: Session?
        do {
            let session = try Session.create(
                frameLimit: frameLimit, followChildren: followsChildren, checkLeaks: examinations != nil, sampleInterval: sampleInterval)
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
        self.examinations = examinations
    }

    /// What a program with one thread reserves when it starts.
    static let smallestRoom: UInt64 = 256 << 10

    /// Checkpoints come early, as short runs are killed too; the file spreads them out by itself.
    static func options(frameLimit: Int, markEvery: Duration? = nil, awaited: Int32? = nil) -> CollectorOptions {
        CollectorOptions(
            frameLimit: frameLimit, markEvery: markEvery, checkpointEvery: .milliseconds(500), awaited: awaited,
            objectTypes: ObjectTypeSource(allocators: ObjectAllocators.ranges(inFile:), namer: SwiftTypeNames.namer(pid:)))
    }

    /// What the program finds in its environment.
    func environment(preloading library: PreloadLibrary) throws(CommandError) -> [String: String] {
        var environment = session.environment
        environment["LD_PRELOAD"] = try library.preloadValue(linkDirectory: session.directory)
        return environment
    }

    /// Starts to collect, on a thread of its own.
    func begin() throws(CommandError) {
        thread = Unsafe.startThread { [collector, shared, examinations, preparation] in
            let snapshots = collector.run(
                untilIdle: false, checkpoint: { shared.output.withLock(\.self)?.checkpoint($0) }, save: Recording.save,
                prepare: { addresses, hasEnded in
                    Unsafe.startThread(lowPriority: !hasEnded) { preparation.prepare(addresses) }?.detach()
                },
                examine: examinations?.examine)
            shared.snapshots.withLock { $0 = snapshots }
        }
        if thread == nil { throw .noThread }
    }

    /// Makes the file if the user named none. The default name has the program's pid, so that runs already and is not
    /// disturbed when this fails: its summary is still worth having.
    func nameOutput(after program: String, pid: pid_t) {
        guard output == nil, case .afterProgram(let force) = kind else { return }
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

    /// Ends the collecting; nothing is kept.
    func drop() {
        collector.finish()
        thread?.join()
        session.remove()
    }

    func noteExit(_ pid: pid_t, _ exit: ProcessExit) { collector.noteExit(pid: pid, exit) }

    /// Ends the collecting, names the addresses and writes the final state.
    /// - Parameter warnings: is asked when the collecting has ended.
    func end(warnings: () -> [String], showsProgress: Bool = true) -> [Snapshot] {
        collector.finish()
        output?.prepare()
        thread?.join()
        session.remove()
        // Taken, not copied: naming changes most of it.
        var snapshots = shared.snapshots.withLock { value in
            defer { value = [] }
            return value
        }
        // The library sees an allocator of the executable, too, when it is one that it knows.
        if !snapshots.isEmpty, snapshots[0].process.warnings.allSatisfy({ !$0.contains("inside the executable") }) {
            snapshots[0].process.warnings += warnings()
        }
        failure = Recording.finish(&snapshots, output, preparation, showsProgress: showsProgress) ?? failure
        Unsafe.keepToTheEnd(preparation)
        return snapshots
    }

    /// Names the addresses of `snapshots` and writes them, with or without success. What does not depend on names is written while they
    /// are still looked for.
    static func finish(
        _ snapshots: inout [Snapshot], _ output: OutputFile?, _ preparation: SymbolPreparation? = nil, showsProgress: Bool = true
    ) -> StoreError? {
        var isNamed = false
        func name(_ snapshots: inout [Snapshot]) {
            isNamed = true
            Recording.name(&snapshots, preparation, showsProgress: showsProgress && Terminal.error.showsProgress)
        }
        var failure: StoreError?
        do { try output?.complete(&snapshots, name: name) } catch { failure = error }
        if !isNamed { name(&snapshots) }
        return failure
    }

    private static func name(_ snapshots: inout [Snapshot], _ preparation: SymbolPreparation?, showsProgress: Bool) {
        var options = SymbolicatorOptions()
        if showsProgress {
            options.progress = { part, module in
                let name = module.isEmpty ? "" : ", reading \(module)"
                Terminal.error.showProgress("tracemalloc: \(Int(part * 100)) %\(name)")
            }
        }
        var symbolicator = Symbolicator(options: options, preparation: preparation)
        symbolicator.symbolicate(&snapshots)
        if showsProgress { Terminal.error.clearProgress() }
    }

    /// Writes what another process asked for, as it is: that process finds the names.
    @Sendable static func save(_ snapshots: [Snapshot], to path: String) -> String? {
        do {
            try SnapshotFile.create(at: path, force: false).write(snapshots, complete: true)
            return nil
        } catch { return "\(error)" }
    }

    /// Why recordings could not be read, in sentences.
    var troubles: [String] { collector.troubles }

    /// The profile, when it was written.
    var writtenPath: String? { failure == nil ? output?.path : nil }

    func sayWhatWasWritten() {
        if let failure { return Terminal.error.say("\(failure)") }
        if let output { Terminal.error.say("wrote \(output.path)") }
    }
}
