// LeakBehaviors.swift: what a program that looks at itself calls a leak, and what not.
import Glibc
import Synchronization
import TraceMalloc

private final class Branch {
    var leaves: [Leaf] = []
    var weight = 0
}
private final class Leaf {
    var branch: Branch?
    weak var neighbor: Leaf?
}
@inline(never)
private func loseCycle() {
    let branch = Branch()
    for _ in 0..<3 {
        let leaf = Leaf()
        leaf.branch = branch
        branch.leaves.append(leaf)
    }
}

private nonisolated(unsafe) var hidden: UInt = 0
private nonisolated(unsafe) var fillers: [UnsafeMutableRawPointer] = []
private func freeFillers() {
    for filler in fillers { free(filler) }
    fillers = []
}
/// The complement of the address of a block with a mapping of its own, which takes more the more large blocks were freed before.
private func hide() {
    var size = 300_000
    while let block = malloc(size) {
        hidden = ~UInt(bitPattern: block)
        let isMapped = (block - 8).load(as: UInt.self) & 2 != 0
        if isMapped { return }
        free(block)
        size *= 2
    }
}
/// Loses eight blocks. Their addresses are left in memory that was freed again, in front of more blocks than a heap of glibc's arenas
/// holds, and in a block that is lost as well: the complement of whose address is all that there is of it.
@inline(never)
private func loseBlocks(of size: Int) {
    guard let freed = malloc(1000), let lost = UnsafeMutableRawPointer(bitPattern: ~hidden) else { return }
    for offset in stride(from: 504, to: 568, by: 8) {
        guard let block = malloc(size) else { return }
        memset(block, 1, size)
        freed.storeBytes(of: UInt(bitPattern: block), toByteOffset: offset, as: UInt.self)
        lost.storeBytes(of: UInt(bitPattern: block), toByteOffset: offset, as: UInt.self)
    }
    // What was in an arena before is no address any more.
    fillers.reserveCapacity(700)
    for _ in 0..<700 { fillers.append(calloc(1, 100_000)) }
    free(freed)
}

/// A stack that is gone keeps nothing.
func onThreadOfItsOwn(_ body: @escaping @Sendable () -> Void) {
    final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var handle = pthread_t()
    pthread_create(
        &handle, nil,
        { argument in
            if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, Unmanaged.passRetained(Body(body)).toOpaque())
    pthread_join(handle, nil)
}

/// The optimizer takes away a malloc whose block nobody looks at.
private nonisolated(unsafe) var largest: UInt = 0
@inline(never)
private func loseBlock() -> Int {
    guard let block = malloc(12_345) else { return 0 }
    largest = max(largest, UInt(bitPattern: block) & 0xfff)
    memset(block, 1, 12_345)
    return 1
}

/// What the functions above left on the stack is written over: temporary memory lies there when it is small.
@inline(never)
func scrub(_ depth: Int = 64) {
    withUnsafeTemporaryAllocation(byteCount: 1000, alignment: 16) { bytes in
        for index in bytes.indices { bytes[index] = 0 }
        if depth > 0 { scrub(depth - 1) }
        precondition(bytes[Int(getpid()) % 1000] == 0)
    }
}

/// What `lose` loses, found. A word that looks like the block's address hides it now and then: the search is conservative.
private func found(_ isIt: (Leak) -> Bool, after lose: () throws -> Void) throws -> (report: LeakReport, leak: Leak) {
    var report: LeakReport?
    for attempt in 0..<15 {
        usleep(UInt32(attempt) * 10_000)
        try lose()
        scrub()
        report = try AllocationTracer.findLeaks()
        if let report, let leak = report.leaks.first(where: isIt) { return (report, leak) }
    }
    let leaks = report?.leaks ?? []
    return (try unwrap(report), try unwrap(leaks.first(where: isIt)))
}

/// Looks for leaks in a program that has none.
func lookUnderLoad(times: Int, pause: UInt32 = 0) async throws {
    try AllocationTracer.start()
    let free = LeakFree()
    await free.start(pause: pause)
    defer { free.stop() }
    for time in 1...times {
        usleep(2000)
        let report = try AllocationTracer.findLeaks()
        let leaks = report.leaks.prefix(3).map { "\($0.instances) of \($0): \($0.objects), \($0.callStack.debugDescription)" }
        // What is still there at once afterwards was not only looked at in a bad moment.
        let again = report.leaks.isEmpty ? 0 : try AllocationTracer.findLeaks().leaked.count
        let lost = report.leaks.isEmpty ? 0 : try AllocationTracer.takeSnapshot().process.lostEvents
        try expect(report.leaks.isEmpty, "time \(time): \(leaks) \(report.warnings); again: \(again) blocks; \(lost) events lost")
    }
}

/// Allocates on a thread whose stack is a block of this size; the complement of its address is kept.
private func allocateOnBlock(of size: Int) {
    guard let stack = aligned_alloc(4096, size) else { return }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstack(&attributes, stack, size)
    var handle = pthread_t()
    pthread_create(
        &handle, &attributes,
        { _ in
            for size in 1...100 { free(malloc(size)) }
            return nil
        }, nil)
    pthread_join(handle, nil)
    hidden = ~UInt(bitPattern: stack)
}

/// Loses a block in the place of the hidden one. False: others were faster and took the place.
private func loseBlockThere(of size: Int) -> Bool {
    free(UnsafeMutableRawPointer(bitPattern: ~hidden))
    guard let block = aligned_alloc(4096, size), ~UInt(bitPattern: block) == hidden else { return false }
    memset(block, 0, size)
    return true
}

/// To be shown by a program of its own: after a start with as many frames there is nothing to outgrow.
let outgrownBehavior = Behavior("What the tracer remembers of stacks from before a start with more frames keeps nothing alive") {
    let size = 1 << 20
    try AllocationTracer.start(frames: 10)
    onThreadOfItsOwn { allocateOnBlock(of: size) }
    AllocationTracer.stop()
    try AllocationTracer.start(frames: 65_535)
    onThreadOfItsOwn { largest = loseBlockThere(of: size) ? 1 : 0 }
    scrub()
    try expect(largest == 1, "the place is taken")
    let leaks = try AllocationTracer.findLeaks().leaks
    try expect(leaks.contains { $0.own.bytes == size }, "\(leaks)")
}

let leakBehaviors = [
    Behavior("A retain cycle is found, with the references around it and the line that made it") {
        try AllocationTracer.start()
        let (_, leak) = try found({ $0.kind == .cycle && $0.typeName?.contains("Branch") == true }) {
            onThreadOfItsOwn { loseCycle() }
        }
        try expect(leak.path.contains { $0.hasSuffix("Leaf.branch") }, "\(leak.path)")
        try expect(leak.path.contains { $0.hasSuffix("Branch.leaves") }, "\(leak.path)")
        // What an attempt before lost is found with it when nothing names it any more.
        try expect(leak.total.count == 5 * leak.instances, "\(leak)")
        try expect(leak.callStack.contains { $0.function?.contains("loseCycle") == true }, "\(leak.callStack)")
        try expect(leak.objects.allSatisfy { ($0.strong ?? 1) >= 1 })
    },
    Behavior("A lost block of malloc is found with its size; what is held is not") {
        let held = malloc(999)
        defer { free(held) }
        try AllocationTracer.start()
        let kept = malloc(4_321)
        defer { free(kept) }
        let (report, _) = try found({ $0.total.bytes == 12_345 && $0.typeName == nil }) { try expectEqual(loseBlock(), 1) }
        try expect(!report.leaks.contains { $0.total.bytes == 4_321 }, "\(report.leaks)")
        try expect(report.pause > 0 && report.live.bytes >= 12_345)
    },
    Behavior("Addresses in the free memory of a full arena keep nothing alive, and neither do those in what is lost itself") {
        var found: [Int] = []
        // One or two of the eight may be named by something else, and all when others take the freed memory, or a word of the past that
        // they keep looks like a place in the large block. Then all is done once more, with blocks of another size and at another place.
        var allHidden: [UInt] = []
        defer { for one in allHidden { free(UnsafeMutableRawPointer(bitPattern: ~one)) } }
        for attempt in 1...8 {
            let size = 23_456 + 16 * attempt
            onThreadOfItsOwn { hide() }
            allHidden.append(hidden)
            defer {
                AllocationTracer.stop()
                freeFillers()
            }
            try AllocationTracer.start()
            onThreadOfItsOwn { loseBlocks(of: size) }
            scrub()
            let leaks = try AllocationTracer.findLeaks().leaks
            found.append(leaks.filter { $0.own.bytes == size * $0.instances }.reduce(0) { $0 + $1.instances })
            if found[attempt - 1] >= 6 { return }
        }
        throw Unmet(reason: "of 8 each time \(found)", line: #line)
    },
    Behavior("A report that is kept hides nothing from the next search, and neither does a snapshot") {
        try AllocationTracer.start()
        var reports: [LeakReport] = []
        for count in 1...3 {
            onThreadOfItsOwn { for _ in 0..<6 { loseCycle() } }
            scrub()
            let snapshot = try AllocationTracer.takeSnapshot()
            reports.append(try AllocationTracer.findLeaks())
            let found = reports[count - 1].leaks.filter { $0.typeName?.contains("Branch") == true }.reduce(0) { $0 + $1.instances }
            // Words that look like addresses may hide some: as many as one round's. What was found before is found again.
            try expect(found >= 6 * (count - 1) && found <= 6 * count, "\(found) of \(6 * count) after \(snapshot.process.allocations)")
        }
    },
    Behavior("What threads, tasks, queues, caches and thread-locals hold under load is no leak, however often one looks") {
        try await lookUnderLoad(times: 2, pause: 20_000)
    },
    Behavior("Leaks cannot be asked for while nothing is traced") {
        try expectError(.notTracing) { _ = try AllocationTracer.findLeaks() }
    },
]
