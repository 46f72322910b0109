// LeakCheck.swift: the trait `.noLeaks`.
import AllocationProfile
public import Testing
import TraceMalloc

/// A test that must not lose memory.
///
///     @Test(.noLeaks) func closesItsConnections() async throws { … }
///
/// A test that leaves memory behind which nothing reaches fails, and the failure names each leak: its type, the references
/// around a retain cycle, and where it was allocated. A suite that has the trait gives it to each of its tests.
///
/// What is looked at is what a limit on allocations counts (see ``AllocationLimit``): blocks that the test, its child tasks and
/// the default actors that it calls have allocated. What is still reachable, from a cache or a global variable, is no leak. The
/// whole process stands still for some milliseconds at the end of the test.
public struct LeakCheck: TestTrait, SuiteTrait, TestScoping {
    /// Each test of a suite is looked at by itself.
    public var isRecursive: Bool { true }

    /// Runs a test on the counted thread and looks for what it lost. Swift Testing calls this.
    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        // swift-format-ignore: OnlyOneTrailingClosureArgument
        try await Measurement.run({
            try await function()
            await Measurement.scrub()
            do throws(TracingError) {
                let report = try AllocationWindow.findLeaks()
                guard !report.leaks.isEmpty else { return }
                Issue.record(Comment(rawValue: LeakCheck.text(report)), sourceLocation: test.sourceLocation)
            } catch {
                Issue.record("the leaks of this test cannot be found: \(error)", sourceLocation: test.sourceLocation)
            }
        }) { _ in }
    }

    private static let mostLeaks = 5
    private static let mostFrames = 8

    private static func text(_ report: LeakReport) -> String {
        let count = report.leaks.reduce(0) { $0 + $1.instances }
        var lines = ["\(count) leak\(count == 1 ? "" : "s"), \(TextForm.size(report.leaked.bytes)) in \(report.leaked.count) blocks"]
        for leak in report.leaks.prefix(mostLeaks) {
            lines.append("  \(leak)")
            let frames = leak.callStack.drop { $0.isSystem }.prefix { $0.file?.contains("@__swiftmacro_") != true }.prefix(mostFrames)
            lines += CallStack(Array(frames)).formatted(mostRecentFirst: true).map { "  " + $0 }
        }
        if report.leaks.count > mostLeaks { lines.append("and \(report.leaks.count - mostLeaks) other leaks") }
        return lines.joined(separator: "\n")
    }
}

extension Trait where Self == LeakCheck {
    /// The test leaves no memory behind that nothing reaches.
    public static var noLeaks: Self { LeakCheck() }
}
