// TreeReportTests.swift: `tree`.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct TreeReportTests {
    private var snapshot: Snapshot {
        var fixture = Fixture()
        fixture.add("start (/bin/a);main a.c:1;load a.c:2;parse a.c:3", bytes: 600, count: 6)
        fixture.add("start (/bin/a);main a.c:1;load a.c:2;read a.c:4", bytes: 300, count: 1000)
        fixture.add("start (/bin/a);main a.c:1;save a.c:5", bytes: 100, count: 1)
        return fixture.snapshot
    }

    @Test func callsAreIndentedWhereTheyBranch() {
        #expect(
            TreeReport([snapshot], measuring: .current).text() == """
                      size        count    share  call
                    1000 B        1,007  100.0 %  start
                    1000 B        1,007  100.0 %  main
                     900 B        1,006   90.0 %  ├─ load
                     600 B            6   60.0 %  │  ├─ parse
                     300 B        1,000   30.0 %  │  └─ read
                     100 B            1   10.0 %  └─ save

                """)
    }

    @Test func theLargestStacksAreShownAndTheRestIsSummedUp() {
        #expect(
            TreeReport([snapshot], measuring: .current, limit: 1).text() == """
                      size        count    share  call
                    1000 B        1,007  100.0 %  start
                    1000 B        1,007  100.0 %  main
                     900 B        1,006   90.0 %  ├─ load
                     600 B            6   60.0 %  │  ├─ parse
                     300 B        1,000   30.0 %  │  └─ 1 other call
                     100 B            1   10.0 %  └─ 1 other call

                """)
    }

    @Test func aNameThatIsHostileStaysOnItsLine() {
        var fixture = Fixture()
        fixture.add("a\u{1b}[0m\u{7}b\r (/bin/a)", bytes: 1, count: 1)
        #expect(
            TreeReport([fixture.snapshot], measuring: .current).text() == #"""
                      size        count    share  call
                       1 B            1  100.0 %  a\u{1b}[0m\u{7}b\r

                """#)
    }

    @Test func deepRecursionIsPrintedWithinTheWidth() {
        var fixture = Fixture()
        var stack = "main (/bin/a)"
        for depth in 0..<500 {
            stack += ";f\(depth) (/bin/a)"
            fixture.add(stack + ";leaf (/bin/a)", bytes: 1, count: 1)
        }
        let lines = TreeReport([fixture.snapshot], measuring: .current).text(TextStyle(columns: 120)).split(separator: "\n")
        #expect(lines.count == 1002)
        #expect(lines.allSatisfy { $0.count <= 120 })
    }

    @Test func nothingIsAHeadingOnly() {
        let report = TreeReport([Snapshot(process: ProcessSummary())], measuring: .peak)
        #expect(report.isEmpty)
        #expect(report.text() == "      size        count    share  call\n")
    }
}
