// AllocationLimit.swift: traits that limit what a test allocates.
public import Testing
import TraceMalloc

/// A limit on the memory that a test allocates.
///
///     @Test(.allocations(atMost: 0)) func parsesWithoutAllocating() { … }
///     @Test(.allocations(in: 1...3), .peakMemory(atMost: 64 * 1024)) func loads() async throws { … }
///
/// A test that is outside of the limit fails, and the failure names the places that allocated most, with their call stacks.
/// A suite that has the trait gives it to each of its tests.
///
/// **What is counted.** While a test with a limit runs, its task and everything that belongs to it runs on one thread that
/// runs nothing else, and what that thread allocates is counted: synchronous code, async functions, child tasks (`async let`,
/// task groups) and the default actors that they call. Tests without limits run in parallel as ever and are not counted;
/// tests with limits wait for each other. A block is released for the peak no matter which thread frees it.
///
/// **What is not counted**: work that the test hands to somebody else (the main actor, unstructured `Task`s, actors with an
/// executor of their own, threads and dispatch queues), and what the tracer, the trait and the testing library themselves need. For
/// the peak, the few hundred bytes of an `#expect` do count.
///
/// **First times.** The first use of a generic type, of a lazy global variable or of a protocol conformance allocates memory that
/// the Swift runtime keeps for ever; so does a test when it is the first to get there. With `warmingUp: true` the test's function
/// runs twice, and only the second run is counted.
public struct AllocationLimit: TestTrait, SuiteTrait, TestScoping {
    enum Bound: Hashable {
        case count(ClosedRange<Int>)
        case peakBytes(Int)
    }

    let bound: Bound
    let warmsUp: Bool

    /// Each test of a suite has the limit for itself.
    public var isRecursive: Bool { true }

    /// Runs a test on the counted thread and judges it. Swift Testing calls this.
    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        if warmsUp && !Measurement.isRunning { try await Measurement.run(function) { _ in } }
        try await Measurement.run(function) { result in
            switch result {
            case .success(let figures):
                guard let complaint = Complaint(bound, figures) else { return }
                Issue.record(Comment(rawValue: complaint.text), sourceLocation: test.sourceLocation)
            case .failure(let error):
                Issue.record("the allocations of this test cannot be counted: \(error)", sourceLocation: test.sourceLocation)
            }
        }
    }
}

extension Trait where Self == AllocationLimit {
    /// The test allocates at most so many blocks. A reallocation counts as one.
    /// - Parameter warmingUp: the test's function runs once before it is counted.
    public static func allocations(atMost count: Int, warmingUp: Bool = false) -> Self {
        AllocationLimit(bound: .count(0...max(count, 0)), warmsUp: warmingUp)
    }

    /// The number of blocks that the test allocates is in a range.
    /// - Parameter warmingUp: the test's function runs once before it is counted.
    public static func allocations(in range: ClosedRange<Int>, warmingUp: Bool = false) -> Self {
        AllocationLimit(bound: .count(range), warmsUp: warmingUp)
    }

    /// The blocks of the test that are alive at any one moment have together at most so many bytes.
    /// - Parameter warmingUp: the test's function runs once before it is counted.
    public static func peakMemory(atMost bytes: Int, warmingUp: Bool = false) -> Self {
        AllocationLimit(bound: .peakBytes(max(bytes, 0)), warmsUp: warmingUp)
    }
}
