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

    @Test("A program that is linked statically and stripped has its async parents too")
    func stripped() throws {
        let scratch = try Scratch()
        let flags = try #require(AsyncTests.builds.last) + ["-Xlinker", "--strip-all"]
        let profile = try Profile([try Program("async_tasks.swift", flags: flags, output: scratch / "stripped").path])
        let stacks = try profile.report("--by", "traceback", "--metric", "total").statistics
        // No names, but as many parents: three functions and what starts the task.
        let once = try #require(stacks.first { $0.bytes == 30_000 && $0.count == 1 }?.traceback)
        #expect(once.filter { $0.async == true }.count >= 4)
    }

    @Test("Contexts that are null, not aligned, not readable, circular, gone or without code neither crash nor lead anywhere")
    func hostileContexts() throws {
        let profile = try Profile([try Program("async_contexts.c").path], environment: ["TRACEMALLOC_VERIFY": "1"])
        #expect(profile.outcome.ending == .code(0))
        try expectClaims(of: profile)
        let stacks = try profile.report("--by", "traceback", "--metric", "total").statistics
        func named(_ function: String) -> [(count: Int, names: [String], parents: Int)] {
            stacks.filter { $0.traceback?.first?.plainName == function }.map { statistic in
                let frames = statistic.traceback ?? []
                return (statistic.count, frames.map(\.plainName), frames.filter { $0.async == true }.count)
            }
        }
        let bad = named("in_bad")
        #expect(bad.map(\.count) == [20])
        #expect(bad[0].names.prefix(4) == ["in_bad", "async_function", "with_context", "main"] && bad[0].parents == 0)
        let vanishing = named("in_vanishing").sorted { $0.parents < $1.parents }
        #expect(vanishing.map(\.count) == [3, 3] && vanishing.map(\.parents) == [0, 1])
        #expect(vanishing[0].names.contains("main") && vanishing[1].names.last == "resume_one")
        let changing = named("in_changing").sorted { $0.names.last! < $1.names.last! }
        #expect(changing.map(\.count) == [2, 2] && changing.map(\.names.last) == ["resume_one", "resume_two"])
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
