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
    /// Everything that could be a reference counts as one, so what is called a leak is one; a leak may be missed when its address
    /// happens to lie in memory that is still in use: on the stack, say, of a function that has not returned.
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
        return try examine(ofWindow: ofWindow) { analysis, program, reader, names in
            let process = program.process
            var report = analysis.report(on: program, processID: process.pid, reader: reader, names: names)
            report.pause = Double(process.pause) / 1e9
            report.copying = Double(process.copying) / 1e9
            return report
        }
    }

    typealias Examination<Answer> = (
        LeakAnalysis, FrozenProgram, SwiftObjects, (Set<Int32>) -> [Int32: CallStack]
    ) -> Answer

    /// Lets all threads stand still for a moment, and looks at what they had. In a moment of the tracer's own.
    func examine<Answer: Sendable>(ofWindow: Bool = false, _ body: Examination<Answer>) throws(TracingError) -> Answer {
        guard let collector = collector() else { throw tm_tracing() == TM_TRACING_SESSION ? .recordedElsewhere : .notTracing }
        let result: Result<Answer, TracingError> = Self.search.withLock { _ in
            do throws(RecordingError) {
                let heap = try collector.freeze(at: tm_recording_now(), frameLimit: frameLimit)
                return .success(Self.examine(heap, ofWindow: ofWindow, body))
            } catch {
                return .failure(.cannotLook(error.description))
            }
        }
        return try result.get()
    }

    private static func examine<Answer>(_ heap: FrozenHeap, ofWindow: Bool, _ body: Examination<Answer>) -> Answer {
        let process = heap.process
        let files = MappedFiles(process.mappings, pid: process.pid)
        let memory = FrozenMemory(bytes: heap.image.bytes, owner: heap.image, pieces: process.pieces, otherwise: files)
        let program = FrozenProgram(process, memory: memory)
        var analysis = LeakAnalysis()
        if ofWindow, let generation = heap.windowGeneration { analysis.isAsked = { $0.generation == generation } }
        return body(analysis, program, SwiftObjects(memory: memory, modules: program.modules)) { stacks in
            let (reduced, stackOf) = heap.snapshot.reduced(to: stacks)
            let callStacks = named(reduced).callStacks(of: Set(stacks.compactMap { stackOf[$0] }))
            return Dictionary(uniqueKeysWithValues: stacks.map { ($0, stackOf[$0].flatMap { callStacks[$0] } ?? CallStack([])) })
        }
    }
}
