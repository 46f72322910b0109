// MemoryBehaviors.swift: traced memory is exact at the call.
import Glibc
import Synchronization
import TraceMalloc

private func current() -> Tally { AllocationTracer.tracedMemory.current }

let memoryBehaviors = [
    Behavior("an allocation of 1 MiB makes traced memory 1 MiB larger, to the byte") {
        try AllocationTracer.start()
        let before = current()
        let block = allocate(1 << 20)
        let after = AllocationTracer.tracedMemory
        try expectEqual(after.current - before, Tally(bytes: 1 << 20, count: 1))
        try expect(after.peak.bytes >= after.current.bytes)
        block.release()
        try expectEqual(current(), before)
        try expectEqual(AllocationTracer.tracedMemory.peak.bytes, after.peak.bytes)
    },
    Behavior("asking for traced memory, overhead and a snapshot does not change traced memory") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory
        for _ in 0..<100 {
            _ = AllocationTracer.tracedMemory
            _ = AllocationTracer.tracerOverhead
        }
        let snapshot = try AllocationTracer.takeSnapshot()
        let after = AllocationTracer.tracedMemory
        try expectEqual(after, before)
        withExtendedLifetime(snapshot) {}
    },
    Behavior("a block of no bytes is a block") {
        try AllocationTracer.start()
        let before = current()
        let block = allocate(0)
        try expectEqual(current() - before, Tally(bytes: 0, count: 1))
        block.release()
        try expectEqual(current(), before)
        let again = allocate(0)
        try expectEqual(AllocationTracer.traceback(containing: again.address)?.site, "Allocating.swift:\(again.line)")
        again.release()
    },
    Behavior("free(nil) is ignored") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory
        free(nil)
        try expectEqual(AllocationTracer.tracedMemory, before)
    },
    Behavior("a block that is reallocated belongs to the line that reallocated it, with the new size, and the peak never counts both") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory
        let old = allocate(100_000)
        let new = reallocate(old, 300_000)
        let moved = AllocationTracer.tracedMemory
        let small = reallocate(new, 10)
        let shrunk = AllocationTracer.tracedMemory
        small.release()
        try expectEqual(current(), before.current)
        try expectEqual(moved.current - before.current, Tally(bytes: 300_000, count: 1))
        try expect(moved.peak.bytes <= max(before.peak.bytes, before.current.bytes + 300_000), "\(before) \(moved)")
        try expectEqual(shrunk.current - before.current, Tally(bytes: 10, count: 1))
        let last = reallocate(allocate(1), 20)
        try expectEqual(AllocationTracer.traceback(containing: last.address)?.site, "Allocating.swift:\(last.line)")
        last.release()
    },
    Behavior("a reallocation that fails leaves the block what it was") {
        try AllocationTracer.start()
        let block = allocate(100)
        let before = current()
        try expect(realloc(block.address, Int.max / 2) == nil)
        try expectEqual(current(), before)
        try expectEqual(AllocationTracer.traceback(containing: block.address)?.site, "Allocating.swift:\(block.line)")
        block.release()
    },
    Behavior("calloc and the aligned family are counted with the size that was asked for") {
        try AllocationTracer.start()
        let before = current()
        var aligned: UnsafeMutableRawPointer?
        let failed = posix_memalign(&aligned, 64, 1000)
        let cleared = calloc(10, 30)
        let other = aligned_alloc(32, 320)
        try expectEqual(current() - before, Tally(bytes: 1620, count: 3))
        try expectEqual(failed, 0)
        for block in [aligned, cleared, other] { keep(block) }
        for block in [aligned, cleared, other] { free(block) }
    },
    Behavior("traced memory includes every allocation that other threads made before the call") {
        let slots = Slots(count: 4 * 250)
        let workers = Workers(count: 4) { index in
            for number in 0..<250 { slots[index * 250 + number] = allocate(100).address }
        }
        try AllocationTracer.start()
        // The threads' first calls.
        workers.run()
        slots.freeAll()
        for _ in 0..<20 {
            let before = current()
            workers.run()
            try expectEqual(current() - before, Tally(bytes: 100_000, count: 1000))
            let all = try AllocationTracer.takeSnapshot()
            try expect(try all.tally(atLine: allocate(0).line).count >= 1000)
            slots.freeAll()
        }
        workers.run(last: true)
        slots.freeAll()
    },
    Behavior("a block that another thread frees is gone") {
        let slots = Slots(count: 1)
        let workers = Workers(count: 1) { _ in slots.freeAll() }
        try AllocationTracer.start()
        slots[0] = allocate(100).address
        workers.run()
        let before = current()
        slots[0] = allocate(4000).address
        workers.run()
        try expectEqual(current(), before)
        workers.run(last: true)
    },
    Behavior("objects, arrays and strings of Swift are counted") {
        try AllocationTracer.start()
        let before = current()
        let (node, _) = makeNode()
        try expectEqual(current().count - before.count, 1)
        let array = [Int](unsafeUninitializedCapacity: 1000) { _, count in count = 0 }
        try expect(current().bytes - before.bytes >= 8000)
        withExtendedLifetime((node, array)) {}
    },
]

/// Addresses that threads hand to each other.
final class Slots: @unchecked Sendable {
    private let slots: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    let count: Int

    init(count: Int) {
        self.count = count
        slots = .allocate(capacity: count)
        slots.initialize(repeating: nil, count: count)
    }

    deinit { slots.deallocate() }

    subscript(index: Int) -> UnsafeMutableRawPointer? {
        get { slots[index] }
        set { slots[index] = newValue }
    }

    func freeAll() {
        for index in 0..<count {
            free(slots[index])
            slots[index] = nil
        }
    }
}
