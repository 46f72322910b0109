// RunSummaryTests.swift: what `run` says at the end.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct RunSummaryTests {
    private func snapshot(pid: Int32) -> Snapshot {
        var snapshot = Fixture.typical()
        snapshot.process = Fixture.process(pid: pid)
        snapshot.process.warnings = ["the stack table was full"]
        return snapshot
    }

    private let figures = """
        jq '. | length' big.json
          ended               with exit code 0, after 1.25 s
          allocations         1,234,567, 4883 KiB
          frees               1,234,560, 4882 KiB
          peak                40.0 KiB in 40 blocks, after 500 ms
          alive at exit       1000 B in 7 blocks
          temporary           1,234 allocations (0.1 %)
          threads             1

        """

    @Test func figuresAreFollowedByTheLargestSites() throws {
        #expect(
            try RunSummary([snapshot(pid: 1)], limit: 2).text() == figures + """
                  warning: the stack table was full
                Largest at the peak:
                  78.2 KiB         14 blocks  /src/load.c:7  load
                    2000 B          8 blocks  /src/save.c:9  save
                         1 other call site

                """)
    }

    @Test func whatAnotherProgramTookThePlaceOfHasNoExitCode() throws {
        var (first, second) = (snapshot(pid: 1), snapshot(pid: 1))
        first.process.exit = .unknown
        #expect(try RunSummary([first], limit: 0).text().contains("ended               exit code unknown, after 1.25 s"))
        second.process.command = ["other"]
        let text = try RunSummary([first, second], limit: 0).text()
        #expect(text.contains("ended               as another program, by exec, after 1.25 s"), "\(text)")
        second.process.pid = 2
        #expect(try RunSummary([first, second], limit: 0).text().contains("exit code unknown"))
    }

    @Test func processesAreAddedUpAndWarningsSaidOnce() throws {
        #expect(
            try RunSummary([snapshot(pid: 1), snapshot(pid: 2)], limit: 1).text() == figures + """
                  processes           2, 2,469,134 allocations in all
                  warning: the stack table was full
                Largest at the peak of each process:
                   156 KiB         28 blocks  /src/load.c:7  load
                        2 other call sites

                """)
    }

    @Test func aRunWithoutAllocationsHasNoTable() throws {
        var empty = Snapshot(process: Fixture.process(pid: 1))
        empty.process.warnings = []
        #expect(try RunSummary([empty], limit: 10).text() == figures)
    }

    @Test func linesFitTheTerminal() throws {
        var fixture = Fixture()
        fixture.add("\(String(repeating: "long", count: 50)) /src/main.c:1", bytes: 1, count: 1)
        fixture.add("f (/lib/\(String(repeating: "long", count: 50)))", bytes: 2, count: 1)
        let lines = try RunSummary([fixture.snapshot], limit: 5).text(TextStyle(columns: 70)).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 70 })
    }
}
