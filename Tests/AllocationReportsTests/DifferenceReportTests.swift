// DifferenceReportTests.swift: `compare`.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct DifferenceReportTests {
    private func snapshot(_ stacks: (String, Int, Int)...) -> Snapshot {
        var fixture = Fixture()
        for (stack, bytes, count) in stacks { fixture.add(stack, bytes: bytes, count: count) }
        return fixture.snapshot
    }

    private func report(limit: Int? = nil, grouping: Grouping = .line) throws -> DifferenceReport {
        var question = ReportQuestion()
        question.limit = limit
        question.grouping = grouping
        return try DifferenceReport(
            old: [snapshot(("f a.c:5", 2, 1), ("f b.c:1", 66, 1), ("f c.c:1", 30, 3))],
            new: [snapshot(("f a.c:5", 5002, 2), ("f c.c:1", 30, 3), ("f d.c:8", 40, 2))], question)
    }

    @Test func linesHaveTracemallocsForm() throws {
        #expect(
            try report().text() == """
                a.c:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B
                b.c:1: size=0 B (-66 B), count=0 (-1)
                d.c:8: size=40 B (+40 B), count=2 (+2), average=20 B
                c.c:1: size=30 B (+0 B), count=3 (+0), average=10 B

                """)
    }

    @Test func rowsBeyondTheLimitAreSummedUp() throws {
        #expect(
            try report(limit: 2).text() == """
                a.c:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B
                b.c:1: size=0 B (-66 B), count=0 (-1)
                2 other: size=70 B (+40 B), count=5 (+2), average=14 B

                """)
    }

    @Test func tracebacksAreFollowedByTheirFrames() throws {
        #expect(
            try report(limit: 1, grouping: .traceback).text().hasPrefix(
                "a.c:5: size=5002 B (+5000 B), count=2 (+1), average=2501 B\n  File \"a.c\", line 5\n"))
    }

    @Test func jsonHasValuesAndDifferences() throws {
        #expect(
            try report(limit: 1).json() == """
                {
                  "metric": "current",
                  "by": "line",
                  "total": {"bytes": 5072, "bytesDifference": 4974, "count": 7, "countDifference": 2},
                  "differences": [
                    {"bytes": 5002, "bytesDifference": 5000, "count": 2, "countDifference": 1, "average": 2501.0, \
                "site": {"function": "f", "file": "a.c", "line": 5, "module": null, "address": null}, \
                "traceback": [{"function": "f", "file": "a.c", "line": 5, "module": null, "address": null, "inlined": false, \
                "async": false}], "truncated": false}
                  ]
                }

                """)
    }

    @Test func growthIsMoreBytesInAll() throws {
        let small = [snapshot(("f a.c:1", 10, 1))]
        let large = [snapshot(("f b.c:1", 11, 1))]
        #expect(try DifferenceReport(old: small, new: large, ReportQuestion()).hasGrown)
        #expect(try !DifferenceReport(old: large, new: small, ReportQuestion()).hasGrown)
        #expect(try !DifferenceReport(old: small, new: small, ReportQuestion()).hasGrown)
    }
}
