// TraceTests.swift: traces, snapshots that are made of them, and generations.
import AllocationProfile
import Testing

@Suite struct TraceTests {
    private let stack = CallStack([Frame(file: "b.py", line: 4), Frame(file: "main.py", line: 9)])

    @Test func printsSiteAndSize() {
        #expect("\(Trace(size: 10, callStack: stack))" == "b.py:4: 10 B")
        #expect("\(Trace(size: 40_036, count: 3, domain: 2, callStack: stack))" == "b.py:4: 39.1 KiB")
    }

    @Test func comparesByAllItsParts() {
        let trace = Trace(size: 10, callStack: stack)
        #expect(trace == Trace(size: 10, count: 1, domain: 0, callStack: stack))
        #expect(trace != Trace(size: 11, callStack: stack))
        #expect(trace != Trace(size: 10, count: 2, callStack: stack))
        #expect(trace != Trace(size: 10, domain: 1, callStack: stack))
        #expect(trace != Trace(size: 10, callStack: CallStack(Array(stack.dropLast()))))
    }

    @Test func makesASnapshotThatHasTheSameTraces() throws {
        let other = CallStack([Frame(file: "a.py", line: 99), Frame(file: "main.py", line: 9)])
        let traces = [Trace(size: 123, callStack: stack), Trace(size: 5, count: 2, callStack: other)]
        let snapshot = Snapshot(traces: traces, frameLimit: 2)
        #expect(snapshot.frameLimit == 2)
        #expect(Set(snapshot.traces) == Set(traces))
        #expect(snapshot.process.current == Tally(bytes: 128, count: 3))
        #expect(
            try snapshot.statistics(groupedBy: .line).map(\.description) == [
                "b.py:4: size=123 B, count=1, average=123 B", "a.py:99: size=5 B, count=2, average=2 B",
            ])
    }

    @Test func sumsUpTracesOfOneStack() {
        let snapshot = Snapshot(traces: [Trace(size: 10, callStack: stack), Trace(size: 20, callStack: stack)])
        #expect(snapshot.traces == [Trace(size: 30, count: 2, callStack: stack)])
    }

    @Test func keepsStacksWithoutFrames() {
        let snapshot = Snapshot(traces: [Trace(size: 7, callStack: CallStack([]))])
        #expect(snapshot.traces.map(\.size) == [7])
        #expect(snapshot.traces[0].description == "[unknown]: 7 B")
        #expect(Snapshot(traces: []).traces.isEmpty)
    }

    @Test func agreesWithStatisticsAboutEverySnapshot() throws {
        let snapshot = Snapshot(stacks: "main;load;~malloc 30 x3\nmain;!cut 8\n#1f@lib.so 4\n~malloc 2")
        let stacks = try snapshot.statistics(groupedBy: .traceback)
        #expect(snapshot.traces.count == stacks.count)
        #expect(Set(snapshot.traces.map(\.tally)) == Set(stacks.map(\.tally)))
    }
}

@Suite struct GenerationTests {
    /// Three generations: main;a has blocks of all, main;b of the last.
    private let snapshot: Snapshot = {
        var snapshot = Snapshot(stacks: "main;a 60 x3\nmain;b 8 x2")
        let (a, b) = (snapshot.costs[0].stack, snapshot.costs[1].stack)
        snapshot.marks = [Mark(name: "", start: 0), Mark(name: "one", start: 1), Mark(name: "two", start: 2.5)]
        snapshot.liveByGeneration = [
            GenerationCost(stack: a, generation: 0, live: Tally(bytes: 10, count: 1)),
            GenerationCost(stack: a, generation: 1, live: Tally(bytes: 20, count: 1)),
            GenerationCost(stack: a, generation: 2, live: Tally(bytes: 30, count: 1)),
            GenerationCost(stack: b, generation: 2, live: Tally(bytes: 8, count: 2)),
        ]
        return snapshot
    }()

    @Test func tellsTheGrowthOfEach() {
        #expect(snapshot.generations.map(\.index) == [0, 1, 2])
        #expect(snapshot.generations.map(\.name) == ["", "one", "two"])
        #expect(snapshot.generations.map(\.start) == [0, 1, 2.5])
        #expect(snapshot.generations.map(\.live) == [Tally(bytes: 10, count: 1), Tally(bytes: 20, count: 1), Tally(bytes: 38, count: 3)])
    }

    @Test func tellsHowManyMarksBlocksSurvived() {
        #expect(snapshot.ages.new == Tally(bytes: 38, count: 3))
        #expect(snapshot.ages.survivedOne == Tally(bytes: 20, count: 1))
        #expect(snapshot.ages.survivedMore == Tally(bytes: 10, count: 1))
        var older = snapshot
        older.marks += [Mark(name: "", start: 3)]
        #expect(older.ages.new == .zero)
        #expect(older.ages.survivedMore == Tally(bytes: 30, count: 2))
    }

    @Test func showsWhereTheGrowthOfSomeComesFrom() throws {
        #expect(
            try snapshot.born(in: 2).statistics(groupedBy: .function).map(\.description) == [
                "a: size=30 B, count=1, average=30 B", "b: size=8 B, count=2, average=4 B",
            ])
        #expect(snapshot.born(in: 0..<2).total(of: .current) == Tally(bytes: 30, count: 2))
        #expect(snapshot.born(in: 0..<2).process.current == Tally(bytes: 30, count: 2))
        #expect(snapshot.born(in: 0..<2).process.frees == 0)
        #expect(snapshot.born(in: 1..<3).ages.survivedMore == .zero)
        #expect(snapshot.born(in: .max).traces.isEmpty)
        #expect(snapshot.born(in: -5).traces.isEmpty)
        #expect(snapshot.total(of: .current) == Tally(bytes: 68, count: 5))
    }

    @Test func ignoresGenerationsThatDoNotExist() {
        var damaged = snapshot
        damaged.liveByGeneration.append(GenerationCost(stack: 1, generation: 99, live: Tally(bytes: 5, count: 1)))
        damaged.liveByGeneration.append(GenerationCost(stack: 1, generation: -3, live: Tally(bytes: 5, count: 1)))
        #expect(damaged.generations.map(\.live.bytes) == [10, 20, 38])
        #expect(damaged.ages.new == Tally(bytes: 43, count: 4))
    }
}
