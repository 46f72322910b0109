// FilterTests.swift: which frames and stacks filters match, with the tables of CPython's suite.
import AllocationProfile
import Testing

@Suite struct FilterTests {
    private func files(_ snapshot: Snapshot) throws -> Set<String> { Set(try snapshot.statistics(groupedBy: .line).map(\.key)) }

    @Test func matchesAnythingByDefault() {
        let filter = Filter.include()
        #expect(filter.isInclusive && !filter.allFrames)
        #expect(filter.file == nil && filter.line == nil && filter.function == nil && filter.module == nil)
        #expect(filter.domain == nil && filter.thread == nil)
        #expect(filter.matches(Frame()))
    }

    @Test(arguments: [Filter.include, Filter.exclude]) func matchesFileAndLine(
        make: @Sendable (String?, Int?, String?, String?, Bool, Int?, String?) -> Filter
    ) {
        let (abc5, abc10, other) = (Frame(text: "abc:5"), Frame(text: "abc:10"), Frame(text: "12356:5"))
        #expect([abc5, abc10, other].map(make("abc", nil, nil, nil, false, nil, nil).matches) == [true, true, false])
        #expect([abc5, abc10, other].map(make("abc", 5, nil, nil, false, nil, nil).matches) == [true, false, false])
        #expect([abc5, abc10, Frame(text: "abc:0")].map(make("abc", 0, nil, nil, false, nil, nil).matches) == [false, false, true])
        #expect(Filter.include(file: "<unknown>").matches(Frame(text: "<unknown>:0")))
    }

    @Test func matchesUnknownFilesAsEmptyText() {
        #expect(Filter.include(file: "*").matches(Frame()))
        #expect(Filter.include(file: "").matches(Frame()))
        #expect(!Filter.include(file: "?*").matches(Frame()))
        #expect(!Filter.include(line: 0).matches(Frame()))
    }

    @Test func needsAllItsParts() {
        let filter = Filter.include(file: "*.c", function: "read*", module: "*/libjq*")
        #expect(filter.matches(Frame(function: "readline", file: "a.c", line: 1, module: "/lib/libjq.so")))
        #expect(!filter.matches(Frame(function: "readline", file: "a.c", line: 1, module: "/lib/libc.so")))
        #expect(!filter.matches(Frame(function: "write", file: "a.c", line: 1, module: "/lib/libjq.so")))
        #expect(filter.file == "*.c" && filter.function == "read*" && filter.module == "*/libjq*")
    }

    @Test(arguments: [
        ("abc", "", false), ("", "abc", false), ("", "", true), ("", "*", true),
        ("abc", "abc", true), ("abc", "abcd", false), ("abc", "def", false),
        ("abc", "a*", true), ("abc", "abc*", true), ("abc", "b*", false), ("abc", "abcd*", false),
        ("abc", "a*c", true), ("abcdcx", "a*cx", true), ("abb", "a*c", false), ("abcdce", "a*cx", false),
        ("abcde", "a*c*e", true), ("abcbdefeg", "a*bd*eg", true), ("abcdd", "a*c*e", false), ("abcbdefef", "a*bd*eg", false),
        ("aBC", "ABc", false), ("aBcDe", "Ab*dE", false), ("a.pyc", "a.py", false), ("a/b", "a\\b", false), ("a/b/c", "a*c", true),
        ("abc", "a?c", true), ("ac", "a?c", false), ("a\u{E9}c", "a?c", true), ("abc", "***", true), ("aaa", "a*a*a*a", false),
        ("b", "[abc]", true), ("d", "[abc]", false), ("d", "[a-e]", true), ("d", "[!a-e]", false), ("x", "[!a-e]", true),
        ("-", "[a-]", true), ("]", "[]]", true), ("a", "[!]]", true), ("]", "[!]]", false), ("[", "[", true), ("[a", "[a", true),
        ("c", "[e-a]", false), ("!", "[a!]", true), ("a]", "[a]]", true), ("Name[]", "Name[[]]", true),
    ]) func matchesPatterns(text: String, pattern: String, matches: Bool) {
        #expect(Filter.include(file: pattern).matches(Frame(file: text)) == matches)
    }

    @Test func matchesHostilePatternsInTime() {
        let text = String(repeating: "a", count: 2000)
        #expect(!Filter.include(file: String(repeating: "a*", count: 500) + "b").matches(Frame(file: text)))
    }

    @Test func looksAtTheCallSiteUnlessToldOtherwise() throws {
        let snapshot = Snapshot(stacks: "b.py:4;a.py:2 1\na.py:2;b.py:4 2")
        #expect(try files(snapshot.filtered(by: [.include(file: "a.py")])) == ["a.py:2"])
        #expect(try files(snapshot.filtered(by: [.include(file: "a.py", allFrames: true)])) == ["a.py:2", "b.py:4"])
        #expect(try files(snapshot.filtered(by: [.exclude(file: "b.py")])) == ["a.py:2"])
        #expect(try files(snapshot.filtered(by: [.exclude(file: "b.py", allFrames: true)])) == [])
        // File and line must be one frame's.
        #expect(try files(snapshot.filtered(by: [.include(file: "a.py", line: 4, allFrames: true)])) == [])
    }

    @Test func findsTheCallSiteByAttribution() throws {
        let snapshot = Snapshot(stacks: "main;~malloc 1\nother;~malloc 2")
        #expect(snapshot.filtered(by: [.include(function: "main")]).costs.count == 1)
        #expect(snapshot.filtered(by: [.include(function: "main")], attribution: .innermost).costs.isEmpty)
        #expect(snapshot.filtered(by: [.include(function: "malloc")], attribution: .innermost).costs.count == 2)
        #expect(snapshot.filtered(by: [.include(function: "malloc", allFrames: true)]).costs.count == 2)
    }

    @Test func combinesFilters() throws {
        #expect(try files(older.filtered(by: [.include(file: "a.py"), .include(file: "b.py")])) == ["a.py:2", "a.py:5", "b.py:1"])
        #expect(try files(older.filtered(by: [.exclude(file: "a.py"), .exclude(file: "b.py")])) == ["<unknown>:0"])
        #expect(try files(older.filtered(by: [.include(file: "a.py"), .exclude(line: 5)])) == ["a.py:2"])
        #expect(try files(older.filtered(by: [.exclude(file: "a.py", line: 5)])) == ["a.py:2", "b.py:1", "<unknown>:0"])
    }

    @Test func copiesWithoutFiltersAndLeavesTheOriginalAlone() throws {
        let before = older
        #expect(older.filtered(by: []).costs == older.costs)
        _ = older.filtered(by: [.exclude()])
        #expect(older.costs == before.costs && older.process == before.process)
    }

    @Test func knowsOneDomain() {
        #expect(older.filtered(by: [.include(domain: 0)]).costs == older.costs)
        #expect(older.filtered(by: [.include(domain: 3)]).costs.isEmpty)
        #expect(older.filtered(by: [.exclude(domain: 3)]).costs == older.costs)
        #expect(older.filtered(by: [.exclude(domain: 0)]).costs.isEmpty)
        #expect(older.filtered(by: [.exclude(file: "b.py", domain: 3)]).costs == older.costs)
    }

    @Test func makesTheTotalsThoseOfWhatIsLeft() {
        var snapshot = older
        for index in snapshot.costs.indices { snapshot.costs[index].total += Tally(bytes: 100, count: 1) }
        snapshot.timeline = [TimelinePoint(time: 1, live: .zero, residentBytes: 1)]
        snapshot.liveByGeneration = snapshot.costs.map { GenerationCost(stack: $0.stack, generation: 0, live: $0.current) }
        snapshot.process.threads = 4
        let filtered = snapshot.filtered(by: [.include(file: "a.py")])
        #expect(filtered.process.current == Tally(bytes: 32, count: 4))
        #expect(filtered.process.peak == Tally(bytes: 32, count: 4))
        #expect(filtered.process.allocations == 6 && filtered.process.bytesAllocated == 232)
        #expect(filtered.process.frees == 2 && filtered.process.bytesFreed == 200)
        #expect(filtered.process.temporaryAllocations == 4 && filtered.process.temporaryBytes == 32)
        #expect(filtered.process.threads == 4)
        #expect(filtered.timeline.isEmpty && filtered.liveByGeneration.count == 2)
    }

    private static let worker = TracedThread(id: 12, name: "worker 1")
    private static let main = TracedThread(id: 11, name: "main")

    private static let mixed: Snapshot = {
        let stack = CallStack([Frame(text: "a.c:1")])
        let other = CallStack([Frame(text: "b.c:2")])
        return Snapshot(traces: [
            Trace(size: 1, thread: main, callStack: stack), Trace(size: 2, thread: worker, callStack: stack),
            Trace(size: 4, domain: 3, thread: worker, callStack: stack), Trace(size: 8, domain: 3, thread: main, callStack: other),
            Trace(size: 16, callStack: other),
        ])
    }()

    private static func bytes(_ filters: Filter...) -> Int { mixed.filtered(by: filters).total(of: .current).bytes }

    @Test func tellsThreadsByNameAndNumber() {
        #expect(Self.bytes(.include(thread: "worker*")) == 6)
        #expect(Self.bytes(.include(thread: "worker ?")) == 6)
        #expect(Self.bytes(.include(thread: "12")) == 6)
        #expect(Self.bytes(.include(thread: "1")) == 0)
        #expect(Self.bytes(.exclude(thread: "main")) == 22)
        // Those without a name of their own: nothing is known of them.
        #expect(Self.bytes(.include(thread: "")) == 16)
        #expect(Self.bytes(.include(thread: "main"), .include(thread: "worker*")) == 15)
        #expect(Filter.include(thread: "w*").thread == "w*")
    }

    @Test func tellsDomainsApart() {
        #expect(Self.bytes(.include(domain: 0)) == 19)
        #expect(Self.bytes(.include(domain: 3)) == 12)
        #expect(Self.bytes(.exclude(domain: 3)) == 19)
        #expect(Self.bytes(.include(domain: -1)) == 0)
        #expect(Self.bytes(.exclude(file: "a.c", domain: 3)) == 27)
        #expect(Self.bytes(.include(file: "a.c", domain: 3, thread: "worker 1")) == 4)
        #expect(Self.bytes(.include(file: "b.c", domain: 3, thread: "worker 1")) == 0)
    }

    @Test func sumsUpDomainsApartFromTheProcess() {
        let all = Self.mixed.filtered(by: [.include()])
        #expect(all.process.current == Tally(bytes: 19, count: 3))
        #expect(all.process.domains.map(\.domain) == [3])
        #expect(all.process.domains.map(\.current) == [Tally(bytes: 12, count: 2)])
        #expect(Self.mixed.filtered(by: [.include(thread: "main")]).process.domains.map(\.current.bytes) == [8])
        #expect(all.traces.map(\.domain).sorted() == [0, 0, 0, 3, 3])
        #expect(Set(all.traces.map(\.thread)) == [Self.main, Self.worker, .others])
    }
}
