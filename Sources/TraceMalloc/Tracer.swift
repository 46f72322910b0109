// Tracer.swift: the one tracer of the process: the interposer on one side, the collector's thread on the other.
//
// Each call begins a moment of the tracer's own, in which nothing that the thread allocates shows. The moments are not a
// function that takes a closure: its generic arguments would be made, and allocate, before it begins.
import AllocationProfile
import AllocationRecording
import AllocationSymbols
import CInterposer
import Glibc
import HeapGraph
import Synchronization

final class Tracer: Sendable {
    static let shared = Tracer()

    private struct State {
        var collector: LocalCollector?
        /// After fork the child has the collector's memory but not its thread.
        var pid: Int32 = 0
        var frameLimit = AllocationTracer.defaultFrameLimit
    }

    private let state = Mutex(State())
    let tracked = Mutex(TrackedDomains())

    var frameLimit: Int {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        return state.withLock { $0.frameLimit }
    }

    func start(frames: Int) throws(TracingError) {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        // The answer is carried out of the lock as a value: typed errors do not pass through it.
        let failure: TracingError? = state.withLock { state in
            if tm_tracing() != TM_TRACING_OFF { return nil }
            tracked.withLock { $0.removeAll() }
            var file: Int32 = -1
            let failed = tm_start_private(UInt32(frames), false, &file)
            guard failed == 0 else { return .cannotStart(String(cString: strerror(-failed))) }
            state.frameLimit = frames
            if file >= 0 {
                do throws(RecordingError) {
                    state.collector = try LocalCollector(
                        file: file, objectTypes: Self.objectTypes, settlesFrees: { tm_own_frees_settled() },
                        ownMemory: { Self.outgrownMemory }, prologue: { tm_collect_begin() }
                    )
                } catch {
                    tm_stop_private()
                    return .cannotStart(error.description)
                }
                state.pid = getpid()
            } else {
                state.collector?.setPaused(false)
            }
            return nil
        }
        if let failure { throw failure }
    }

    func stop() {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        state.withLock { state in
            guard tm_tracing() == TM_TRACING_PRIVATE else { return }
            tracked.withLock { domains in
                tm_stop_private()
                domains.removeAll()
            }
            state.collector?.setPaused(true)
        }
    }

    /// The collector of the running trace; nil when tracing is off or somebody else's.
    func collector() -> LocalCollector? {
        state.withLock { state in
            guard tm_tracing() == TM_TRACING_PRIVATE, state.pid == getpid() else { return nil }
            return state.collector
        }
    }

    func tracedMemory() -> TracedMemory {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        guard let figures = collector()?.figures(at: tm_recording_now()) else { return .zero }
        return TracedMemory(current: figures.current, peak: figures.peak)
    }

    func overhead() -> Int {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        let collector = state.withLock { $0.pid == getpid() ? $0.collector : nil }
        guard let collector else { return 0 }
        return collector.figures(at: 0).tables + Int(tm_private_memory())
    }

    func takeSnapshot() throws(TracingError) -> Snapshot {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        guard let collector = collector() else { throw tm_tracing() == TM_TRACING_SESSION ? .recordedElsewhere : .notTracing }
        return Self.named(collector.snapshot(at: tm_recording_now(), frameLimit: frameLimit))
    }

    func callStack(containing address: UInt64, domain: Int) -> CallStack? {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        guard let collector = collector() else { return nil }
        guard let block = collector.block(containing: address, domain: domain, at: tm_recording_now(), frameLimit: frameLimit)
        else { return nil }
        return try? Self.named(block.stack).statistics(groupedBy: .traceback).first?.callStack
    }

    private static let objectTypes = ObjectTypeSource(
        allocators: ObjectAllocators.ranges(inFile:), namer: SwiftTypeNames.namer(pid:))

    private static var outgrownMemory: [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var (start, end): (UInt64, UInt64) = (0, 0)
        while tm_outgrown_memory(UInt32(ranges.count), &start, &end), start <= end { ranges.append(start..<end) }
        return ranges
    }

    static func named(_ snapshot: Snapshot) -> Snapshot {
        var options = SymbolicatorOptions()
        options.threads = 1
        options.threadPrologue = { tm_ignore_begin() }
        var symbolicator = Symbolicator(options: options)
        var snapshots = [snapshot]
        symbolicator.symbolicate(&snapshots)
        return snapshots[0]
    }
}
