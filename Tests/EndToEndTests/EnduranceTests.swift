// EnduranceTests.swift: the short forms of what tools/differential, tools/stress, tools/soak, tools/servers and tools/leaks do at length.
import Foundation
import Testing

@Suite("Endurance", .serialized)
struct EnduranceTests {
    static let commands: [[String]] = [
        ["differential", "--scripts", "1000", "--programs", "1000", "--seconds", "20"],
        ["stress", "--forks", "40", "--runs", "5"],
        ["soak", "10"],
        ["servers", "--seconds", "2", "redis"],
        ["leaks", "planted", "--forms", "optimized"],
        ["leaks", "free", "--runs", "2", "--outside"],
    ]

    @Test(
        "Random programs agree with independent counters, and long runs with many threads, children and clients lose nothing",
        arguments: commands)
    func shortForm(command: [String]) throws {
        _ = Products.library
        let script = (Products.testsFolder as NSString).deletingLastPathComponent + "/tools/" + command[0]
        let outcome = try run(
            [try tool("python3"), script] + command.dropFirst(), environment: ["TRACEMALLOC_BIN": Products.command], limit: 300)
        #expect(outcome.ending == .code(0), "\(outcome.stdout)\(outcome.stderr)")
        // The last line is "WHAT: N tried, 0 failed".
        #expect(outcome.stdout.contains("0 failed"), "\(outcome.stdout)")
    }
}
