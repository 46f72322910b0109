// DomainBehaviors.swift: ranges that the program tracks by itself. The six tests of CPython's C API are the first ones.
import Glibc
import TraceMalloc

private let domain = 5
private var address: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 0x1234_5670)! }
private let size = 123

@inline(never)
func trackSlot(_ address: UnsafeRawPointer?, _ size: Int, domain: Int) throws {
    try AllocationTracer.track(address, size: size, domain: domain)
}

/// The line of `trackSlot` that tracks.
private let trackingLine = #line - 4

/// Swift's Glibc module hides pthread_setname_np.
private func nameThread(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY)
    _ = write(file, name, name.utf8.count)
    close(file)
}

private func tracked(_ domain: Int = domain) throws -> [Trace] {
    try AllocationTracer.takeSnapshot().traces.filter { $0.domain == domain }
}

private func trackedTally(_ domain: Int = domain) throws -> Tally {
    try AllocationTracer.takeSnapshot().process.domains.first { $0.domain == domain }?.current ?? .zero
}

let domainBehaviors = [
    Behavior("what is tracked has its size, domain and the stack of the call, without a frame of the tracer") {
        try AllocationTracer.start(frames: 10)
        try trackSlot(address, size, domain: domain)
        let traces = try tracked()
        try expectEqual(traces.map(\.size), [size])
        try expectEqual(traces[0].callStack.first?.place, "DomainBehaviors.swift:\(trackingLine)")
        let stack = try unwrap(AllocationTracer.traceback(containing: address, domain: domain))
        try expectEqual(stack.first?.place, "DomainBehaviors.swift:\(trackingLine)")
        try expect(AllocationTracer.traceback(containing: address) == nil, "it is no block of malloc")
    },
    Behavior("what is tracked on another thread is tracked, with that thread's stack") {
        try AllocationTracer.start()
        let thread = startThread { try? trackSlot(address, size, domain: domain) }
        pthread_join(thread, nil)
        let traces = try tracked()
        try expectEqual(traces.map(\.size), [size])
        try expectEqual(traces[0].callStack.first?.place, "DomainBehaviors.swift:\(trackingLine)")
    },
    Behavior("tracking an address again replaces what was tracked there") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory.current
        try AllocationTracer.track(address, size: 1, domain: domain)
        try trackSlot(address, size, domain: domain)
        try expectEqual(AllocationTracer.tracedMemory.current - before, Tally(bytes: size, count: 1))
        let traces = try tracked()
        try expectEqual(traces.map(\.tally), [Tally(bytes: size, count: 1)])
        try expectEqual(traces[0].callStack.first?.place, "DomainBehaviors.swift:\(trackingLine)")
    },
    Behavior("untracking ends it, and untracking what is not tracked is silent") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory.current
        try trackSlot(address, size, domain: domain)
        try expectEqual(AllocationTracer.tracedMemory.current.bytes, before.bytes + size)
        for _ in 0..<3 {
            try AllocationTracer.untrack(address, domain: domain)
            try expectEqual(AllocationTracer.tracedMemory.current, before)
        }
        try AllocationTracer.untrack(nil, domain: domain)
        try AllocationTracer.untrack(address, domain: 77)
        try expect(AllocationTracer.traceback(containing: address, domain: domain) == nil)
        try expectEqual(try tracked(), [])
    },
    Behavior("tracking when nothing is traced is an error") {
        try expectError(.notTracing) { try AllocationTracer.track(address, size: size, domain: domain) }
        try AllocationTracer.start()
        AllocationTracer.stop()
        try expectError(.notTracing) { try AllocationTracer.track(address, size: size, domain: domain) }
        try expect("\(TracingError.notTracing)".contains("track memory"))
    },
    Behavior("untracking when nothing is traced is an error, and stop forgets what was tracked") {
        try AllocationTracer.start()
        try trackSlot(address, size, domain: domain)
        AllocationTracer.stop()
        try expectError(.notTracing) { try AllocationTracer.untrack(address, domain: domain) }
        try AllocationTracer.start()
        try expectEqual(try tracked(), [])
        // Nothing is in the way of a range that overlaps the forgotten one.
        try trackSlot(address + 1, size, domain: domain)
        AllocationTracer.clearTraces()
        try trackSlot(address, size, domain: domain)
        try expectEqual(try tracked().map(\.size), [size])
    },
    Behavior("null, negative, endless and overlapping ranges and impossible domains are errors that change nothing") {
        try AllocationTracer.start()
        let before = AllocationTracer.tracedMemory.current
        let start = UInt(bitPattern: address)
        try expectError(.invalidRange(address: 0, size: 1)) { try AllocationTracer.track(nil, size: 1, domain: domain) }
        for size in [-1, .min, .max] {
            try expectError(.invalidRange(address: start, size: size)) { try AllocationTracer.track(address, size: size, domain: domain) }
        }
        let end = UnsafeRawPointer(bitPattern: UInt.max)!
        try expectError(.invalidRange(address: .max, size: 2)) { try AllocationTracer.track(end, size: 2, domain: domain) }
        for domain in [0, -1, 1 << 32, .max, .min] {
            try expectError(.domain(domain)) { try AllocationTracer.track(address, size: size, domain: domain) }
            try expectError(.domain(domain)) { try AllocationTracer.untrack(address, domain: domain) }
        }
        try expectEqual(AllocationTracer.tracedMemory.current, before)
        try trackSlot(address, size, domain: domain)
        for (offset, size) in [(1, 1), (size - 1, 100), (-50, 51), (-1, 1000), (5, 0)] {
            try expectError(
                .overlappingRange(
                    address: start &+ UInt(bitPattern: offset), size: size, trackedAddress: start, trackedSize: 123, domain: domain)
            ) { try AllocationTracer.track(address + offset, size: size, domain: domain) }
        }
        let sentence = "\(TracingError.overlappingRange(address: 16, size: 2, trackedAddress: 17, trackedSize: 3, domain: 4))"
        try expectEqual(
            sentence,
            "a range of 2 bytes at 0x10 overlaps one of 3 bytes at 0x11, which is tracked in domain 4: "
                + "untrack that first, or use another domain")
        // Neighbors and other domains are not in the way.
        try AllocationTracer.track(address + size, size: 0, domain: domain)
        try AllocationTracer.track(address + size + 1, size: 7, domain: domain)
        try AllocationTracer.track(address - 10, size: 10, domain: domain)
        try AllocationTracer.track(address + 1, size: size, domain: domain + 1)
        try expectEqual(try trackedTally(), Tally(bytes: size + 0 + 7 + 10, count: 4))
        try expectEqual(try trackedTally(domain + 1), Tally(bytes: size, count: 1))
        try expectError(
            .overlappingRange(address: start - 10, size: 11, trackedAddress: start, trackedSize: size, domain: domain)
        ) { try AllocationTracer.track(address - 10, size: 11, domain: domain) }
    },
    Behavior("thousands of ranges are kept apart, in whatever order they come and go") {
        try AllocationTracer.start()
        var random = SystemRandomNumberGenerator()
        let order = (0..<5000).shuffled(using: &random)
        for index in order { try AllocationTracer.track(address + index * 16, size: 16, domain: domain) }
        try expectEqual(try trackedTally(), Tally(bytes: 80_000, count: 5000))
        for index in [0, 2500, 4999] {
            try expectError(
                .overlappingRange(
                    address: UInt(bitPattern: address) + UInt(index * 16 + 8), size: 1,
                    trackedAddress: UInt(bitPattern: address) + UInt(index * 16), trackedSize: 16, domain: domain)
            ) { try AllocationTracer.track(address + index * 16 + 8, size: 1, domain: domain) }
        }
        for index in order.shuffled(using: &random) { try AllocationTracer.untrack(address + index * 16, domain: domain) }
        try expectEqual(try trackedTally(), .zero)
        try AllocationTracer.track(address + 1, size: 79_999, domain: domain)
    },
    Behavior("a domain's figures are its own: malloc's stay what they were, traced memory has both") {
        try AllocationTracer.start()
        let pool = allocate(1000)
        let before = try AllocationTracer.takeSnapshot().process
        let memory = AllocationTracer.tracedMemory
        for slot in 0..<4 { try trackSlot(pool.address + slot * 100, 100, domain: 9) }
        try AllocationTracer.untrack(pool.address, domain: 9)
        let snapshot = try AllocationTracer.takeSnapshot()
        try expectEqual(snapshot.process.current, before.current)
        try expectEqual(snapshot.process.allocations, before.allocations)
        let summary = try unwrap(snapshot.process.domains.first)
        try expectEqual(snapshot.process.domains.count, 1)
        try expectEqual(summary.domain, 9)
        try expectEqual([summary.allocations, summary.frees, summary.bytesAllocated, summary.bytesFreed], [4, 1, 400, 100])
        try expectEqual(summary.current, Tally(bytes: 300, count: 3))
        try expectEqual(summary.peak, Tally(bytes: 400, count: 4))
        try expectEqual(AllocationTracer.tracedMemory.current - memory.current, Tally(bytes: 300, count: 3))
        try expect(AllocationTracer.tracedMemory.peak.bytes >= memory.current.bytes + 400)
        try expectEqual(snapshot.total(of: .current), snapshot.process.current + summary.current)
        try expectEqual(snapshot.filtered(by: [.include(domain: 9)]).total(of: .current), Tally(bytes: 300, count: 3))
        try expectEqual(snapshot.filtered(by: [.exclude(domain: 9)]).total(of: .current), snapshot.process.current)
        // A free of the block says nothing about the ranges in it.
        pool.release()
        try expectEqual(try tracked(9).map(\.size).reduce(0, +), 300)
    },
    Behavior("domains, threads and their names are in the file") {
        let path = "/tmp/tracer-behaviors-\(getpid())-domains.tmalloc"
        defer { unlink(path) }
        try AllocationTracer.start()
        let slots = Slots(count: 1)
        // The thread lives on while the snapshot is taken: its name is looked up then.
        let workers = Workers(count: 1) { _ in
            nameThread("a worker")
            slots[0] = allocate(4040).address
            try? trackSlot(address, 77, domain: 3)
        }
        workers.run()
        try AllocationTracer.takeSnapshot().write(to: path)
        workers.run(last: true)
        let snapshot = try Snapshot(contentsOf: path)
        let ours = snapshot.filtered(by: [.include(thread: "a work*")])
        try expectEqual(ours.filtered(by: [.include(domain: 0)]).traces.filter { $0.size == 4040 }.map(\.thread.name), ["a worker"])
        try expectEqual(ours.process.domains.map(\.current), [Tally(bytes: 77, count: 1)])
        try expectEqual(snapshot.filtered(by: [.exclude(thread: "a worker")]).process.domains, [])
        slots.freeAll()
    },
]
