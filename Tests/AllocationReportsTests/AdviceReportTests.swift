// AdviceReportTests.swift: `advise`: what is found, what is not, and in which words.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct AdviceReportTests {
    /// A cost, and its allocations by size.
    @dynamicMemberLookup private struct SiteCost {
        var cost: StackCost
        var sizes: [UInt64] = []

        subscript<Value>(dynamicMember path: WritableKeyPath<StackCost, Value>) -> Value {
            get { cost[keyPath: path] }
            set { cost[keyPath: path] = newValue }
        }
    }

    /// One stack for each call site, `main;SITE`, with the cost that `change` gives it.
    private func snapshot(_ sites: (frames: [Frame], change: (inout SiteCost) -> Void)...) -> Snapshot {
        var snapshot = Snapshot(process: Fixture.process(pid: 12))
        snapshot.marks = [Mark(name: "", start: 0)]
        for (frames, change) in sites {
            snapshot.locations.append(Location(address: 0x1000 + UInt64(snapshot.locations.count), module: -1, frames: frames))
            snapshot.nodes.append(StackNode(parent: 0, location: Int32(snapshot.locations.count - 1)))
            var site = SiteCost(cost: StackCost(stack: Int32(snapshot.nodes.count - 1)))
            change(&site)
            site.cost.sizes = snapshot.histograms.number(of: site.sizes)
            snapshot.costs.append(site.cost)
        }
        return snapshot
    }

    private func site(_ line: Int, function: String = "parse", inside system: String? = nil) -> [Frame] {
        var inner = Frame(function: system, module: "/lib/libstdc++.so.6")
        inner.isSystem = true
        let user = Frame(function: function, file: "/src/a.cpp", line: line)
        return system == nil ? [user] : [inner, user]
    }

    private static let noMarks =
        "Leaks that grow from one mark to the next were not looked for, as there are too few marks: record with run --mark-every.\n"

    private func kinds(_ snapshots: Snapshot...) -> [Finding.Kind] { AdviceRules(snapshots, .standard).findings.map(\.kind) }

    @Test func nothingToSayIsSaid() {
        let report = AdviceReport([Fixture.typical()])
        #expect(report.isEmpty)
        #expect(report.text() == "Nothing to advise: none of 3 call sites stands out.\n" + AdviceReportTests.noMarks)
        #expect(
            report.json() == """
                {
                  "callSites": 3,
                  "marked": false,
                  "findings": []
                }

                """)
        #expect(AdviceReport([]).isEmpty)
    }

    @Test func everyFindingHasItsPlaceItsFigureAndTheRemedy() {
        var snapshot = snapshot(
            (
                site(1),
                {
                    $0.total = Tally(bytes: 1_240_000, count: 12_400)
                    $0.temporary = Tally(bytes: 1_200_000, count: 12_000)
                }
            ),
            (
                site(2),
                {
                    $0.total = Tally(bytes: 9_000_000, count: 3000)
                    $0.growth = Tally(bytes: 128_000, count: 2000)
                }
            ),
            (site(3, inside: "std::vector<int>::_M_realloc_insert<int>(int&&)"), { $0.total = Tally(bytes: 400_000, count: 1000) }),
            (
                site(4),
                {
                    $0.total = Tally(bytes: 960_000, count: 20_000)
                    $0.peak = Tally(bytes: 96, count: 2)
                    $0.sizes = (0..<32).map { $0 == 6 ? 20_000 : 0 }
                }
            ),
            (
                site(5),
                {
                    $0.total = Tally(bytes: 160_000, count: 10_000)
                    $0.peak = $0.total
                }
            ))
        snapshot.process.peak = Tally(bytes: 40 << 20, count: 1)
        snapshot.timeline = [
            TimelinePoint(time: 0, live: .zero, residentBytes: 4 << 20),
            TimelinePoint(time: 0.5, live: Tally(bytes: 40 << 20, count: 1), residentBytes: 100 << 20),
        ]
        #expect(
            AdviceReport([snapshot]).text() == """
                jq '. | length' big.json (pid 12)
                  allocator slack: Near the peak, after 500 ms, 100 MiB were resident for 40.0 MiB of live blocks: 60.0 MiB are gaps \
                and free lists of the heap, or do not come from malloc (code, stacks, files, mappings).
                  remedy: If the program maps little itself, allocate long-lived blocks before short-lived ones so that pages become \
                free as a whole; try MALLOC_ARENA_MAX=2, malloc_trim(0) after large releases, or another allocator.

                /src/a.cpp:1  parse
                  temporary storm: 12,000 blocks of 100 B on average were freed before their thread allocated anything else: 96.8 % \
                of the allocations here, 25.9 % of all.
                  remedy: Allocate one buffer before the loop and use it again, or keep small ones of a fixed size on the stack.

                /src/a.cpp:2  parse
                  repeated growth: 2,000 reallocs made a block larger, by 64 B on average: 66.7 % of the allocations here, 4.3 % of all.
                  remedy: Reserve the final size first (reserveCapacity in Swift, reserve in C++), or grow in C by a factor instead \
                of a fixed step.

                /src/a.cpp:3  parse
                  repeated growth: 1,000 blocks of 400 B on average were allocated because a container was full: 100.0 % of the \
                allocations here, 2.2 % of all.
                  remedy: Reserve the final size first (reserveCapacity in Swift, reserve in C++), or grow in C by a factor instead \
                of a fixed step.

                /src/a.cpp:4  parse
                  same-size churn: 20,000 blocks of 48 B on average, nearly all of one size, came and went, 43.1 % of all \
                allocations; 2 were alive at the peak, 0 at the end.
                  remedy: Keep freed blocks in a list of your own and hand them out again, or store them inside of their owner as \
                values.

                /src/a.cpp:5  parse
                  tiny blocks: 10,000 blocks of 16 B on average were alive at the peak, together 156 KiB; glibc's heap needs about \
                156 KiB more to manage them.
                  remedy: Store them side by side in one array, or take them from an arena that is freed as a whole.

                Leaks that grow from one mark to the next were not looked for, as there are too few marks: record with run --mark-every.

                """)
    }

    @Test func jsonHasTheSameFindings() {
        let snapshot = snapshot(
            (
                site(1, function: "\u{1b}[31m<script>"),
                { ($0.total, $0.temporary) = (Tally(bytes: 100, count: 10_000), Tally(bytes: 100, count: 10_000)) }
            ))
        #expect(
            AdviceReport([snapshot]).json() == #"""
                {
                  "callSites": 1,
                  "marked": false,
                  "findings": [
                    {"kind": "temporaryStorm", "site": {"function": "\u001b[31m<script>", "file": "/src/a.cpp", "line": 1, "module": \#
                null, "address": null}, "pid": null, "bytes": 100, "count": 10000, "finding": "10,000 blocks of 0 B on average were \#
                freed before their thread allocated anything else: 100.0 % of the allocations here, 100.0 % of all.", "remedy": \#
                "Allocate one buffer before the loop and use it again, or keep small ones of a fixed size on the stack."}
                  ]
                }

                """#)
    }

    // MARK: Thresholds: one below, nothing is found

    @Test func stormsNeedManyTemporariesThatAreMostOfTheirSite() {
        func found(temporary: Int, total: Int, others: Int) -> Bool {
            !kinds(
                snapshot(
                    (site(1), { ($0.temporary.count, $0.total.count) = (temporary, total) }),
                    (site(2), { $0.total.count = others }))
            ).isEmpty
        }
        #expect(found(temporary: 10_000, total: 20_000, others: 980_000))
        #expect(!found(temporary: 9_999, total: 9_999, others: 0))
        #expect(!found(temporary: 10_000, total: 20_001, others: 0))
        #expect(!found(temporary: 10_000, total: 20_000, others: 980_001))
    }

    @Test func growthNeedsManyStepsOrContainersThatWereFull() {
        func found(_ function: String?, growth: Int, total: Int) -> [Finding.Kind] {
            kinds(snapshot((site(1, inside: function), { ($0.growth.count, $0.total.count) = (growth, total) })))
        }
        #expect(found(nil, growth: 1000, total: 2000) == [.repeatedGrowth])
        #expect(found(nil, growth: 999, total: 1000).isEmpty)
        #expect(found(nil, growth: 1000, total: 2001).isEmpty)
        for function in ["std::string::_M_mutate(unsigned long)", "Array._reserveCapacityAssumingUniqueBuffer(oldCount:)"] {
            #expect(found(function, growth: 0, total: 1000) == [.repeatedGrowth])
        }
        #expect(found("Array.reserveCapacity(_:)", growth: 0, total: 1000).isEmpty)
        #expect(found("std::vector<int>::reserve(unsigned long)", growth: 0, total: 1000).isEmpty)
    }

    @Test func aFunctionOfTheProgramThatIsCalledLikeALibrarysIsNoContainer() {
        var frames = site(1)
        frames[0].function = "mine::_M_realloc_insert"
        #expect(kinds(snapshot((frames, { $0.total.count = 5000 }))).isEmpty)

        // Nor is what a library's container calls of the program while it grows.
        let copied = site(1) + site(2, inside: "std::vector<Mine>::_M_realloc_insert(Mine&&)")
        #expect(kinds(snapshot((copied, { $0.total.count = 5000 }))).isEmpty)
    }

    @Test func churnNeedsOneSizeAndAHundredUsesOfAPlace() {
        func found(sameSize: UInt64, peak: Int) -> [Finding.Kind] {
            kinds(
                snapshot(
                    (
                        site(1),
                        {
                            $0.total = Tally(bytes: 1_000_000, count: 10_000)
                            $0.peak.count = peak
                            $0.sizes = [10_000 - sameSize, sameSize] + [UInt64](repeating: 0, count: 30)
                        }
                    )))
        }
        #expect(found(sameSize: 9000, peak: 100) == [.sameSizeChurn])
        #expect(found(sameSize: 8999, peak: 100).isEmpty)
        #expect(found(sameSize: 9000, peak: 101).isEmpty)
    }

    @Test func tinyBlocksAreSmallAndMany() {
        func found(count: Int, size: Int) -> [Finding.Kind] {
            kinds(snapshot((site(1), { ($0.peak, $0.total.count) = (Tally(bytes: count * size, count: count), count) })))
        }
        #expect(found(count: 10_000, size: 32) == [.tinyBlocks])
        #expect(found(count: 9_999, size: 8).isEmpty)
        #expect(found(count: 10_000, size: 33).isEmpty)
    }

    @Test func leaksAreInMostFinishedGenerationsAfterTheFirst() {
        func found(_ generations: [Int32], marks: Int, bytes: Int = 2000) -> [Finding.Kind] {
            var snapshot = snapshot((site(1), { $0.current = Tally(bytes: bytes * generations.count, count: generations.count) }))
            snapshot.marks = (0..<marks).map { Mark(name: "", start: Double($0)) }
            snapshot.liveByGeneration = generations.map {
                GenerationCost(stack: 1, generation: $0, live: Tally(bytes: bytes, count: 1))
            }
            return kinds(snapshot)
        }
        #expect(found([1, 2, 3], marks: 5) == [.growingGenerations])
        #expect(found([0, 1, 2, 3, 4], marks: 5) == [.growingGenerations])
        #expect(found([0, 1, 3, 4], marks: 5).isEmpty)
        #expect(found([0, 4], marks: 5).isEmpty)
        #expect(found([1, 2, 4, 5], marks: 7) == [.growingGenerations])
        #expect(found([1, 2, 4], marks: 7).isEmpty)
        #expect(found([1, 2], marks: 4).isEmpty)
        #expect(found([1, 2, 3], marks: 5, bytes: 1000).isEmpty)
    }

    @Test func aLeakNamesItsFigures() {
        var snapshot = snapshot((site(7), { $0.current = Tally(bytes: 6000, count: 30) }))
        snapshot.marks = (0..<5).map { Mark(name: "", start: Double($0)) }
        snapshot.liveByGeneration = (1...3).map { GenerationCost(stack: 1, generation: $0, live: Tally(bytes: 2000, count: 10)) }
        #expect(
            AdviceReport([snapshot]).text() == """
                /src/a.cpp:7  parse
                  likely leak: Each of the 3 finished generations after the first left blocks alive: 30 blocks, 6000 B in all, \
                2000 B a generation.
                  remedy: Look for what still refers to these blocks: a cache without a limit, a list of listeners, \
                a reference cycle, a missing free.


                """)
    }

    @Test func slackIsMeasuredAtThePeakAndAgainstTheStart() {
        func found(start: Int, resident: Int, live: Int = 40, at time: Double = 0.5) -> [Finding.Kind] {
            var snapshot = snapshot((site(1), { $0.total.count = 1 }))
            snapshot.process.peak.bytes = 40 << 20
            snapshot.timeline = [
                TimelinePoint(time: 0, live: .zero, residentBytes: start << 20),
                TimelinePoint(time: time, live: Tally(bytes: live << 20, count: 1), residentBytes: resident << 20),
            ]
            return kinds(snapshot)
        }
        #expect(found(start: 8, resident: 80) == [.allocatorSlack])
        #expect(found(start: 9, resident: 80).isEmpty)
        #expect(found(start: 0, resident: 79).isEmpty)
        // After the peak everything may have been freed: that says nothing about the peak.
        #expect(found(start: 8, resident: 80, live: 10).isEmpty)
    }

    @Test func onlyTheLargestOfAKindArePrinted() {
        var snapshot = snapshot()
        for line in 1...8 {
            snapshot.locations.append(Location(address: 0x1000 + UInt64(line), module: -1, frames: site(line)))
            snapshot.nodes.append(StackNode(parent: 0, location: Int32(line - 1)))
            var cost = StackCost(stack: Int32(line))
            cost.total = Tally(bytes: 100 * line, count: 10_000 * line)
            cost.temporary = cost.total
            snapshot.costs.append(cost)
        }
        let report = AdviceReport([snapshot])
        let places = report.text().split(separator: "\n").filter { $0.hasPrefix("/src/") }
        #expect(places.map(String.init) == (4...8).reversed().map { "/src/a.cpp:\($0)  parse" })
        #expect(report.text().contains("\n3 other findings of this kind: temporary storm\n"))
        #expect(report.json().split(separator: "\n").count { $0.contains("temporaryStorm") } == 8)
    }

    @Test func linesFitTheTerminal() {
        let snapshot = snapshot(
            (site(1, function: String(repeating: "x", count: 500)), { ($0.temporary.count, $0.total.count) = (10_000, 10_000) }))
        let lines = AdviceReport([snapshot]).text(TextStyle(columns: 60)).split(separator: "\n")
        #expect(lines.count > 4)
        #expect(lines.allSatisfy { $0.count <= 60 })
    }

    @Test func hostileNamesStayOnTheirLine() {
        let snapshot = snapshot(
            (site(1, function: ExportFixture.hostileName), { ($0.temporary.count, $0.total.count) = (10_000, 10_000) }))
        #expect(AdviceReport([snapshot]).text().hasPrefix(#"/src/a.cpp:1  <script>alert(1)</script>;\u{1b}[31m\n#1"# + "\n"))
    }
}
