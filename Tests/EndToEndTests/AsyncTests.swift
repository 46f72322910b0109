// AsyncTests.swift: stacks of Swift tasks go on into those that await them.
import Foundation
import Testing

@Suite("Async Swift functions")
struct AsyncTests {
    /// How SwiftPM builds, in both configurations and with both standard libraries.
    static let builds = [
        ["-Onone", "-Xcc", "-fno-omit-frame-pointer"],
        ["-O", "-Xcc", "-fno-omit-frame-pointer"],
        ["-O", "-Xcc", "-fno-omit-frame-pointer", "-static-stdlib"],
    ]

    @Test("A stack shows each line that awaits the allocation, and no frame of the thread that ran it", arguments: builds)
    func awaitingLines(flags: [String]) throws {
        let profile = try Profile([try Program("async_tasks.swift", flags: flags).path])
        let expected = Tallies(claims: profile.outcome.stdout)
        #expect(expected.ofLines.count > 20)
        let stacks = try profile.report("--by", "traceback", "--metric", "total").statistics
        let found = stacks.filter { $0.isKept }
        for (lines, tally) in expected.ofLines {
            let there = found.filter { $0.lines == lines }
            #expect(there.reduce(0) { $0 + $1.bytes } == tally.bytes, "at \(lines)")
            #expect(there.reduce(0) { $0 + $1.count } == tally.count, "at \(lines)")
        }
        // The two descents are the only others, and the deeper one is cut off.
        let others = found.filter { expected.ofLines[$0.lines] == nil }
        #expect(others.map(\.bytes).sorted() == [60_000, 60_001])
        #expect(others.first { $0.bytes == 60_000 }?.lines.count == 42)
        #expect(try profile.stats().truncatedStacks >= 1)
        for statistic in found {
            let frames = try #require(statistic.traceback)
            // The function that allocates is on the stack; those outside of it are not.
            let own = try #require(frames.firstIndex { $0.line == statistic.lines.first && $0.isOfProgram })
            #expect(frames[...own].allSatisfy { $0.async == false })
            #expect(frames[(own + 1)...].allSatisfy { $0.async == true }, "\(frames)")
            #expect(!frames.contains { ["swift_job_run", "start_thread", "clone3"].contains($0.function) })
        }
    }

    @Test("The part of a task's stack that is on the stack equals libunwind's", arguments: builds)
    func verified(flags: [String]) throws {
        let profile = try Profile([try Program("async_tasks.swift", flags: flags).path], environment: ["TRACEMALLOC_VERIFY": "1"])
        let stats = try run([Products.command, "stats", profile.file, "--format", "json"]).stdout
        let fields = try #require(JSONSerialization.jsonObject(with: Data(stats.utf8)) as? [String: Any])
        #expect(fields["walks"] as? Int ?? 0 > 0)
        #expect(fields["walkDifferences"] as? Int == 0)
    }

    @Test("Without frame pointers tasks run unharmed and nothing is lost; what is known of who awaits is right")
    func withoutFramePointers() throws {
        let profile = try Profile([try Program("async_tasks.swift", flags: ["-O"]).path])
        let expected = Tallies(claims: profile.outcome.stdout)
        let found = try profile.report("--by", "traceback", "--metric", "total").statistics.filter { $0.isKept }
        #expect(found.reduce(0) { $0 + $1.count } == expected.ofLines.values.reduce(2) { $0 + $1.count })
        for statistic in found where statistic.traceback?.contains(where: { $0.async == true }) == true && statistic.lines.count < 20 {
            #expect(expected.ofLines.keys.contains { $0.starts(with: statistic.lines) }, "\(statistic.lines)")
        }
    }
}

/// What the program says: for each list of lines, allocating line first, how much was allocated.
private struct Tallies {
    var ofLines: [[Int]: (bytes: Int, count: Int)] = [:]

    init(claims: String) {
        for line in claims.split(separator: "\n") where line.hasPrefix("await ") {
            let numbers = line.split(separator: " ").dropFirst().compactMap { Int($0) }
            let tally = ofLines[Array(numbers.dropFirst())] ?? (0, 0)
            ofLines[Array(numbers.dropFirst())] = (tally.bytes + numbers[0], tally.count + 1)
        }
    }
}

extension Report.Site {
    fileprivate var isOfProgram: Bool { file?.hasSuffix("/async_tasks.swift") == true && line != nil }
}

extension Report.Statistic {
    /// Allocated by `keep`, whose own line is the innermost.
    fileprivate var isKept: Bool { traceback?.first?.isOfProgram == true && traceback?.first?.function?.contains("keep(") == true }

    /// The program's lines outside of `keep`, from the inside out.
    fileprivate var lines: [Int] { (traceback ?? []).dropFirst().filter(\.isOfProgram).compactMap(\.line) }
}
