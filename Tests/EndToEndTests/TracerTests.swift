// TracerTests.swift: the Swift API, shown by a program that links it.
import Foundation
import Testing

@Suite("The Swift API")
struct TracerTests {
    private static let program = Products.directoryOfTests + "/TracerBehaviors"

    /// Every sentence that the program knows, and what came of it.
    private static let outcome = Result { try run([program], limit: 300) }

    /// The program lists its sentences; a program that cannot is one failing case.
    static let sentences: [String] = {
        let listed = try? run([program, "list"]).stdout.split(separator: "\n").map(String.init)
        return listed.flatMap { $0.isEmpty ? nil : $0 } ?? ["the program \(program) lists its behaviors"]
    }()

    @Test("In Swift code,", arguments: sentences)
    func behavior(sentence: String) throws {
        let outcome = try Self.outcome.get()
        let lines = outcome.stdout.split(separator: "\n").map(String.init)
        let line = lines.first { $0 == "ok \(sentence)" || $0.hasPrefix("not ok \(sentence):") }
        #expect(line == "ok \(sentence)", "\(line ?? "not reached, the program ended with \(outcome.ending): \(outcome.stderr)")")
    }

    @Test("The program that shows the behaviors ends well and writes nothing else")
    func endsWell() throws {
        let outcome = try Self.outcome.get()
        #expect(outcome.ending == .code(0))
        #expect(outcome.stderr.isEmpty, "\(outcome.stderr)")
        #expect(Self.sentences.count > 40)
        #expect(outcome.stdout.split(separator: "\n").count == Self.sentences.count)
    }

    @Test("What the tracer remembers of stacks from before a start with more frames keeps nothing alive")
    func outgrown() throws {
        var outcome = try run([Self.program, "outgrown"])
        for _ in 0..<20 where outcome.stdout.contains("the place is taken") { outcome = try run([Self.program, "outgrown"]) }
        #expect(outcome.ending == .code(0), "\(outcome.stdout)")
    }

    @Test("Under tracemalloc run a program that links the tracer is recorded once, and its marks are in the file")
    func recordedElsewhere() throws {
        let profile = try Profile([Self.program, "recorded"])
        #expect(profile.outcome.ending == .code(0))
        let lines = profile.outcome.stdout.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["tracing before start: true", "tracing after start: true"])
        #expect(lines.contains { $0.hasPrefix("snapshot: this program is being recorded by another process") }, "\(lines)")
        #expect(lines.contains("traced memory: 0"))
        #expect(lines.contains("tracing after stop: true"))
        let numbers = try #require(lines.last?.split(separator: " ").suffix(2).map(String.init))
        let stats = try profile.stats()
        #expect(stats.processes?.count == 1)
        #expect(!profile.outcome.stderr.contains("warning"), "\(profile.outcome.stderr)")
        // Twice recorded would be twice counted.
        let report = try profile.report("--by", "line", "--metric", "total")
        for (line, bytes) in zip(numbers, [1234, 4321]) {
            let statistic = try #require(report.at("Allocating.swift:\(line)"))
            #expect(statistic.bytes == bytes)
            #expect(statistic.count == 1)
        }
        // What it tracked is there, too, and not in malloc's figures.
        let domains = try #require(stats.domains)
        #expect(domains.map(\.domain) == [5])
        #expect(domains.map(\.currentBytes) == [66] && domains.map(\.peakBytes) == [100])
        #expect(domains.map(\.allocations) == [2] && domains.map(\.frees) == [1])
        let tracked = try profile.report("--domain", "5", "--metric", "total")
        #expect(tracked.total.bytes == 100 && tracked.statistics.count == 1)
        #expect(tracked.statistics.first?.site?.function?.contains("trackSlot") == true, "\(tracked.statistics)")
        let malloced = try profile.report("--domain", "0", "--metric", "total")
        #expect(malloced.total.bytes == stats.bytesAllocated && malloced.total.count == stats.allocations)
        let query = "SELECT t.value FROM generation g JOIN text t ON t.id = g.name ORDER BY g.id"
        let marks = try run([try tool("sqlite3"), profile.file, query])
        #expect(marks.stdout == "\nfrom the program\n")
    }

    @Test("By hand, too, it is recorded once")
    func recordedByHand() throws {
        let profile = try Profile(byHand: [Self.program, "recorded"])
        #expect(profile.outcome.ending == .code(0))
        let numbers = try #require(profile.outcome.stdout.split(separator: "\n").last?.split(separator: " ").suffix(2).map(String.init))
        let report = try profile.report("--by", "line", "--metric", "total")
        #expect(report.at("Allocating.swift:\(numbers[0])")?.count == 1)
    }

    @Test(
        "TRACEMALLOC_START traces a program that links the tracer from its start",
        arguments: [("1", true, 256), ("7", true, 7), ("65535", true, 65535), ("0", false, 256)])
    func startedByVariable(value: String, isTracing: Bool, frames: Int) throws {
        let outcome = try run([Self.program, "started"], environment: ["TRACEMALLOC_START": value])
        let lines = outcome.stdout.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["tracing: \(isTracing)", "frames: \(frames)"])
        #expect(lines.last?.hasPrefix("traceback: Allocating.swift:") == isTracing)
        #expect(outcome.ending == .code(0) && outcome.stderr.isEmpty, "\(outcome.stderr)")
    }

    @Test("A TRACEMALLOC_START that makes no sense is one line, and the program runs untraced", arguments: ["-1", "65536", "yes", "1 "])
    func badVariable(value: String) throws {
        let outcome = try run([Self.program, "started"], environment: ["TRACEMALLOC_START": value])
        #expect(outcome.stdout.hasPrefix("tracing: false"))
        #expect(outcome.ending == .code(0))
        let sentence = "TRACEMALLOC_START must be 0, 1 or a number of frames up to 65535, not \"\(value)\"."
        #expect(outcome.stderr == "tracemalloc: \(sentence) The program runs untraced.\n")
    }

    @Test("A C program starts, looks, tracks and writes through tracemalloc.h")
    func fromC() throws {
        let scratch = try Scratch()
        let file = scratch / "c.tmalloc"
        let outcome = try run([Products.directoryOfTests + "/CTracerBehaviors", file])
        #expect(outcome.ending == .code(0), "\(outcome.stdout) \(outcome.stderr)")
        #expect(outcome.stdout.components(separatedBy: "ok ").count == 5 && !outcome.stdout.contains("not ok"))
        let numbers = try #require(outcome.stdout.split(separator: "\n").first { $0.hasPrefix("lines ") }?.split(separator: " "))
        let blocks = try run([Products.command, "report", file, "--domain", "0"]).stdout
        #expect(blocks.contains("main.c:\(numbers[1]): size=4321 B, count=1, average=4321 B"), "\(blocks)")
        let ranges = try run([Products.command, "report", file, "--domain", "8", "--by", "traceback", "--attribute", "innermost"]).stdout
        #expect(ranges.contains("main.c:\(numbers[2]): size=21 B, count=1, average=21 B"), "\(ranges)")
        #expect(!ranges.contains("tracemalloc_track"))
    }

    @Test("With TRACEMALLOC_START=0 it is idle until it starts itself")
    func idle() throws {
        let scratch = try Scratch()
        let variables = ["TRACEMALLOC_START": "0", "TRACEMALLOC": scratch / "out.tmalloc", "LD_PRELOAD": Products.library]
        let outcome = try run([Self.program, "idle"], environment: variables)
        let lines = outcome.stdout.split(separator: "\n").map(String.init)
        #expect(lines.prefix(2) == ["tracing before start: false", "tracing after start: true"])
        #expect(lines.last?.hasPrefix("traceback: Allocating.swift:") == true, "\(lines)")
        #expect(outcome.ending == .code(0))
    }
}
