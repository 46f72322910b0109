// Measurement.swift: runs a test alone on the counted thread, and hands its figures to each of its limits.
import AllocationRecording
import Synchronization
import TraceMalloc

enum Measurement {
    typealias Judge = @Sendable (Result<WindowFigures, TracingError>) -> Void

    /// What several limits of one test share: the figures of the innermost one, which sees the test and nothing else.
    private final class Shared: Sendable {
        private let result = Mutex<Result<WindowFigures, TracingError>?>(nil)
        func put(_ value: Result<WindowFigures, TracingError>) { result.withLock { $0 = $0 ?? value } }
        var value: Result<WindowFigures, TracingError> { result.withLock { $0 } ?? .failure(.notTracing) }
    }

    @TaskLocal private static var shared: Shared?

    /// Another limit of the same test is around this one.
    static var isRunning: Bool { shared != nil }

    /// Runs `function`, counts what it allocates, and lets `judge` see it. Where nothing can be counted `function` runs all the same.
    static func run(_ function: @Sendable () async throws -> Void, _ judge: Judge) async throws {
        if let shared {
            defer { judge(shared.value) }
            return try await count(function, shared)
        }
        await Turn.shared.take()
        let result = await outcome {
            let shared = Shared()
            try await $shared.withValue(shared) {
                defer { judge(shared.value) }
                try await withTaskExecutorPreference(CountedThread.shared) { try await count(function, shared) }
            }
        }
        await Turn.shared.give()
        try result.get()
    }

    /// Overwrites what the frames of finished async functions left behind: references to what they lost, perhaps.
    static func scrub() async { await TaskMemory.reserve() }

    private static func count(_ function: @Sendable () async throws -> Void, _ shared: Shared) async throws {
        await TaskMemory.reserve()
        do throws(TracingError) { try AllocationWindow.open() } catch { shared.put(.failure(error)) }
        defer { if let figures = AllocationWindow.close() { shared.put(.success(figures)) } }
        try await function()
    }

    private static func outcome(_ body: () async throws -> Void) async -> Result<Void, any Error> {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}

/// Where a task keeps the frames of its async functions: in slabs that come from malloc and stay until the task ends.
private enum TaskMemory {
    /// Makes a slab that is large enough for most tests: whether a test needs one more depends on what the task did before.
    @inline(never)
    static func reserve() async {
        // Used on both sides of a suspension, so that it is part of the async frame.
        var large = InlineArray<2048, Int>(repeating: 0)
        use(&large)
        await suspend()
        use(&large)
    }

    @inline(never) private static func use(_ frame: inout InlineArray<2048, Int>) { frame[frame[0]] &+= 1 }
    @inline(never) private static func suspend() async {}
}

/// Tests with limits run one after the other.
private actor Turn {
    static let shared = Turn()
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
        if !isTaken {
            isTaken = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func give() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}
