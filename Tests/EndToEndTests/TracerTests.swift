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
