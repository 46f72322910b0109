// Trace.swift: the live blocks of one call stack, as snapshots hold them and as snapshots can be made of.

/// The blocks that are alive and were allocated by one call stack, in one domain, on one thread.
///
/// Python's tracemalloc has one trace for each block. A snapshot knows how many blocks a stack holds and how many bytes
/// they are together, not the size of each: a trace stands for all blocks of its stack.
public struct Trace: Hashable, Sendable, CustomStringConvertible {
    /// 0 for blocks of malloc; the domain of ranges that the program tracks by itself.
    public let domain: Int
    /// Who allocated them; `TracedThread.others` where that is not known.
    public let thread: TracedThread
    /// Bytes and blocks.
    public let tally: Tally
    /// Where they were allocated, innermost frame first.
    public let callStack: CallStack

    /// - Parameters:
    ///   - size: bytes of all blocks.
    ///   - count: number of blocks.
    ///   - domain: 0 for blocks of malloc; the domain of ranges that the program tracks by itself.
    ///   - thread: who allocated them.
    ///   - callStack: where they were allocated.
    public init(size: Int, count: Int = 1, domain: Int = 0, thread: TracedThread = .others, callStack: CallStack) {
        self.domain = domain
        self.thread = thread
        tally = Tally(bytes: size, count: count)
        self.callStack = callStack
    }

    /// Requested bytes of all blocks.
    public var size: Int { tally.bytes }
    /// Number of blocks.
    public var count: Int { tally.count }
    /// `b.swift:4: 10 B`, with the innermost frame.
    public var description: String { "\(callStack): \(TextForm.size(tally.bytes))" }
}

extension Snapshot {
    /// The blocks that are alive, by call stack, domain and thread, in no particular order.
    ///
    /// Cost: one array of frames for each stack.
    public var traces: [Trace] {
        let table = FrameTable([self], groupedBy: .traceback)
        let frames = FrameTable.markers + locations.flatMap { $0.frames.isEmpty ? [unnamedFrame(of: $0)] : $0.frames }
        return costs.filter { $0.current != .zero }.map { cost in
            var stack: [Frame] = []
            var node = hasNode(cost.stack) ? Int(cost.stack) : 0
            while node != 0 {
                stack += table.occurrences(of: nodes[node], in: 0).map { frames[$0] }
                node = parent(of: node)
            }
            let callStack = CallStack(stack, totalFrameCount: stack.last == .cut ? nil : stack.count)
            return Trace(
                size: cost.current.bytes, count: cost.current.count, domain: cost.domain, thread: thread(cost.thread),
                callStack: callStack)
        }
    }

    /// A snapshot of made-up or imported traces. All of them are alive; peak and total figures are the current ones.
    ///
    /// - Parameters:
    ///   - traces: several traces of one stack are summed up.
    ///   - frameLimit: what `frameLimit` says; stacks are not cut.
    public init(traces: [Trace], frameLimit: Int = 1) {
        self.init(process: ProcessSummary())
        process.frameLimit = frameLimit
        marks = [Mark(name: "", start: 0)]
        var locationOf: [Frame: Int32] = [:]
        var nodeOf: [StackNode: Int32] = [:]
        struct Group: Hashable {
            var stack: Int32
            var domain: Int
            var thread: Int32
        }
        var tallies: [Group: Tally] = [:]
        for trace in traces {
            var node: Int32 = 0
            for frame in trace.callStack.reversed() {
                var location = frame == .cut ? StackNode.cut : locationOf[frame]
                if location == nil {
                    location = Int32(locations.count)
                    locationOf[frame] = location
                    locations.append(Location(address: frame.address ?? 0, module: -1, frames: [frame]))
                }
                let next = StackNode(parent: node, location: location ?? 0)
                node = nodeOf[next] ?? Int32(nodes.count)
                if nodeOf.updateValue(node, forKey: next) == nil { nodes.append(next) }
            }
            if !threads.contains(trace.thread) { threads.append(trace.thread) }
            let thread = Int32(threads.firstIndex(of: trace.thread) ?? 0)
            tallies[Group(stack: node, domain: trace.domain, thread: thread), default: .zero] += trace.tally
        }
        costs = tallies.map { group, tally in
            var cost = StackCost(stack: group.stack)
            (cost.domain, cost.thread) = (group.domain, group.thread)
            (cost.current, cost.peak, cost.total) = (tally, tally, tally)
            return cost
        }
        costs.sort { ($0.stack, $0.domain, $0.thread) < ($1.stack, $1.domain, $1.thread) }
        liveByGeneration = costs.map {
            GenerationCost(stack: $0.stack, domain: $0.domain, thread: $0.thread, generation: 0, live: $0.current)
        }
        sumUpProcess()
    }
}
