// Fixture.swift: made-up snapshots, written as call trees are.
import AllocationProfile

/// A snapshot whose stacks are written as `main main.c:3;load load.c:7`, outermost frame first. `function (module)` has no
/// line; a leading `*` marks system code.
struct Fixture {
    private(set) var snapshot = Snapshot(process: ProcessSummary())
    private var nodes: [String: Int32] = [:]

    /// What is alive; twice as much at the peak, ten times as much in all.
    static func cost(bytes: Int, count: Int) -> StackCost {
        var cost = StackCost(stack: 0)
        cost.current = Tally(bytes: bytes, count: count)
        cost.peak = Tally(bytes: 2 * bytes, count: 2 * count)
        cost.total = Tally(bytes: 10 * bytes, count: 10 * count)
        cost.temporary = Tally(bytes: count, count: count)
        return cost
    }

    mutating func add(_ stack: String, bytes: Int, count: Int) {
        var parent: Int32 = 0
        var path = ""
        for text in stack.split(separator: ";") {
            path += ";" + text
            if let node = nodes[path] {
                parent = node
                continue
            }
            let address = 0x1000 + UInt64(snapshot.locations.count)
            snapshot.locations.append(Location(address: address, module: -1, frames: [Fixture.frame(text)]))
            snapshot.nodes.append(StackNode(parent: parent, location: Int32(snapshot.locations.count - 1)))
            parent = Int32(snapshot.nodes.count - 1)
            nodes[path] = parent
        }
        var cost = Fixture.cost(bytes: bytes, count: count)
        cost.stack = parent
        snapshot.costs.append(cost)
        snapshot.costs.sort { $0.stack < $1.stack }
    }

    private static func frame(_ text: Substring) -> Frame {
        let words = text.drop { $0 == "*" }.split(separator: " ")
        var frame = Frame(function: String(words[0]))
        if words[1].hasPrefix("(") {
            frame.module = String(words[1].dropFirst().dropLast())
        } else {
            let colon = words[1].lastIndex(of: ":")!
            frame.file = String(words[1][..<colon])
            frame.line = Int(words[1][words[1].index(after: colon)...])
        }
        frame.isSystem = text.hasPrefix("*")
        return frame
    }

    /// Two call sites under `main`, one stack that ends in the C library.
    static func typical() -> Snapshot {
        var fixture = Fixture()
        fixture.add("main /src/main.c:3;load /src/load.c:7;*malloc (/lib/libc.so.6)", bytes: 40036, count: 7)
        fixture.add("main /src/main.c:3;save /src/save.c:9", bytes: 1000, count: 4)
        fixture.add("main /src/main.c:4", bytes: 24, count: 1)
        return fixture.snapshot
    }

    static func process(pid: Int32) -> ProcessSummary {
        var process = ProcessSummary()
        process.pid = pid
        process.executable = "/usr/bin/jq"
        process.command = ["jq", ". | length", "big.json"]
        process.exit = .code(0)
        process.started = 1000.5
        process.duration = 1.25
        process.threads = 1
        process.allocations = 1_234_567
        process.frees = 1_234_560
        process.bytesAllocated = 5_000_000
        process.bytesFreed = 4_999_000
        process.current = Tally(bytes: 1000, count: 7)
        process.peak = Tally(bytes: 40960, count: 40)
        process.peakTime = 0.5
        process.temporaryAllocations = 1234
        process.temporaryBytes = 5000
        process.peakRSS = 9_000_000
        process.collectorEvents = 2_469_127
        process.collectorMemory = 12_000_000
        return process
    }
}
