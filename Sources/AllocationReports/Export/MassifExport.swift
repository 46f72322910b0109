// MassifExport.swift: massif.out, memory over time with trees of the places that allocated, as valgrind's massif writes it.
import AllocationProfile

/// The time line of one process: the exact peak with its tree, and the end with its tree.
///
/// Trees begin at call sites (what lies further in is the "heap allocation functions" of the first line) and go outwards, as
/// far and as fine as massif's own defaults.
struct MassifExport {
    private static let depth = 30
    /// A place has a line of its own from 1 % of the snapshot's bytes on. This also bounds the tree: 100 lines for each level.
    private static let parts = 100

    private struct Moment {
        var milliseconds: Int
        var bytes: Int
        /// What the tree shows; nil: there is none.
        var metric: Metric?
    }

    private let snapshot: Snapshot
    private let moments: [Moment]

    init(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        let process = snapshot.process
        let peakTime = MassifExport.milliseconds(process.peakTime)
        var moments = snapshot.timeline.map { Moment(milliseconds: MassifExport.milliseconds($0.time), bytes: $0.live.bytes) }
        let peak = Moment(milliseconds: peakTime, bytes: snapshot.total(of: .peak).bytes, metric: .peak)
        if peak.bytes > 0 {
            moments.insert(peak, at: moments.firstIndex { $0.milliseconds > peakTime } ?? moments.count)
        }
        let end = max(MassifExport.milliseconds(process.duration), moments.last?.milliseconds ?? 0)
        // The time line may end with the same moment.
        if let last = moments.last, last.metric == nil, last.milliseconds == end { moments.removeLast() }
        moments.append(Moment(milliseconds: end, bytes: snapshot.total(of: .current).bytes, metric: .current))
        self.moments = moments
    }

    private static func milliseconds(_ seconds: Double) -> Int { max(0, Int(exactly: (seconds * 1000).rounded()) ?? 0) }

    func write(to stream: ExportStream) throws {
        let command = PrintableText.command(snapshot.process.command, limit: .max)
        try stream.put(
            """
            desc: --depth=\(MassifExport.depth) --threshold=1.0 --time-unit=ms
            cmd: \(MassifExport.withoutComment(command))
            time_unit: ms

            """)
        for (number, moment) in moments.enumerated() {
            try stream.put(
                """
                #-----------
                snapshot=\(number)
                #-----------
                time=\(moment.milliseconds)
                mem_heap_B=\(max(0, moment.bytes))
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=\(moment.metric.map { $0 == .peak ? "peak" : "detailed" } ?? "empty")

                """)
            if let metric = moment.metric { try writeTree(of: metric, to: stream) }
        }
    }

    /// ms_print takes everything from a `#` on for a comment, also in names of closures.
    private static func withoutComment(_ text: String) -> String {
        text.split(separator: "#", omittingEmptySubsequences: false).joined(separator: "No.")
    }

    // MARK: The tree

    /// A frame of a stack: a node, and a frame of its location counted from the innermost one.
    private struct Position: Hashable {
        var node: Int32
        var frame: Int32
    }

    private struct Stack {
        var position: Position
        var bytes: Int
    }

    private struct Place {
        var position: Position
        var bytes = 0
        var stacks: [Stack] = []
    }

    private func writeTree(of metric: Metric, to stream: ExportStream) throws {
        let sites = sites()
        let stacks = snapshot.costs.compactMap { cost in
            cost[metric].bytes > 0 ? Stack(position: sites[snapshot.node(of: cost)], bytes: cost[metric].bytes) : nil
        }
        let total = stacks.reduce(0) { $0 &+ $1.bytes }
        // A line is written when its children are known, as it says how many they are.
        try writeNode("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.", total, total, stacks, level: 0, to: stream)
    }

    /// `stacks`: where they go on above this node.
    private func writeNode(_ name: String, _ bytes: Int, _ total: Int, _ stacks: [Stack], level: Int, to stream: ExportStream) throws {
        // Rounded up, without the overflow that figures of a damaged file could cause.
        let least = max(1, total / MassifExport.parts + (total % MassifExport.parts > 0 ? 1 : 0))
        var large: [Place] = []
        var small: [Place] = []
        for place in level <= MassifExport.depth ? places(of: stacks) : [] {
            if place.bytes >= least { large.append(place) } else { small.append(place) }
        }
        let indentation = String(repeating: " ", count: level)
        try stream.put("\(indentation)n\(large.count + (small.isEmpty ? 0 : 1)): \(bytes) \(MassifExport.withoutComment(name))\n")
        for place in large {
            try writeNode(text(of: place.position), place.bytes, total, outwards(place.stacks), level: level + 1, to: stream)
        }
        guard !small.isEmpty else { return }
        let sum = small.reduce(0) { $0 &+ $1.bytes }
        let extent = small.count == 1 ? "1 place, below" : "\(small.count) places, all below"
        try stream.put("\(indentation) n0: \(sum) in \(extent) massif's threshold (1.00%)\n")
    }

    /// The stacks by the frame that they stand at, largest first. Equal code addresses are one frame.
    private func places(of stacks: [Stack]) -> [Place] {
        var numbers: [Position: Int] = [:]
        var places: [Place] = []
        for stack in stacks {
            // A location stands under many nodes.
            let location = snapshot.nodes[Int(stack.position.node)].location
            let key = Position(node: location, frame: stack.position.frame)
            let number = numbers[key, default: places.count]
            if number == places.count {
                numbers[key] = number
                places.append(Place(position: stack.position))
            }
            places[number].bytes &+= stack.bytes
            places[number].stacks.append(stack)
        }
        return places.enumerated().sorted { ($0.element.bytes, $1.offset) > ($1.element.bytes, $0.offset) }.map(\.element)
    }

    /// The same stacks, seen from one frame further out, without those that end. Stacks that meet there become one, so that
    /// they are fewer with every step.
    private func outwards(_ stacks: [Stack]) -> [Stack] {
        var result: [Stack] = []
        let further = stacks.compactMap(outwards)
        for stack in further.sorted(by: { ($0.position.node, $0.position.frame) < ($1.position.node, $1.position.frame) }) {
            if result.last?.position == stack.position {
                result[result.count - 1].bytes &+= stack.bytes
            } else {
                result.append(stack)
            }
        }
        return result
    }

    private func outwards(_ stack: Stack) -> Stack? {
        let position = stack.position
        if let location = snapshot.location(of: Int(position.node)), Int(position.frame) + 1 < snapshot.locations[location].frames.count {
            return Stack(position: Position(node: position.node, frame: position.frame + 1), bytes: stack.bytes)
        }
        let caller = snapshot.caller(of: Int(position.node))
        return caller == 0 ? nil : Stack(position: Position(node: Int32(caller), frame: 0), bytes: stack.bytes)
    }

    /// For each node where its stack's tree begins: the innermost frame that is not system code, else the innermost.
    private func sites() -> [Position] {
        var isUser = [Bool](repeating: false, count: snapshot.nodes.count)
        var sites = snapshot.nodes.indices.map { Position(node: Int32($0), frame: 0) }
        for node in snapshot.nodes.indices.dropFirst() {
            let caller = snapshot.caller(of: node)
            let frames = snapshot.location(of: node).map { snapshot.frames(of: snapshot.locations[$0]) } ?? []
            if let frame = frames.firstIndex(where: { !$0.isSystem }) {
                isUser[node] = true
                sites[node].frame = Int32(frame)
            } else if isUser[caller] {
                isUser[node] = true
                sites[node] = sites[caller]
            }
        }
        return sites
    }

    private func text(of position: Position) -> String {
        let node = Int(position.node)
        guard let number = snapshot.location(of: node) else { return "0x0: \(snapshot.marker(of: node))" }
        let location = snapshot.locations[number]
        let frames = snapshot.frames(of: location)
        return frames[min(Int(position.frame), frames.count - 1)].valgrindText(at: location.lookupAddress)
    }
}
