// HeapExamination.swift: joins what the collector froze, the graph that finds its way in it, and the names of its stacks.
import AllocationProfile
import AllocationRecording
import AllocationStore
import AllocationSymbols
import Glibc
import HeapGraph
import Synchronization

/// A process's heap, ready to be asked.
struct HeapExamination {
    let heap: FrozenHeap
    let program: FrozenProgram

    init(_ heap: FrozenHeap) {
        self.heap = heap
        let process = heap.process
        let files = MappedFiles(process.mappings, pid: process.pid)
        let memory = FrozenMemory(bytes: heap.image.bytes, owner: heap.image, pieces: process.pieces, otherwise: files)
        program = FrozenProgram(process, memory: memory)
    }

    /// Asks the session that records the process.
    init(pid: Int32) throws(CommandError) {
        let path: String
        let image: HeapImage
        do { (path, image) = try SessionRequest.heap(of: pid) } catch { throw .noAnswer(error) }
        defer { unlink(path) }
        let snapshots: [Snapshot]
        do { snapshots = try SnapshotFile.read(path).snapshots } catch { throw .unreadable(error) }
        guard let snapshot = snapshots.first else { throw .emptySnapshot(path: path) }
        self.init(FrozenHeap(image: image, snapshot: snapshot))
    }

    var reader: SwiftObjects { SwiftObjects(memory: program.memory, modules: program.modules) }

    func leaks(_ suppressions: LeakSuppressions) -> LeakReport {
        var analysis = LeakAnalysis()
        analysis.suppressions = suppressions
        var report = analysis.report(on: program, processID: heap.image.process.pid, reader: reader, names: names)
        report.pause = Double(heap.image.process.pause) / 1e9
        report.copying = Double(heap.image.process.copying) / 1e9
        return report
    }

    /// The named call stacks of some of the snapshot's stacks.
    func names(_ stacks: Set<Int32>) -> [Int32: CallStack] {
        if stacks.isEmpty { return [:] }
        let (reduced, stackOf) = heap.snapshot.reduced(to: stacks)
        var snapshots = [reduced]
        var symbolicator = Symbolicator()
        symbolicator.symbolicate(&snapshots)
        let callStacks = snapshots[0].callStacks(of: Set(stacks.compactMap { stackOf[$0] }))
        return Dictionary(uniqueKeysWithValues: stacks.map { ($0, stackOf[$0].flatMap { callStacks[$0] } ?? CallStack([])) })
    }
}

/// Looks at processes that wait at their ends, each on a thread of its own.
final class ExitExaminations: Sendable {
    private struct State {
        var threads: [Unsafe.Thread] = []
        var reports: [LeakReport] = []
        var failures: [String] = []
    }

    private let state = Mutex(State())
    private let suppressions: LeakSuppressions

    init(_ suppressions: LeakSuppressions) { self.suppressions = suppressions }

    /// Called on the collector's thread, which has other things to do.
    func examine(_ pid: Int32, _ result: Result<FrozenHeap, RecordingError>) {
        switch result {
        case .failure(let error): state.withLock { $0.failures.append("\(error)") }
        case .success(let heap):
            let thread = Unsafe.startThread { [self] in
                let report = HeapExamination(heap).leaks(suppressions)
                state.withLock { $0.reports.append(report) }
            }
            guard let thread else { return state.withLock { $0.failures.append("\(CommandError.noThread)") } }
            state.withLock { $0.threads.append(thread) }
        }
    }

    /// Waits for all of them, and gives what they found. What could not be looked at is said.
    func end(_ program: String) throws(CommandError) -> [LeakReport] {
        let threads = state.withLock { state in
            defer { state.threads = [] }
            return state.threads
        }
        for thread in threads { thread.join() }
        let (reports, failures) = state.withLock { ($0.reports, $0.failures) }
        for failure in failures { Terminal.error.say(failure) }
        if reports.isEmpty { throw .nothingExamined(program: program) }
        return reports
    }
}
