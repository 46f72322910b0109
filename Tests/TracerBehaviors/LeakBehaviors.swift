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
private final class Station: @unchecked Sendable {
    var name = "a station whose name is too long for a small string"
    var next: Station?
    var onClose: (() -> Void)?
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

/// A stack that is gone keeps nothing.
private func onThreadOfItsOwn(_ body: @escaping @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?) {
    var handle = pthread_t()
    pthread_create(&handle, nil, body, nil)
    pthread_join(handle, nil)
}

@inline(never)
private func loseBlock() -> Int {
    guard let block = malloc(12_345) else { return 0 }
    memset(block, 1, 12_345)
    return 1
}

/// What the functions above left on the stack is written over: temporary memory lies there when it is small.
@inline(never)
private func scrub(_ depth: Int = 64) {
    withUnsafeTemporaryAllocation(byteCount: 1000, alignment: 16) { bytes in
        for index in bytes.indices { bytes[index] = 0 }
        if depth > 0 { scrub(depth - 1) }
        precondition(bytes[Int(getpid()) % 1000] == 0)
    }
}

private let registry = Mutex<[Station]>([])

/// Threads that hold, drop, and hand around objects all the time, until they are told to stop.
private final class Load: Sendable {
    private let isOver = Atomic(false)
    private let running = Atomic(0)

    func start(threads: Int) {
        for _ in 0..<threads {
            running.add(1, ordering: .relaxed)
            var handle = pthread_t()
            let context = Unmanaged.passRetained(self).toOpaque()
            pthread_create(
                &handle, nil,
                { context in
                    if let context { Unmanaged<Load>.fromOpaque(context).takeRetainedValue().work() }
                    return nil
                }, context)
            pthread_detach(handle)
        }
    }

    func stop() {
        isOver.store(true, ordering: .relaxed)
        while running.load(ordering: .acquiring) > 0 { usleep(1000) }
    }

    private func work() {
        var round = 0
        while !isOver.load(ordering: .relaxed) {
            // Held from this stack, through a list, a closure and a weak reference.
            let first = Station()
            var last = first
            for index in 0..<20 {
                let next = Station()
                next.name = "station \(index) of a line that goes further than a small string"
                last.next = next
                last = next
            }
            first.onClose = { [weak first] in _ = first?.name }
            var table: [String: Station] = [:]
            for index in 0..<16 { table["key \(index) that does not fit into a small string"] = first }
            round += 1
            if round % 8 == 0 {
                registry.withLock { stations in
                    stations.append(first)
                    if stations.count > 32 { stations.removeFirst(16) }
                }
            }
            withExtendedLifetime((first, table)) {}
        }
        running.subtract(1, ordering: .releasing)
    }
}

/// What `lose` loses, found. A word that looks like the block's address hides it now and then: the search is conservative.
private func found(_ isIt: (Leak) -> Bool, after lose: () throws -> Void) throws -> (report: LeakReport, leak: Leak) {
    var report: LeakReport?
    for _ in 0..<5 {
        try lose()
        scrub()
        report = try AllocationTracer.findLeaks()
        if let report, let leak = report.leaks.first(where: isIt) { return (report, leak) }
    }
    let leaks = report?.leaks ?? []
    return (try unwrap(report), try unwrap(leaks.first(where: isIt)))
}

let leakBehaviors = [
    Behavior("A retain cycle is found, with the references around it and the line that made it") {
        try AllocationTracer.start()
        let (_, leak) = try found({ $0.kind == .cycle && $0.typeName?.contains("Branch") == true }) {
            onThreadOfItsOwn { _ in
                loseCycle()
                return nil
            }
        }
        try expect(leak.path.contains { $0.hasSuffix("Leaf.branch") }, "\(leak.path)")
        try expect(leak.path.contains { $0.hasSuffix("Branch.leaves") }, "\(leak.path)")
        try expect(leak.total.count == 5, "\(leak)")
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
    Behavior("Objects that threads hold under load are no leaks, however often one looks") {
        try AllocationTracer.start()
        let load = Load()
        load.start(threads: 8)
        defer { load.stop() }
        let times = CommandLine.arguments.dropFirst().first == "load" ? 100 : 5
        for time in 1...times {
            usleep(2000)
            let report = try AllocationTracer.findLeaks()
            try expect(
                report.leaks.isEmpty,
                "time \(time): \(report.leaks.prefix(3).map { "\($0): \($0.callStack.debugDescription)" }) \(report.warnings)")
        }
    },
    Behavior("Leaks cannot be asked for while nothing is traced") {
        try expectError(.notTracing) { _ = try AllocationTracer.findLeaks() }
    },
]
