// SnapshotTests.swift: grouping and comparing, with the pictures and expectations of CPython's own suite first.
import AllocationProfile
import Testing

/// The two snapshots that CPython's tests compare.
let older = Snapshot(stacks: "b.py:4;a.py:2 30 x3\nb.py:4;a.py:5 2\nb.py:1 66\n<unknown>:0 7")
let newer = Snapshot(stacks: "b.py:4;a.py:2 30 x3\nb.py:4;a.py:5 5002 x2\nc.py:578 400")

@Suite struct SnapshotTests {
    private func rows(_ statistics: [Statistic]) -> [String] { statistics.map { "\($0.key) \($0.bytes) \($0.count)" } }

    private func rows(_ differences: [StatisticDifference]) -> [String] {
        differences.map { "\($0.key) \($0.bytes) \($0.bytesDifference) \($0.count) \($0.countDifference)" }
    }

    @Test func groupsByLine() throws {
        #expect(rows(try older.statistics(groupedBy: .line)) == ["b.py:1 66 1", "a.py:2 30 3", "<unknown>:0 7 1", "a.py:5 2 1"])
        #expect(rows(try newer.statistics(groupedBy: .line)) == ["a.py:5 5002 2", "c.py:578 400 1", "a.py:2 30 3"])
    }

    @Test func groupsByFileUnderLineZero() throws {
        #expect(rows(try older.statistics(groupedBy: .file)) == ["b.py:0 66 1", "a.py:0 32 4", "<unknown>:0 7 1"])
        #expect(rows(try newer.statistics(groupedBy: .file)) == ["a.py:0 5032 5", "c.py:0 400 1"])
    }

    @Test func groupsByTraceback() throws {
        let statistics = try older.statistics(groupedBy: .traceback)
        #expect(rows(statistics) == ["b.py:1 66 1", "a.py:2 30 3", "<unknown>:0 7 1", "a.py:5 2 1"])
        #expect(statistics[1].callStack == CallStack([Frame(text: "a.py:2"), Frame(text: "b.py:4")]))
        #expect(statistics[1].callStack.totalFrameCount == 2)
    }

    @Test func comparesLines() throws {
        let expected = ["a.py:5 5002 5000 2 1", "c.py:578 400 400 1 1", "b.py:1 0 -66 0 -1", "<unknown>:0 0 -7 0 -1", "a.py:2 30 0 3 0"]
        #expect(rows(try newer.differences(from: older, groupedBy: .line)) == expected)
    }

    @Test func comparesFiles() throws {
        let expected = ["a.py:0 5032 5000 5 1", "c.py:0 400 400 1 1", "b.py:0 0 -66 0 -1", "<unknown>:0 0 -7 0 -1"]
        #expect(rows(try newer.differences(from: older, groupedBy: .file)) == expected)
    }

    @Test func comparesTracebacks() throws {
        let differences = try newer.differences(from: older, groupedBy: .traceback)
        #expect(
            rows(differences)
                == ["a.py:5 5002 5000 2 1", "c.py:578 400 400 1 1", "b.py:1 0 -66 0 -1", "<unknown>:0 0 -7 0 -1", "a.py:2 30 0 3 0"])
        #expect(differences.map(\.callStack.count) == [2, 1, 1, 1, 2])
    }

    @Test func comparesWithItselfAsUnchanged() throws {
        #expect(try older.differences(from: older, groupedBy: .line).allSatisfy { $0.difference == .zero })
        #expect(try older.differences(from: older, groupedBy: .line).count == 4)
    }

    @Test func chargesEveryFrameWhenCumulative() throws {
        #expect(
            rows(try older.statistics(groupedBy: .file, cumulative: true)) == ["b.py:0 98 5", "a.py:0 32 4", "<unknown>:0 7 1"])
        #expect(
            rows(try older.statistics(groupedBy: .line, cumulative: true))
                == ["b.py:1 66 1", "b.py:4 32 4", "a.py:2 30 3", "<unknown>:0 7 1", "a.py:5 2 1"])
    }

    @Test func chargesRecursionOnce() throws {
        let recursive = Snapshot(stacks: "a.py:1;a.py:1;b.py:2;a.py:1 10")
        #expect(rows(try recursive.statistics(groupedBy: .line, cumulative: true)) == ["b.py:2 10 1", "a.py:1 10 1"])
    }

    @Test func printsAsTracemallocDoes() throws {
        let line = try #require(try newer.statistics(groupedBy: .line).first)
        #expect("\(line)" == "a.py:5: size=5002 B, count=2, average=2501 B")
        #expect(
            try newer.differences(from: older, groupedBy: .line).map(\.description) == [
                "a.py:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B",
                "c.py:578: size=400 B (+400 B), count=1 (+1), average=400 B",
                "b.py:1: size=0 B (-66 B), count=0 (-1)",
                "<unknown>:0: size=0 B (-7 B), count=0 (-1)",
                "a.py:2: size=30 B (+0 B), count=3 (+0), average=10 B",
            ])
        #expect("\(try newer.statistics(groupedBy: .file)[0])" == "a.py:0: size=5032 B, count=5, average=1006 B")
    }

    @Test func refusesWhatItCannotAnswer() {
        #expect(throws: ProfileError.cumulativeTraceback) { try older.statistics(groupedBy: .traceback, cumulative: true) }
    }

    @Test func ordersTiesByKeyLastFirst() throws {
        let tied = Snapshot(stacks: "a.py:9 8\na.py:10 8\nb.py:1 8\nc.py:1 8 x2\nd.py:1;a.py:9 8")
        #expect(rows(try tied.statistics(groupedBy: .line)) == ["a.py:9 16 2", "c.py:1 8 2", "b.py:1 8 1", "a.py:10 8 1"])
        let stacks = try tied.statistics(groupedBy: .traceback).map { $0.callStack.map(\.description) }
        #expect(stacks == [["c.py:1"], ["b.py:1"], ["a.py:10"], ["a.py:9", "d.py:1"], ["a.py:9"]])
    }

    @Test func ordersByCountWhenAsked() throws {
        let snapshot = Snapshot(stacks: "few 100 x2\nmany 10 x9\nmore 20 x9")
        #expect(rows(try snapshot.statistics(groupedBy: .function, sortedBy: .count)) == ["more 20 9", "many 10 9", "few 100 2"])
        let changes = try snapshot.differences(from: Snapshot(stacks: "many 10 x1"), groupedBy: .function, sortedBy: .count)
        #expect(rows(changes) == ["more 20 20 9 9", "many 10 0 9 8", "few 100 100 2 2"])
    }

    @Test func limitsRowsAndStillKnowsTheWhole() throws {
        let all = try [older].statisticTable(groupedBy: .line)
        let table = try [older].statisticTable(groupedBy: .line, limit: 2)
        #expect(table.statistics == Array(all.statistics.prefix(2)))
        #expect(table.groupCount == 4)
        #expect(table.total == Tally(bytes: 105, count: 6))
        #expect(try older.statistics(groupedBy: .line, limit: 0).isEmpty)
        #expect(try older.statistics(groupedBy: .line, limit: -3).isEmpty)
    }

    @Test func leavesOutWhatTheMetricDoesNotCount() throws {
        var snapshot = older
        snapshot.costs[0].current = .zero
        #expect(rows(try snapshot.statistics(groupedBy: .line)) == ["b.py:1 66 1", "<unknown>:0 7 1", "a.py:5 2 1"])
        #expect(try snapshot.statistics(groupedBy: .line, measuring: .total).count == 4)
        // Blocks of no bytes are blocks.
        snapshot.costs[0].current = Tally(bytes: 0, count: 2)
        #expect(try snapshot.statistics(groupedBy: .line).last?.description == "a.py:2: size=0 B, count=2, average=0 B")
    }

    @Test func chargesTheInnermostUserFrame() throws {
        let snapshot = Snapshot(stacks: "main;load;~swift_allocObject;~malloc 8\n~start;~malloc 4")
        #expect(rows(try snapshot.statistics(groupedBy: .function)) == ["load 8 1", "malloc 4 1"])
        #expect(rows(try snapshot.statistics(groupedBy: .function, attribution: .innermost)) == ["malloc 12 2"])
        #expect(try snapshot.statistics(groupedBy: .traceback).map(\.site) == [Frame(text: "load"), Frame(text: "~malloc")])
    }

    @Test func chargesInlinedFrames() throws {
        let snapshot = Snapshot(stacks: "main;load+parse+~append 8")
        let site = try #require(try snapshot.statistics(groupedBy: .function).first?.site)
        #expect(site.function == "parse" && site.isInlined)
        let stack = try #require(try snapshot.statistics(groupedBy: .traceback).first?.callStack)
        #expect(stack.map(\.description) == ["append", "parse", "load", "main"])
        #expect(stack.map(\.isInlined) == [true, true, false, false])
    }

    @Test func neverPrintsNothing() throws {
        let snapshot = Snapshot(stacks: "#1f@/usr/lib/libjq.so.1 8\n#2f 4\n!cut;main 2\n!lost 1")
        #expect(
            rows(try snapshot.statistics(groupedBy: .line)) == [
                "libjq.so.1+0x1f 8 1", "0x2f 4 1", "main 2 1", "[stacks that found no room] 1 1",
            ])
        #expect(rows(try snapshot.statistics(groupedBy: .module)) == ["/usr/lib/libjq.so.1 8 1", "[unknown] 7 3"])
        let cut = try #require(try snapshot.statistics(groupedBy: .traceback).first { $0.key == "main" })
        #expect(cut.callStack.map(\.description) == ["main", "[outer frames cut off]"])
        #expect(cut.callStack.totalFrameCount == nil)
    }

    @Test func chargesStacksWithoutFramesToUnknown() throws {
        var snapshot = Snapshot(stacks: "main 1")
        snapshot.costs[0].stack = 0
        for grouping in Grouping.allCases where grouping != .type {
            #expect(rows(try snapshot.statistics(groupedBy: grouping)) == ["[unknown] 1 1"])
        }
        #expect(rows(try snapshot.statistics(groupedBy: .line, cumulative: true)) == ["[unknown] 1 1"])
        #expect(try snapshot.statistics(groupedBy: .traceback)[0].site == nil)
    }

    @Test func survivesIndicesThatPointNowhere() throws {
        var snapshot = Snapshot(stacks: "main;load 1\nmain;save 2")
        snapshot.nodes[2].parent = 77
        snapshot.nodes[3].location = 99
        snapshot.costs.append(StackCost(stack: 1000))
        snapshot.costs[2].current = Tally(bytes: 4, count: 1)
        for grouping in Grouping.allCases where grouping != .type {
            #expect(try snapshot.statistics(groupedBy: grouping).reduce(0) { $0 + $1.bytes } == 7)
        }
        #expect(CallTree([snapshot], measuring: .current).nodes[0].tally.bytes == 7)
        #expect(snapshot.filtered(by: [.exclude(function: "load")]).costs.count == 2)
    }

    @Test func `equal histograms have one number, and numbers of none are no counts`() {
        var histograms = Histograms()
        let first = histograms.number(of: [1, 2])
        #expect(histograms.number(of: [2, 1]) != first)
        #expect(histograms.number(of: [1, 2]) == first)
        #expect(histograms.number(of: []) == Histograms.unknown)
        #expect(histograms[first] == [1, 2])
        for number in [Histograms.unknown, -1, 3, .max, .min] { #expect(histograms[number].isEmpty) }
    }

    @Test func namesAGroupByWhatItsFramesShare() throws {
        var snapshot = Snapshot(stacks: "a.c:1 1\na.c:1@lib.so 2")
        snapshot.locations[0].frames[0].function = "read"
        snapshot.locations[1].frames[0].function = "write"
        #expect(try snapshot.statistics(groupedBy: .line).map(\.site) == [Frame(file: "a.c", line: 1)])
        #expect(rows(try snapshot.statistics(groupedBy: .function)) == ["write (lib.so) 2 1", "read 1 1"])
        #expect(try snapshot.statistics(groupedBy: .traceback).count == 2)
    }

    @Test func marksAsyncParents() throws {
        let snapshot = Snapshot(stacks: ">main;>fetch;decode+parse 8")
        let stack = try #require(try snapshot.statistics(groupedBy: .traceback).first?.callStack)
        #expect(stack.map(\.isAsync) == [false, false, true, true])
    }

    @Test func mergesProcesses() throws {
        let child = Snapshot(stacks: "main;a.py:5 4\nother 1")
        #expect(rows(try [older, child].statistics(groupedBy: .line, limit: 3)) == ["b.py:1 66 1", "a.py:2 30 3", "<unknown>:0 7 1"])
        #expect(rows(try [older, child].statistics(groupedBy: .line)).contains("a.py:5 6 2"))
        #expect(try [older, older].statistics(groupedBy: .traceback).count == 4)
        #expect(rows(try [older, child].differences(from: [child, older], groupedBy: .line, limit: 1)) == ["b.py:1 66 0 1 0"])
        #expect(try [Snapshot]().statistics(groupedBy: .line).isEmpty)
    }
}
