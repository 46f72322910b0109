// ProcessReportTests.swift: `stats`.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct ProcessReportTests {
    private var parent: Snapshot {
        var snapshot = Fixture.typical()
        snapshot.process = Fixture.process(pid: 1234)
        return snapshot
    }

    private var child: Snapshot {
        var snapshot = Snapshot(process: Fixture.process(pid: 1235))
        snapshot.process.parent = 1234
        snapshot.process.exit = .signal(9)
        snapshot.process.lostEvents = 3
        snapshot.process.truncatedStacks = 2
        snapshot.process.peakRSS = 0
        snapshot.process.warnings = ["the recording is full\u{1b}[2J"]
        return snapshot
    }

    @Test func figuresAreAligned() throws {
        #expect(
            try ProcessReport([parent, child]).text() == #"""
                jq '. | length' big.json (pid 1234)
                  ended               with exit code 0, after 1.25 s
                  allocations         1,234,567, 4883 KiB
                  frees               1,234,560, 4882 KiB
                  peak                40.0 KiB in 40 blocks, after 500 ms
                  alive at exit       1000 B in 7 blocks
                  temporary           1,234 allocations (0.1 %)
                  threads             1
                  call sites          3
                  call stacks         3
                  resident at most    8789 KiB
                  collector           2,469,127 events, 11.4 MiB of memory

                jq '. | length' big.json (pid 1235, child of 1234)
                  ended               by signal 9, after 1.25 s
                  allocations         1,234,567, 4883 KiB
                  frees               1,234,560, 4882 KiB
                  peak                40.0 KiB in 40 blocks, after 500 ms
                  alive at exit       1000 B in 7 blocks
                  temporary           1,234 allocations (0.1 %)
                  threads             1
                  call sites          0
                  call stacks         0, 2 cut at 256 frames
                  resident at most    unknown
                  lost events         3
                  collector           2,469,127 events, 11.4 MiB of memory
                  warning: the recording is full\u{1b}[2J

                """#)
    }

    private let figures = """
        "duration": 1.25, "threads": 1, "allocations": 1234567, "frees": 1234560, "bytesAllocated": 5000000, "bytesFreed": 4999000, \
        "currentBlocks": 7, "currentBytes": 1000, "peakBlocks": 40, "peakBytes": 40960, "temporaryAllocations": 1234
        """
    private let further = """
        "executable": "/usr/bin/jq", "started": 1000.5, "peakTime": 0.5, "temporaryBytes": 5000, "frameLimit": 256, "sampledEvery": 0, \
        "lostStacks": 0, "incompleteStacks": 0, "walks": 0, "walkDifferences": 0, "walkFallbacks": 0
        """

    @Test func jsonHasTheFieldsOfTheContract() throws {
        let json = try ProcessReport([parent, child]).json()
        let first = """
            "exit": {"code": 0}, \(figures), "callSites": 3, "callStacks": 3, "unknownFrees": 0, "reentrantEvents": 0, "lostEvents": 0, \
            "truncatedStacks": 0, "peakRSS": 9000000, "collector": {"events": 2469127, "peakMemory": 12000000}, \(further), "warnings": []
            """
        let second = """
            "exit": {"signal": 9}, \(figures), "callSites": 0, "callStacks": 0, "unknownFrees": 0, "reentrantEvents": 0, "lostEvents": 3, \
            "truncatedStacks": 2, "peakRSS": 0, "collector": {"events": 2469127, "peakMemory": 12000000}, \(further), \
            "warnings": ["the recording is full\\u001b[2J"]
            """
        let thread = """
            {"tid": 0, "name": "", "allocations": 120, "bytesAllocated": 410600, "currentBlocks": 12, "currentBytes": 41060, \
            "peakBlocks": 24, "peakBytes": 82120}
            """
        let command = #""command": ["jq", ". | length", "big.json"]"#
        let joined = json.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: " ")
        #expect(
            joined == "{ \(command), \"pid\": 1234, \(first), \"byThread\": [ \(thread) ], \"complete\": true, "
                + "\"processes\": [ {\"pid\": 1234, \"parent\": null, \(command), \(first), \"byThread\": [\(thread)]}, "
                + "{\"pid\": 1235, \"parent\": 1234, \(command), \(second), \"byThread\": []} ] }")
    }

    @Test func aRunningProcessHasNoExit() throws {
        var snapshot = parent
        snapshot.process.exit = .unknown
        let report = try ProcessReport([snapshot])
        #expect(report.json().contains("\n  \"exit\": {\"code\": null},\n"))
        #expect(report.text().contains("  alive at the end    1000 B in 7 blocks\n"))
    }
}
