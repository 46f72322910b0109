// PageTests.swift: pages of made-up snapshots: what stands in their data, and that no name gets out of it.
import AllocationProfile
import Foundation
import Testing

@testable import AllocationReports

/// The data of a page, as its script reads it.
private struct Content: Decodable {
    struct Frames: Decodable {
        var function, file, module, source, line, flags: [Int]
    }
    struct Nodes: Decodable {
        var parent, frame: [Int]
    }
    struct Costs: Decodable {
        var node, site, process: [Int]
        var currentBytes, currentCount, peakBytes, totalBytes, temporaryCount: [Int]
    }
    struct Alive: Decodable {
        var node, generation, currentBytes, currentCount: [Int]
    }
    struct Process: Decodable {
        var isOld: Bool
        var pid: Int
    }
    struct Timeline: Decodable {
        var time: [Double]
        var bytes: [Int]
        var largest: [[Int]]
    }
    struct Omission: Decodable {
        var calls: Int
        var share: Double
    }
    var title: String
    var isComparison: Bool
    var strings: [String]
    var frames: Frames
    var nodes: Nodes
    var costs: Costs
    var alive: Alive
    var processes: [Process]
    var timelines: [Timeline]
    var sizes: [[Int]]
    var omitted: Omission?

    init(_ page: Page, sourceLine: (String, Int) -> String? = { _, _ in nil }) throws {
        let html = page.html(nonce: "n0", sourceLine: sourceLine)
        let start = try #require(html.range(of: "<script type=\"application/json\" id=\"data\" nonce=\"n0\">"))
        let end = try #require(html.range(of: "</script>", range: start.upperBound..<html.endIndex))
        self = try JSONDecoder().decode(Content.self, from: Data(html[start.upperBound..<end.lowerBound].utf8))
    }

    /// The stack of a row, as `main;load;malloc`.
    func stack(_ row: Int) -> String {
        var names: [String] = []
        var node = costs.node[row]
        while node != 0 {
            names.insert(strings[frames.function[nodes.frame[node]]], at: 0)
            node = nodes.parent[node]
        }
        return names.joined(separator: ";")
    }

    /// Each row's stack, call site and live bytes.
    var rows: [String] {
        costs.node.indices.map { "\(stack($0)) site=\(strings[frames.function[costs.site[$0]]]) \(costs.currentBytes[$0])" }
    }
}

@Suite struct PageTests {
    private func snapshot(_ stacks: (String, Int, Int)...) -> Snapshot {
        var fixture = Fixture()
        for (stack, bytes, count) in stacks { fixture.add(stack, bytes: bytes, count: count) }
        return fixture.snapshot
    }

    @Test func everyStackIsARowWithItsCallSiteAndFigures() throws {
        let content = try Content(Page([Fixture.typical()], PageQuestion()))
        #expect(
            content.rows == ["main;load;malloc site=load 40036", "main;save site=save 1000", "main site=main 24"])
        #expect(content.costs.currentCount == [7, 4, 1])
        #expect(content.costs.peakBytes == [80072, 2000, 48])
        #expect(content.costs.totalBytes == [400_360, 10000, 240])
        #expect(content.costs.temporaryCount == [7, 4, 1])
        #expect(content.omitted == nil)
        #expect(!content.isComparison)
    }

    @Test func innermostAttributionChargesRuntimeFrames() throws {
        var question = PageQuestion()
        question.attribution = .innermost
        #expect(try Content(Page([Fixture.typical()], question)).rows.first == "main;load;malloc site=malloc 40036")
    }

    @Test func aCallStandsBehindItsCallerAndStringsStandOnce() throws {
        let content = try Content(Page([Fixture.typical()], PageQuestion()))
        #expect(content.nodes.parent.indices.dropFirst().allSatisfy { content.nodes.parent[$0] < $0 })
        #expect(Set(content.strings).count == content.strings.count)
        #expect(content.strings.first == "")
    }

    @Test func processesShareCallsAndKeepTheirRows() throws {
        let content = try Content(Page([snapshot(("main a.c:1", 5, 1)), snapshot(("main a.c:1", 7, 1))], PageQuestion()))
        #expect(content.nodes.parent == [0, 0])
        #expect(content.costs.process == [0, 1])
        #expect(content.costs.currentBytes == [5, 7])
    }

    @Test func aComparisonHoldsBothRuns() throws {
        let page = Page(old: [snapshot(("main a.c:1", 5, 1))], new: [snapshot(("main a.c:1", 7, 1))], PageQuestion())
        let content = try Content(page)
        #expect(content.isComparison)
        #expect(content.processes.map(\.isOld) == [true, false])
        #expect(content.costs.currentBytes == [5, 7])
    }

    @Test func smallCallsAreSummedUpUnderTheirCallersAndKeepTheirSites() throws {
        var fixture = Fixture()
        fixture.add("main a.c:1;large a.c:2", bytes: 10000, count: 100)
        for line in 3..<50 { fixture.add("main a.c:1;small\(line) a.c:\(line);*malloc (libc)", bytes: line, count: 1) }
        var question = PageQuestion()
        question.callLimit = 3
        let content = try Content(Page([fixture.snapshot], question))
        // The root, main, large, and what stands for the rest.
        #expect(content.nodes.parent == [0, 0, 1, 1])
        #expect(content.rows.contains("main;large site=large 10000"))
        #expect(content.rows.contains("main;[smaller calls] site=small49 49"))
        #expect(content.costs.currentBytes.reduce(0, +) == fixture.snapshot.total(of: .current).bytes)
        #expect(content.omitted?.calls == 2 * 47)
        let share = try #require(content.omitted?.share)
        #expect(abs(share - 49 / Double(fixture.snapshot.total(of: .current).bytes)) < 0.01)
    }

    @Test func generationsAndMomentsNameTheirStacks() throws {
        var snapshot = Fixture.typical()
        snapshot.marks = [Mark(name: "", start: 0), Mark(name: "request 1", start: 0.5)]
        let stack = snapshot.costs[0].stack
        snapshot.liveByGeneration = [
            GenerationCost(stack: stack, generation: 0, live: Tally(bytes: 36, count: 1)),
            GenerationCost(stack: stack, generation: 1, live: Tally(bytes: 40000, count: 6)),
            // Of a damaged file.
            GenerationCost(stack: 9999, generation: 1, live: Tally(bytes: 1, count: 1)),
            GenerationCost(stack: stack, generation: 77, live: Tally(bytes: 1, count: 1)),
        ]
        snapshot.timeline = [
            TimelinePoint(time: 0.1, live: Tally(bytes: 500, count: 5), residentBytes: 9000, largest: [(stack, 400), (-5, 7)])
        ]
        let content = try Content(Page([snapshot], PageQuestion()))
        #expect(content.alive.generation == [0, 1, 1])
        #expect(content.alive.currentBytes == [36, 40000, 1])
        #expect(content.alive.node == [content.costs.node[0], content.costs.node[0], 0])
        #expect(content.timelines.first?.bytes == [500])
        #expect(content.timelines.first?.largest == [[content.costs.site[0], 400, -1, 7]])
        #expect(content.strings.contains("request 1"))
    }

    @Test func histogramsAreThoseOfAllStacks() throws {
        var snapshot = Fixture.typical()
        snapshot.costs[0].sizes = snapshot.histograms.number(of: [UInt64](repeating: 1, count: StackCost.sizeBuckets))
        snapshot.costs[1].sizes = snapshot.histograms.number(of: [UInt64](repeating: 2, count: StackCost.sizeBuckets))
        #expect(try Content(Page([snapshot], PageQuestion())).sizes == [[Int](repeating: 3, count: StackCost.sizeBuckets)])
    }

    @Test func sourceLinesStandInThePageOnlyWhereTheyAreFound() throws {
        let content = try Content(Page([Fixture.typical()], PageQuestion())) { file, line in
            file == "/src/load.c" && line == 7 ? "    return malloc(n);" : nil
        }
        #expect(content.strings.contains("    return malloc(n);"))
        #expect(content.frames.source.count { $0 != 0 } == 1)
    }

    static let hostileNames = [
        "</script><script>alert(1)</script>", "<!--<script>", "]]>&lt;", "a\u{2028}b\u{2029}c", "%%script%%", "\u{1b}[31m\0", "\"'`${1}",
        "\\u003c", "\u{202e}gnp.exe",
    ]

    @Test(arguments: hostileNames) func aHostileNameStaysAString(name: String) throws {
        var snapshot = Fixture.typical()
        for location in snapshot.locations.indices {
            snapshot.locations[location].frames[0].function = name
            snapshot.locations[location].frames[0].file = name
            snapshot.locations[location].frames[0].module = name
        }
        snapshot.process.command = [name]
        snapshot.process.executable = name
        snapshot.process.warnings = [name]
        snapshot.marks = [Mark(name: name, start: 0)]
        let page = Page([snapshot], PageQuestion())
        let html = page.html(nonce: "n0") { _, _ in name }
        #expect(html.components(separatedBy: "<script").count == 3)
        #expect(html.components(separatedBy: "</script").count == 3)
        #expect(!html.contains("<!--<"))
        let forbidden: Set<Unicode.Scalar> = ["\u{2028}", "\u{2029}", "\u{202e}", "\u{1b}", "\0"]
        #expect(!html.unicodeScalars.contains { forbidden.contains($0) })
        let content = try Content(page)
        #expect(content.strings.contains(PrintableText.name(name)))
        #expect(content.title.contains(PrintableText.name(name)) || name.contains("'"))
    }

    @Test func thePageLoadsNothing() throws {
        let html = Page([Fixture.typical()], PageQuestion()).html(nonce: "n0")
        #expect(html.contains("content=\"default-src 'none'; style-src 'nonce-n0'; script-src 'nonce-n0';"))
        for word in ["src=", "@import", "url(", "fetch(", "http://", "https://", "innerHTML", "eval("] {
            // The name of SVG elements is no address.
            #expect(!html.replacing("http://www.w3.org/2000/svg", with: "").contains(word), "\(word)")
        }
    }

    @Test func aDamagedSnapshotMakesAPage() throws {
        var snapshot = Fixture.typical()
        snapshot.costs.append(StackCost(stack: -7))
        snapshot.costs.append(StackCost(stack: 1_000_000))
        snapshot.costs[snapshot.costs.count - 1].total = Tally(bytes: .max, count: .min)
        snapshot.nodes[1].parent = 2
        snapshot.nodes[2].location = 4000
        snapshot.process.duration = .nan
        snapshot.process.peakTime = .infinity
        var question = PageQuestion()
        question.callLimit = 1
        #expect(try Content(Page([snapshot], question)).costs.node.allSatisfy { $0 >= 0 })
        #expect(try Content(Page([], PageQuestion())).nodes.parent == [0])
    }

    @Test func anAsyncParentIsMarkedItselfNotWhatItAwaits() throws {
        var fixture = Fixture()
        fixture.add("main /src/main.swift:1;parent /src/main.swift:5;child /src/main.swift:9", bytes: 8, count: 1)
        var snapshot = fixture.snapshot
        // An async parent's resume address, with a function that was inlined into it.
        snapshot.locations[1].isAsync = true
        snapshot.locations[1].frames.insert(Frame(function: "inlined", file: "/src/main.swift", line: 3), at: 0)
        let content = try Content(Page([snapshot], PageQuestion()))
        let flags = content.frames.flags.enumerated().map { (content.strings[content.frames.function[$0.offset]], $0.element & 2 != 0) }
        #expect(flags.filter(\.1).map(\.0) == ["inlined"])
        #expect(Set(flags.map(\.0)).isSuperset(of: ["main", "parent", "child"]))
    }
}
