// AllocationTracer+Leaks.swift: memory that the program cannot reach any more.
public import AllocationProfile
import AllocationRecording
import AllocationSymbols
import CInterposer
import HeapGraph
import Synchronization

extension AllocationTracer {
    /// Finds what the program has lost: blocks, allocated since `start`, to which no thread, global variable or reachable block
    /// refers, and Swift objects that keep each other alive.
    ///
    ///     let report = try AllocationTracer.findLeaks()
    ///     for leak in report.leaks { print(leak) }
    ///
    /// - Warning: An experiment. Leaks are missed when their address lies in memory that is still in use, at times in the tracer's
    ///   own; and under load memory of the Swift runtime has been called lost that is not. `tracemalloc leaks` looks from outside.
    ///
    /// Cost: all threads stand still for some milliseconds, and while the memory of the program is copied (about half a
    /// second for each gigabyte); the search itself takes a second or two for a million blocks.
    ///
    /// - Throws: `TracingError.notTracing`, `.recordedElsewhere`, `.cannotLook` where the system does not allow it.
    public static func findLeaks() throws(TracingError) -> LeakReport { try Tracer.shared.findLeaks(ofWindow: false) }
}

extension AllocationWindow {
    /// What the thread of the open window allocated and lost.
    package static func findLeaks() throws(TracingError) -> LeakReport { try Tracer.shared.findLeaks(ofWindow: true) }
}

extension Tracer {
    /// One at a time: the image of one search is full of what looks like references to the next.
    private static let search = Mutex(())

    func findLeaks(ofWindow: Bool) throws(TracingError) -> LeakReport {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        guard let collector = collector() else { throw tm_tracing() == TM_TRACING_SESSION ? .recordedElsewhere : .notTracing }
        let result: Result<LeakReport, TracingError> = Self.search.withLock { _ in
            do throws(RecordingError) {
                let heap = try collector.freeze(at: tm_recording_now(), frameLimit: frameLimit)
                return .success(Self.leaks(in: heap, ofWindow: ofWindow))
            } catch {
                return .failure(.cannotLook(error.description))
            }
        }
        return try result.get()
    }

    private static func leaks(in heap: FrozenHeap, ofWindow: Bool) -> LeakReport {
        let process = heap.process
        let files = MappedFiles(process.mappings, pid: process.pid)
        let memory = FrozenMemory(bytes: heap.image.bytes, owner: heap.image, pieces: process.pieces, otherwise: files)
        let program = FrozenProgram(process, memory: memory)
        var analysis = LeakAnalysis()
        if ofWindow, let generation = heap.windowGeneration { analysis.isAsked = { $0.generation == generation } }
        let reader = SwiftObjects(memory: memory, modules: program.modules)
        var report = analysis.report(on: program, processID: process.pid, reader: reader) { stacks in
            let (reduced, stackOf) = heap.snapshot.reduced(to: stacks)
            let callStacks = named(reduced).callStacks(of: Set(stacks.compactMap { stackOf[$0] }))
            return Dictionary(uniqueKeysWithValues: stacks.map { ($0, stackOf[$0].flatMap { callStacks[$0] } ?? CallStack([])) })
        }
        report.pause = Double(process.pause) / 1e9
        report.copying = Double(process.copying) / 1e9
        return report
    }
}
