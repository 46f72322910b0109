// ThreadBehaviors.swift: everything at once, and children.
import Glibc
import Synchronization
import TraceMalloc

/// Seconds of the stress behavior: `TRACER_STRESS_SECONDS`, else 2.
private let stressSeconds = getenv("TRACER_STRESS_SECONDS").flatMap { Double(String(cString: $0)) } ?? 2

let threadBehaviors = [
    Behavior("start, stop, snapshot and mark from 8 threads while 8 others allocate: figures fit together at every moment") {
        let isOver = Atomic(false)
        let alive = Atomic(16)
        let snapshots = Atomic(0)
        let broken = Mutex<String?>(nil)
        for worker in 0..<8 {
            startThread {
                var blocks: [UnsafeMutableRawPointer?] = Array(repeating: nil, count: 64)
                var random = SystemRandomNumberGenerator()
                while !isOver.load(ordering: .relaxed) {
                    let index = Int.random(in: 0..<64, using: &random)
                    // Its own addresses: nobody else tracks there, and errors mean that tracing is off.
                    let slot = UnsafeRawPointer(bitPattern: 0x10_0000 + worker * 0x10000 + index * 16)
                    if Bool.random(using: &random) {
                        try? AllocationTracer.track(slot, size: Int.random(in: 0...16, using: &random), domain: 1 + index % 3)
                    } else {
                        try? AllocationTracer.untrack(slot, domain: 1 + index % 3)
                    }
                    if blocks[index] != nil && Bool.random(using: &random) {
                        blocks[index] = realloc(blocks[index], Int.random(in: 1...500, using: &random))
                    } else {
                        free(blocks[index])
                        blocks[index] = malloc(Int.random(in: 0...300, using: &random))
                    }
                }
                for block in blocks { free(block) }
                alive.subtract(1, ordering: .acquiringAndReleasing)
            }
        }
        for index in 0..<8 {
            startThread {
                var turn = index
                while !isOver.load(ordering: .relaxed) {
                    turn += 1
                    switch turn % 8 {
                    case 0: AllocationTracer.stop()
                    case 1, 2: try? AllocationTracer.start(frames: turn % 3 == 0 ? 16 : 32)
                    case 3: AllocationTracer.markGeneration("mark \(turn)")
                    case 4:
                        let memory = AllocationTracer.tracedMemory
                        if memory.peak.bytes < memory.current.bytes || memory.current.count < 0 { broken.withLock { $0 = "\(memory)" } }
                    case 5: AllocationTracer.clearTraces()
                    case 6: AllocationTracer.resetPeak()
                    default:
                        guard let snapshot = try? AllocationTracer.takeSnapshot() else { continue }
                        snapshots.add(1, ordering: .relaxed)
                        let process = snapshot.process
                        let inAll = snapshot.total(of: .current)
                        if inAll != process.domains.reduce(process.current, { $0 + $1.current })
                            || process.peak.bytes < process.current.bytes
                        {
                            broken.withLock { $0 = "\(inAll) by stack, \(process.current) in all, peak \(process.peak)" }
                        }
                        if process.lostEvents != 0 { broken.withLock { $0 = "\(process.lostEvents) events were lost" } }
                    }
                }
                alive.subtract(1, ordering: .acquiringAndReleasing)
            }
        }
        usleep(UInt32(stressSeconds * 1e6))
        isOver.store(true, ordering: .relaxed)
        var waited = 0
        while alive.load(ordering: .acquiring) > 0 {
            usleep(10_000)
            waited += 1
            try expect(waited < 3000, "\(alive.load(ordering: .acquiring)) threads hang")
        }
        try expect(broken.withLock { $0 } == nil, broken.withLock { $0 } ?? "")
        try expect(snapshots.load(ordering: .relaxed) > 0, "no snapshot was taken")
        // What was alive at a stop is forgotten, and the tracer is as good as new.
        AllocationTracer.stop()
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory.current
        let block = allocate(12_000)
        try expectEqual(AllocationTracer.tracedMemory.current - before, Tally(bytes: 12_000, count: 1))
        block.release()
    },
    Behavior("a child made by fork does not trace, may start for itself, and leaves the parent's figures alone") {
        try AllocationTracer.start()
        let block = allocate(10_000)
        let before = AllocationTracer.tracedMemory.current
        let child = forkProcess()
        if child == 0 {
            if AllocationTracer.isTracing { _exit(1) }
            if AllocationTracer.tracedMemory != .zero { _exit(2) }
            if (try? AllocationTracer.takeSnapshot()) != nil { _exit(3) }
            for _ in 0..<1000 { allocate(100).release() }
            do { try AllocationTracer.start() } catch { _exit(4) }
            let start = AllocationTracer.tracedMemory.current
            let own = allocate(777)
            if AllocationTracer.tracedMemory.current - start != Tally(bytes: 777, count: 1) { _exit(5) }
            if AllocationTracer.traceback(containing: block.address) != nil { _exit(6) }
            own.release()
            AllocationTracer.stop()
            _exit(0)
        }
        var status: Int32 = 0
        try expectEqual(waitpid(child, &status, 0), child)
        try expectEqual(status, 0)
        try expectEqual(AllocationTracer.tracedMemory.current, before)
        try expect(AllocationTracer.isTracing)
        block.release()
    },
    Behavior("a hundred short threads are all counted, and their memory is given back") {
        try AllocationTracer.start()
        let slots = Slots(count: 1)
        for _ in 0..<100 {
            let thread = startThread { slots[0] = allocateElsewhere(10).address }
            pthread_join(thread, nil)
            slots.freeAll()
        }
        let line = allocateElsewhere(0).line
        try expectEqual(try AllocationTracer.takeSnapshot().tally(atLine: line, measuring: .total).count, 101)
    },
]

/// Swift's Glibc module hides fork, because few programs survive it. This one does.
private func forkProcess() -> pid_t {
    typealias Fork = @convention(c) () -> pid_t
    return unsafeBitCast(dlsym(nil, "fork"), to: Fork.self)()
}
