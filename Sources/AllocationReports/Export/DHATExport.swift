// DHATExport.swift: JSON of valgrind's DHAT, version 2, for dh_view.html.
import AllocationProfile

/// The costs of each stack: in all, at the peak and at the end.
///
/// Two of DHAT's figures are not recorded and are the best that can be said: a stack's own maximum (`mb`, `mbk`) is the larger
/// of what it had at the peak and at the end, and lifetimes (`tl`) are the middles of the histogram's classes, with half of
/// the recording for blocks that are still alive.
struct DHATExport {
    private struct Sum {
        var total = Tally.zero
        var peak = Tally.zero
        var current = Tally.zero
        var microseconds = 0.0
    }

    private let first: ProcessSummary
    /// `ftbl`. The viewer wants its root first.
    private var frames = ["[root]"]
    private var numbers: [String: Int32] = [:]
    /// Stacks of all processes as one tree of frame numbers, as the viewer expects no two stacks with the same frames.
    private var parents: [Int32] = [0]
    private var frameOfNode: [Int32] = [0]
    private var children: [UInt64: Int32] = [:]
    private var sums: [Int32: Sum] = [:]

    init(_ snapshots: [Snapshot]) {
        first = snapshots.first?.process ?? ProcessSummary()
        for snapshot in snapshots { add(snapshot) }
    }

    private mutating func add(_ snapshot: Snapshot) {
        let framesOfLocation = snapshot.locations.map { location in
            snapshot.frames(of: location).map { number($0.valgrindText(at: location.lookupAddress)) }
        }
        var merged = [Int32](repeating: 0, count: snapshot.nodes.count)
        for node in snapshot.nodes.indices.dropFirst() {
            var end = merged[snapshot.caller(of: node)]
            if let location = snapshot.location(of: node) {
                for frame in framesOfLocation[location].reversed() { end = child(of: end, frame) }
            } else {
                end = child(of: end, number(snapshot.marker(of: node).description))
            }
            merged[node] = end
        }
        for cost in snapshot.costs where cost.total != .zero || cost.peak != .zero || cost.current != .zero {
            let node = snapshot.node(of: cost)
            let end = node == 0 ? child(of: 0, number(Frame.unknown.description)) : merged[node]
            sums[end, default: Sum()].total += cost.total
            sums[end]?.peak += cost.peak
            sums[end]?.current += cost.current
            sums[end]?.microseconds += DHATExport.lifetime(cost, snapshot)
        }
    }

    private mutating func number(_ text: String) -> Int32 {
        if let number = numbers[text] { return number }
        let number = Int32(frames.count)
        numbers[text] = number
        frames.append(text)
        return number
    }

    private mutating func child(of parent: Int32, _ frame: Int32) -> Int32 {
        let key = UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: frame))
        if let child = children[key] { return child }
        let child = Int32(parents.count)
        children[key] = child
        parents.append(parent)
        frameOfNode.append(frame)
        return child
    }

    private static func lifetime(_ cost: StackCost, _ snapshot: Snapshot) -> Double {
        // Class i is [4^(i-1), 4^i) µs: its middle, by ratio, is half of the upper end.
        var middle = 0.5
        var sum = 0.5 * microseconds(snapshot.process.duration) * Double(cost.current.count)
        for count in snapshot.histograms[cost.lifetimes] {
            sum += middle * Double(count)
            middle *= 4
        }
        return sum
    }

    private static func microseconds(_ seconds: Double) -> Double { (seconds * 1e6).rounded() }

    /// JSON has neither infinity nor NaN, which figures of a damaged file can be.
    private static func integer(_ value: Double) -> Int { Int(exactly: value.rounded()) ?? 0 }

    func write(to stream: ExportStream) throws {
        let command = PrintableText.command(first.command, limit: .max)
        try stream.put(
            """
            {"dhatFileVersion":2,"mode":"heap","verb":"Allocated"
            ,"bklt":true,"bkacc":false
            ,"tu":"µs","Mtu":"s","tuth":10
            ,"cmd":\(JSONValue.quoted(command)),"pid":\(first.pid)
            ,"te":\(DHATExport.integer(DHATExport.microseconds(first.duration)))
            ,"tg":\(DHATExport.integer(DHATExport.microseconds(first.peakTime)))
            ,"pps":[
            """)
        for (index, end) in sums.keys.sorted().enumerated() {
            guard let sum = sums[end] else { continue }
            let most = sum.peak.bytes >= sum.current.bytes ? sum.peak : sum.current
            try stream.put(
                """
                \(index > 0 ? "," : "")
                {"tb":\(sum.total.bytes),"tbk":\(sum.total.count),"tl":\(DHATExport.integer(sum.microseconds)),\
                "mb":\(most.bytes),"mbk":\(most.count),"gb":\(sum.peak.bytes),"gbk":\(sum.peak.count),\
                "eb":\(sum.current.bytes),"ebk":\(sum.current.count),"fs":[
                """)
            // Innermost first, which is the way up.
            var node = end
            while node != 0 {
                try stream.put(node == end ? "\(frameOfNode[Int(node)])" : ",\(frameOfNode[Int(node)])")
                node = parents[Int(node)]
            }
            try stream.put("]}")
        }
        try stream.put("]\n,\"ftbl\":[")
        for (index, frame) in frames.enumerated() { try stream.put((index > 0 ? ",\n" : "\n") + JSONValue.quoted(frame)) }
        try stream.put("]}\n")
    }
}
