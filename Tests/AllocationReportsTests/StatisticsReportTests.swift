// StatisticsReportTests.swift: `report`.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct StatisticsReportTests {
    private func report(
        _ snapshot: Snapshot = Fixture.typical(), _ change: (inout ReportQuestion) -> Void = { _ in }
    ) throws -> StatisticsReport {
        var question = ReportQuestion()
        change(&question)
        return try StatisticsReport([snapshot], question)
    }

    @Test func linesHaveTracemallocsForm() throws {
        #expect(
            try report().text() == """
                /src/load.c:7: size=39.1 KiB, count=7, average=5719 B
                /src/save.c:9: size=1000 B, count=4, average=250 B
                /src/main.c:4: size=24 B, count=1, average=24 B

                """)
    }

    @Test func filesAreGroupedUnderLineZero() throws {
        #expect(
            try report { $0.grouping = .file }.text() == """
                /src/load.c:0: size=39.1 KiB, count=7, average=5719 B
                /src/save.c:0: size=1000 B, count=4, average=250 B
                /src/main.c:0: size=24 B, count=1, average=24 B

                """)
    }

    @Test func tracebacksAreFollowedByTheirFrames() throws {
        let sources = ["/src/load.c:7": "    char *table = malloc(n);\u{1b}[2J  "]
        let text = try report { question in
            question.grouping = .traceback
            question.limit = 2
        }.text { file, line in sources["\(file):\(line)"] }
        #expect(
            text == #"""
                /src/load.c:7: size=39.1 KiB, count=7, average=5719 B
                  File "/src/main.c", line 3
                  File "/src/load.c", line 7
                    char *table = malloc(n);\u{1b}[2J
                  malloc (libc.so.6)
                /src/save.c:9: size=1000 B, count=4, average=250 B
                  File "/src/main.c", line 3
                  File "/src/save.c", line 9
                1 other: size=24 B, count=1, average=24 B

                """#)
    }

    @Test func rowsBeyondTheLimitAreSummedUp() throws {
        #expect(
            try report { $0.limit = 1 }.text() == """
                /src/load.c:7: size=39.1 KiB, count=7, average=5719 B
                2 other: size=1024 B, count=5, average=205 B

                """)
    }

    @Test func cumulativeRowsOverlapSoTheirRestHasNoSize() throws {
        let text = try report { question in
            question.isCumulative = true
            question.limit = 1
        }.text()
        #expect(
            text == """
                /src/main.c:3: size=40.1 KiB, count=11, average=3731 B
                4 other

                """)
    }

    @Test func theInnermostFrameIsChargedOnRequest() throws {
        let text = try report { question in
            question.attribution = .innermost
            question.limit = 1
        }.text()
        #expect(text.hasPrefix("malloc (libc.so.6): size=39.1 KiB, count=7, average=5719 B\n"))
    }

    @Test func hostileNamesStayOnTheirLine() throws {
        var fixture = Fixture()
        fixture.add("f /src/\u{1b}]0,title\u{7}\n<b>.c:1", bytes: 1, count: 1)
        fixture.add("g /\(String(repeating: "x", count: 10_000)).c:2", bytes: 2, count: 1)
        let lines = try report(fixture.snapshot).text().split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].count < 500)
        #expect(lines[1] == #"/src/\u{1b}]0,title\u{7}\n<b>.c:1: size=1 B, count=1, average=1 B"#)
    }

    @Test func hostileNamesStayInTheirFramesOfATraceback() throws {
        var fixture = Fixture()
        fixture.add("f (/lib/x);g\u{1b}[0m (/lib/y\u{7}z)", bytes: 1, count: 1)
        let text = try report(fixture.snapshot) { $0.grouping = .traceback }.text()
        #expect(text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0a })
    }

    @Test func linesFitTheTerminal() throws {
        var fixture = Fixture()
        fixture.add("f /src/\(String(repeating: "deep/", count: 30))main.c:1", bytes: 1, count: 1)
        let text = try report(fixture.snapshot).text(TextStyle(columns: 80))
        #expect(text.count == 81)
        #expect(text.hasSuffix("p/main.c:1: size=1 B, count=1, average=1 B\n"))
    }

    @Test func colorIsPutAroundWholeNames() throws {
        let text = try report { $0.limit = 1 }.text(TextStyle(columns: 200, usesColor: true))
        #expect(text.hasPrefix("\u{1b}[1m/src/load.c:7\u{1b}[0m: size="))
    }

    @Test func jsonHasTheFieldsOfTheContract() throws {
        let json = try report { question in
            question.metric = .peak
            question.limit = 1
        }.json()
        #expect(
            json == """
                {
                  "metric": "peak",
                  "by": "line",
                  "total": {"bytes": 82120, "count": 24},
                  "statistics": [
                    {"bytes": 80072, "count": 14, "average": 5719.428571428572, "site": {"function": "load", "file": "/src/load.c", \
                "line": 7, "module": null, "address": null}, "traceback": [{"function": "load", "file": "/src/load.c", "line": 7, \
                "module": null, "address": null, "inlined": false, "async": false}], "truncated": false}
                  ]
                }

                """)
    }

    @Test func jsonTracebacksAreInnermostFirst() throws {
        let json = try report { question in
            question.grouping = .traceback
            question.limit = 1
        }.json()
        let functions = json.split(separator: "\"function\": \"").dropFirst().map { $0.prefix { $0 != "\"" } }
        #expect(functions == ["load", "malloc", "load", "main"])
    }

    @Test func jsonTracebacksSayThatTheyWereCut() throws {
        var fixture = Fixture()
        fixture.add("main a.c:1", bytes: 1, count: 1)
        var snapshot = fixture.snapshot
        snapshot.nodes.insert(StackNode(parent: 0, location: StackNode.cut), at: 1)
        snapshot.nodes[2].parent = 1
        snapshot.costs[0].stack = 2
        let report = try report(snapshot) { $0.grouping = .traceback }
        #expect(report.json().contains("\"inlined\": false, \"async\": false}], \"truncated\": true}"))
        #expect(report.text().hasSuffix("average=1 B\n  [outer frames cut off]\n  File \"a.c\", line 1\n"))
    }

    @Test func anEmptySnapshotHasNoRows() throws {
        let report = try report(Snapshot(process: ProcessSummary()))
        #expect(report.isEmpty)
        #expect(report.text() == "")
        #expect(
            report.json() == """
                {
                  "metric": "current",
                  "by": "line",
                  "total": {"bytes": 0, "count": 0},
                  "statistics": []
                }

                """)
    }
}
