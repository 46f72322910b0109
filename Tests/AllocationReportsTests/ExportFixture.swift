// ExportFixture.swift: a made-up process with everything that formats treat in their own way, and exports as text.
import AllocationProfile

@testable import AllocationReports

enum ExportFixture {
    static let hostileName = "<script>alert(1)</script>;\u{1b}[31m\n#1"

    /// Inlined and unnamed code, cut and lost stacks, hostile names, a stack without frames; libc is the first module.
    static func process(pid: Int32 = 12) -> Snapshot {
        var process = ProcessSummary()
        process.pid = pid
        process.executable = "/usr/bin/app"
        process.command = ["app", "a b", "\u{1b}[2J#"]
        process.started = 1000.5
        process.duration = 2
        process.peakTime = 0.75
        process.peak = Tally(bytes: 450, count: 6)
        process.current = Tally(bytes: 107, count: 3)
        var snapshot = Snapshot(process: process)
        snapshot.modules = [
            Module(path: "/lib/libc.so.6", start: 0x7f0000, end: 0x7f9000, bias: 0x7f0000),
            Module(path: "/usr/bin/app", buildID: [0xab, 0x01], start: 0x400000, end: 0x500000, bias: 0x400000),
        ]
        var hostile = Frame(function: hostileName, file: "evil\u{1b}\n.c", line: 5)
        hostile.module = "/usr/bin/app"
        snapshot.locations = [
            Location(address: 0x401011, module: 1, frames: [Frame(function: "main", file: "/src/app.c", line: 3)]),
            Location(
                address: 0x401021, module: 1,
                frames: [
                    Frame(function: "copy", file: "/src/inl.h", line: 7, isInlined: true),
                    Frame(function: "load", file: "/src/load.c", line: 9),
                ]),
            Location(address: 0x7f0021, module: 0),
            Location(address: 0x401031, module: 1, frames: [hostile]),
            Location(address: 0x7f0100, module: 0, isExact: true, frames: [system("malloc")]),
        ]
        snapshot.nodes = [
            StackNode(parent: 0, location: StackNode.noLocation),
            StackNode(parent: 0, location: 0),  // 1 main
            StackNode(parent: 1, location: 1),  // 2 main, load, copy
            StackNode(parent: 2, location: 2),  // 3 main, load, copy, libc+0x21
            StackNode(parent: 1, location: 3),  // 4 main, hostile
            StackNode(parent: 4, location: 4),  // 5 main, hostile, malloc
            StackNode(parent: 0, location: StackNode.cut),
            StackNode(parent: 6, location: 1),  // 7 cut, load, copy
            StackNode(parent: 0, location: StackNode.lost),
        ]
        snapshot.costs = [
            cost(0, current: (0, 0), peak: (0, 0), total: (3, 1), temporary: (3, 1)),
            cost(3, current: (100, 2), peak: (300, 3), total: (1000, 10), temporary: (20, 1)),
            cost(5, current: (0, 0), peak: (100, 1), total: (500, 5), temporary: (40, 4)),
            cost(7, current: (7, 1), peak: (48, 1), total: (70, 2), temporary: (0, 0)),
            cost(8, current: (0, 0), peak: (2, 1), total: (2, 1), temporary: (0, 0)),
        ]
        // 9 blocks of 4 to 16 µs.
        snapshot.costs[1].lifetimes = snapshot.histograms.number(
            of: [0, 0, 8] + [UInt64](repeating: 0, count: StackCost.lifetimeBuckets - 3))
        snapshot.timeline = [
            TimelinePoint(time: 0.25, live: Tally(bytes: 200, count: 2), residentBytes: 0),
            TimelinePoint(time: 1, live: Tally(bytes: 150, count: 2), residentBytes: 0),
            TimelinePoint(time: 2, live: Tally(bytes: 107, count: 3), residentBytes: 0),
        ]
        return snapshot
    }

    private static func system(_ function: String) -> Frame {
        var frame = Frame(function: function, module: "/lib/libc.so.6")
        frame.isSystem = true
        return frame
    }

    private static func cost(
        _ stack: Int32, current: (Int, Int), peak: (Int, Int), total: (Int, Int), temporary: (Int, Int)
    ) -> StackCost {
        var cost = StackCost(stack: stack)
        cost.current = Tally(bytes: current.0, count: current.1)
        cost.peak = Tally(bytes: peak.0, count: peak.1)
        cost.total = Tally(bytes: total.0, count: total.1)
        cost.temporary = Tally(bytes: temporary.0, count: temporary.1)
        return cost
    }

    /// The pieces of an export.
    static func pieces(_ snapshots: [Snapshot], _ format: ExportFormat, _ metric: Metric = .current) throws -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        try Export(snapshots, as: format, measuring: metric).write { pieces.append($0) }
        return pieces
    }

    static func text(_ snapshots: [Snapshot], _ format: ExportFormat, _ metric: Metric = .current) throws -> String {
        String(decoding: try pieces(snapshots, format, metric).joined(), as: UTF8.self)
    }
}
