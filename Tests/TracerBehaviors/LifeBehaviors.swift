// LifeBehaviors.swift: start, stop, clear, and what they leave behind.
import Glibc
import TraceMalloc

let lifeBehaviors = [
    Behavior("before start nothing is traced and a snapshot is refused") {
        try expect(!AllocationTracer.isTracing)
        let block = allocate(100)
        defer { block.release() }
        try expectEqual(AllocationTracer.tracedMemory, .zero)
        try expect(AllocationTracer.traceback(containing: block.address) == nil)
        try expectError(.notTracing) { _ = try AllocationTracer.takeSnapshot() }
        try expect("\(TracingError.notTracing)".contains("must be traced to take a snapshot"))
    },
    Behavior("the frame limit is 256 unless told otherwise, and readable when nothing is traced") {
        try expectEqual(AllocationTracer.frameLimit, AllocationTracer.defaultFrameLimit)
        try expectEqual(AllocationTracer.defaultFrameLimit, 256)
    },
    Behavior("start traces and stop ends it, and isTracing says which") {
        try AllocationTracer.start()
        try expect(AllocationTracer.isTracing)
        AllocationTracer.stop()
        try expect(!AllocationTracer.isTracing)
    },
    Behavior("start while tracing changes nothing, not even the limit") {
        try AllocationTracer.start(frames: 3)
        let block = allocate(1000)
        defer { block.release() }
        let before = AllocationTracer.tracedMemory
        try AllocationTracer.start(frames: 7)
        try expectEqual(AllocationTracer.frameLimit, 3)
        try expectEqual(AllocationTracer.tracedMemory.current, before.current)
        try expect(AllocationTracer.traceback(containing: block.address) != nil)
    },
    Behavior("start refuses 0, -1 and 65536 frames, tracing or not, and says the range") {
        for frames in [0, -1, 65536, .min, .max] {
            try expectError(.frameCount(frames)) { try AllocationTracer.start(frames: frames) }
            try expect(!AllocationTracer.isTracing)
        }
        try AllocationTracer.start(frames: 5)
        try expectError(.frameCount(0)) { try AllocationTracer.start(frames: 0) }
        try expectEqual(AllocationTracer.frameLimit, 5)
        try expectEqual("\(TracingError.frameCount(0))", "the number of frames must be in range [1; 65535]")
    },
    Behavior("start takes 1 and 65535 frames, and a restart changes the limit") {
        for frames in [1, 65535, 10] {
            try AllocationTracer.start(frames: frames)
            try expectEqual(AllocationTracer.frameLimit, frames)
            try expectEqual(try AllocationTracer.takeSnapshot().frameLimit, frames)
            AllocationTracer.stop()
            try expectEqual(AllocationTracer.frameLimit, frames)
        }
    },
    Behavior("stop forgets all traces, and stopping twice is stopping once") {
        try AllocationTracer.start()
        let block = allocate(5000)
        defer { block.release() }
        try expect(AllocationTracer.tracedMemory.current.bytes >= 5000)
        for _ in 0..<2 {
            AllocationTracer.stop()
            try expectEqual(AllocationTracer.tracedMemory, .zero)
            try expect(AllocationTracer.traceback(containing: block.address) == nil)
            try expectError(.notTracing) { _ = try AllocationTracer.takeSnapshot() }
        }
    },
    Behavior("after stop nothing is counted, and a new start begins at zero") {
        try AllocationTracer.start()
        let old = allocate(7000)
        AllocationTracer.stop()
        let unseen = allocate(8000)
        try AllocationTracer.start()
        let memory = AllocationTracer.tracedMemory
        try expect(memory.current.bytes < 5000 && memory.peak.bytes < 5000, "\(memory)")
        try expect(AllocationTracer.traceback(containing: old.address) == nil)
        try expect(AllocationTracer.traceback(containing: unseen.address) == nil)
        let snapshot = try AllocationTracer.takeSnapshot()
        try expectEqual(try snapshot.tally(atLine: old.line), .zero)
        old.release()
        unseen.release()
        try expect(AllocationTracer.tracedMemory.current.bytes >= 0)
    },
    Behavior("snapshots that were taken stay valid after stop") {
        try AllocationTracer.start()
        let block = allocate(9000)
        let snapshot = try AllocationTracer.takeSnapshot()
        AllocationTracer.stop()
        block.release()
        try expectEqual(try snapshot.tally(atLine: block.line), Tally(bytes: 9000, count: 1))
        try expect(snapshot.traces.contains { $0.size == 9000 && $0.callStack.site == "Allocating.swift:\(block.line)" })
    },
    Behavior("clearTraces forgets all blocks and goes on tracing; frees of forgotten blocks are ignored") {
        try AllocationTracer.start()
        let forgotten = allocate(6000)
        AllocationTracer.clearTraces()
        try expect(AllocationTracer.isTracing)
        let cleared = AllocationTracer.tracedMemory
        try expect(cleared.current.bytes < 3000 && cleared.peak.bytes < 3000, "\(cleared)")
        try expect(AllocationTracer.traceback(containing: forgotten.address) == nil)
        let block = allocate(400)
        let before = AllocationTracer.tracedMemory.current
        forgotten.release()
        try expectEqual(AllocationTracer.tracedMemory.current, before)
        try expectEqual(try AllocationTracer.takeSnapshot().tally(atLine: block.line), Tally(bytes: 400, count: 1))
        block.release()
    },
    Behavior("clearTraces, resetPeak, markGeneration and stop do nothing when tracing is off") {
        AllocationTracer.clearTraces()
        AllocationTracer.resetPeak()
        AllocationTracer.markGeneration("nothing")
        AllocationTracer.stop()
        try expect(!AllocationTracer.isTracing)
        try expectEqual(AllocationTracer.tracedMemory, .zero)
    },
    Behavior("resetPeak sets the peak to what is alive and keeps the traces") {
        try AllocationTracer.start()
        let kept = allocate(1000)
        allocate(100_000).release()
        try expect(AllocationTracer.tracedMemory.peak.bytes >= 101_000)
        AllocationTracer.resetPeak()
        let memory = AllocationTracer.tracedMemory
        try expectEqual(memory.peak, memory.current)
        try expect(AllocationTracer.traceback(containing: kept.address) != nil)
        allocate(50_000).release()
        try expectEqual(AllocationTracer.tracedMemory.peak.bytes, memory.current.bytes + 50_000)
        kept.release()
    },
    Behavior("blocks older than start never appear, and their frees are ignored") {
        let old = allocate(12_345)
        try AllocationTracer.start()
        try expect(AllocationTracer.traceback(containing: old.address) == nil)
        let before = AllocationTracer.tracedMemory.current
        old.release()
        try expectEqual(AllocationTracer.tracedMemory.current, before)
        try expect(!(try AllocationTracer.takeSnapshot().traces.contains { $0.size == 12_345 }))
    },
    Behavior("the tracer tells what it costs itself, and it does not grow with starts and stops") {
        try AllocationTracer.start()
        let blocks = (0..<10_000).map { _ in allocate(10) }
        let full = AllocationTracer.tracerOverhead
        try expect(full > 10_000, "\(full) bytes")
        for block in blocks { block.release() }
        AllocationTracer.clearTraces()
        try expect(AllocationTracer.tracerOverhead <= full)
        AllocationTracer.stop()
        try expect(AllocationTracer.tracerOverhead >= 0)
        for _ in 0..<20 {
            try AllocationTracer.start()
            AllocationTracer.stop()
        }
        try AllocationTracer.start()
        try expect(AllocationTracer.tracerOverhead <= full * 2, "\(AllocationTracer.tracerOverhead) after \(full)")
    },
]
