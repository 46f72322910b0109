// PageTree.swift: the stacks of a page as one tree with all their figures, small enough for a browser.
import AllocationProfile

/// The stacks of several snapshots, merged by frames: every call once, every frame once.
///
/// Unlike `CallTree` it holds all metrics at once, keeps lines apart and knows which snapshot a cost is of, so that a page can
/// switch between all of these by itself.
struct PageTree {
    /// Where a figure belongs.
    struct Place: Hashable {
        var node: Int32
        /// Call site: index into `frames`, -1 for stacks without frames.
        var site: Int32
        var snapshot: Int32
        /// Index into `threads`.
        var thread: Int32
        var generation: Int32 = 0
    }

    /// The figures of the stacks of one place.
    struct Row: Hashable {
        var place: Place
        /// In the order of `Metric.allCases`; of a generation only what is alive.
        var tallies: [Tally]
    }

    /// Calls that were left out because the tree would have been too large.
    struct Omission: Hashable {
        var calls: Int
        /// No call that was left out has a larger share of any metric, bytes or blocks, of any snapshot.
        var largestShare: Double
    }

    /// Stands for the calls of a caller that are too small to be shown.
    static let smallerCalls: Frame = {
        var frame = Frame(function: "[smaller calls]")
        frame.isSystem = true
        return frame
    }()

    private(set) var frames: [Frame] = []
    /// Caller of each node. Node 0 is the root; a node's parent has a smaller number.
    private(set) var parents: [Int32] = [0]
    /// Frame of each node; -1 for the root.
    private(set) var calls: [Int32] = [-1]
    private(set) var rows: [Row] = []
    /// The threads of all snapshots, with the snapshot that they are of.
    private(set) var threads: [(snapshot: Int, thread: TracedThread)] = []
    /// What is alive by generation; empty where there is only one.
    private(set) var aliveRows: [Row] = []
    private(set) var omission: Omission?
    /// For each snapshot and each of its nodes the call site: index into `frames`, -1 for none.
    private(set) var sites: [[Int32]] = []

    private var frameNumbers: [Frame: Int32] = [:]
    private var children: [UInt64: Int32] = [:]

    /// - Parameter nodeLimit: at most about so many calls; the smallest are summed up in `smallerCalls` of their callers.
    init(_ snapshots: [Snapshot], attribution: Attribution, nodeLimit: Int) {
        for (index, snapshot) in snapshots.enumerated() { add(snapshot, Int32(index), attribution) }
        children = [:]
        prune(to: max(nodeLimit, 1), snapshotCount: snapshots.count)
        frameNumbers = [:]
    }

    // MARK: - Merging

    private mutating func add(_ snapshot: Snapshot, _ index: Int32, _ attribution: Attribution) {
        var isUsed = [Bool](repeating: false, count: snapshot.nodes.count)
        for cost in snapshot.costs where snapshot.hasNode(cost.stack) { isUsed[Int(cost.stack)] = true }
        for moment in snapshot.timeline { for (stack, _) in moment.largest where snapshot.hasNode(stack) { isUsed[Int(stack)] = true } }
        for node in snapshot.nodes.indices.dropFirst().reversed() where isUsed[node] { isUsed[snapshot.parent(of: node)] = true }

        var merged = [Int32](repeating: 0, count: snapshot.nodes.count)
        var users = [Int32](repeating: -1, count: snapshot.nodes.count)
        var innermost = users
        var known: [Int32: [Int32]] = [:]
        for node in snapshot.nodes.indices.dropFirst() where isUsed[node] {
            let parent = snapshot.parent(of: node)
            (merged[node], users[node], innermost[node]) = (merged[parent], users[parent], innermost[parent])
            // Most locations are on many stacks; their frames are looked up once.
            let location = snapshot.nodes[node].location
            for frame in known[location] ?? frameNumbers(of: location, in: snapshot, &known) {
                merged[node] = child(of: merged[node], frame)
                if !frames[Int(frame)].isSystem { users[node] = frame }
                innermost[node] = frame
            }
        }
        let sites = users.indices.map { attribution == .user && users[$0] >= 0 ? users[$0] : innermost[$0] }
        self.sites.append(sites)
        addRows(of: snapshot, index, merged, sites)
    }

    /// The numbers of a location's frames, outermost first.
    private mutating func frameNumbers(
        of location: Int32, in snapshot: Snapshot, _ known: inout [Int32: [Int32]]
    ) -> [Int32] {
        let named: [Frame] =
            switch location {
            case StackNode.cut: [.cut]
            case StackNode.lost: [.lost]
            case 0..<Int32(clamping: snapshot.locations.count):
                snapshot.locations[Int(location)].frames.isEmpty
                    ? [snapshot.unnamedFrame(of: snapshot.locations[Int(location)])] : snapshot.locations[Int(location)].frames
            default: []
            }
        var numbers: [Int32] = []
        let isAsync = snapshot.locations.indices.contains(Int(location)) && snapshot.locations[Int(location)].isAsync
        for (index, frame) in named.enumerated().reversed() {
            var frame = frame
            // Two calls of a function that the debug information cannot tell apart are one.
            if frame.function != nil || frame.line != nil { frame.address = nil }
            frame.isInlined = false
            // The innermost frame of the location awaits; those outside of it are what it is inlined into.
            frame.isAsync = index == 0 && isAsync
            numbers.append(number(of: frame))
        }
        known[location] = numbers
        return numbers
    }

    private mutating func number(of frame: Frame) -> Int32 {
        if let number = frameNumbers[frame] { return number }
        let number = Int32(frames.count)
        frames.append(frame)
        frameNumbers[frame] = number
        return number
    }

    private mutating func child(of parent: Int32, _ frame: Int32) -> Int32 {
        let key = UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: frame))
        if let node = children[key] { return node }
        let node = Int32(parents.count)
        parents.append(parent)
        calls.append(frame)
        children[key] = node
        return node
    }

    private mutating func addRows(of snapshot: Snapshot, _ index: Int32, _ merged: [Int32], _ sites: [Int32]) {
        let firstThread = threads.count
        threads += snapshot.threads.map { (Int(index), $0) }
        func place(_ stack: Int32, _ thread: Int32, generation: Int32 = 0) -> Place {
            let isKnown = snapshot.hasNode(stack)
            let thread = snapshot.threads.indices.contains(Int(thread)) ? Int(thread) : 0
            return Place(
                node: isKnown ? merged[Int(stack)] : 0, site: isKnown ? sites[Int(stack)] : -1, snapshot: index,
                thread: Int32(firstThread + thread), generation: generation)
        }
        for cost in snapshot.costs {
            let tallies = Metric.allCases.map { cost[$0] }
            if tallies.contains(where: { $0 != .zero }) { rows.append(Row(place: place(cost.stack, cost.thread), tallies: tallies)) }
        }
        // Where there is only one generation the current metric says the same.
        guard snapshot.marks.count > 1 else { return }
        for cost in snapshot.liveByGeneration where snapshot.marks.indices.contains(Int(cost.generation)) {
            aliveRows.append(Row(place: place(cost.stack, cost.thread, generation: cost.generation), tallies: [cost.live]))
        }
    }

    // MARK: - Pruning

    private mutating func prune(to limit: Int, snapshotCount: Int) {
        var places = [Int32](0..<Int32(clamping: parents.count))
        if parents.count > limit {
            let shares = shares(snapshotCount: snapshotCount)
            // A caller has no smaller share and a smaller number than what it calls: it stands before it.
            let order = parents.indices.sorted { (shares[$0], $1) > (shares[$1], $0) }
            var isKept = [Bool](repeating: false, count: parents.count)
            for node in order.prefix(limit) { isKept[node] = true }
            isKept[0] = true
            omission = Omission(calls: 0, largestShare: shares[order[limit]])
            places = keep(isKept)
        }
        rows = PageTree.merged(rows, places)
        aliveRows = PageTree.merged(aliveRows, places)
    }

    /// The rows with their nodes' new numbers; those that are of one place now are one.
    private static func merged(_ rows: [Row], _ places: [Int32]) -> [Row] {
        var numbers: [Place: Int] = [:]
        numbers.reserveCapacity(rows.count)
        var merged: [Row] = []
        for var row in rows {
            row.place.node = places[Int(row.place.node)]
            let number = numbers[row.place] ?? merged.count
            if number == merged.count {
                numbers[row.place] = number
                merged.append(row)
            } else {
                for index in row.tallies.indices { merged[number].tallies[index] += row.tallies[index] }
            }
        }
        return merged
    }

    /// The largest share that each node, with all that it calls, has of any figure.
    private func shares(snapshotCount: Int) -> [Double] {
        let metrics = Metric.allCases.count
        var shares = [Double](repeating: 0, count: parents.count)
        for snapshot in 0..<snapshotCount {
            for metric in 0..<metrics {
                var tallies = [Tally](repeating: .zero, count: parents.count)
                for row in rows where row.place.snapshot == Int32(snapshot) { tallies[Int(row.place.node)] += row.tallies[metric] }
                for node in parents.indices.dropFirst().reversed() { tallies[Int(parents[node])] += tallies[node] }
                let (bytes, count) = (Double(max(tallies[0].bytes, 1)), Double(max(tallies[0].count, 1)))
                for node in parents.indices {
                    shares[node] = max(shares[node], Double(tallies[node].bytes) / bytes, Double(tallies[node].count) / count)
                }
            }
        }
        return shares
    }

    /// Keeps those nodes whose callers are kept too. Gives each old node's new one.
    private mutating func keep(_ isKept: [Bool]) -> [Int32] {
        let (oldParents, oldCalls) = (parents, calls)
        var places = [Int32](repeating: 0, count: oldParents.count)
        var remains = [Bool](repeating: false, count: oldParents.count)
        remains[0] = true
        var rest: [Int32: Int32] = [:]
        let restFrame = number(of: PageTree.smallerCalls)
        (parents, calls) = ([0], [-1])
        for node in oldParents.indices.dropFirst() {
            let parent = Int(oldParents[node])
            let place = places[parent]
            if isKept[node] && remains[parent] {
                remains[node] = true
                places[node] = Int32(parents.count)
                parents.append(place)
                calls.append(oldCalls[node])
                continue
            }
            omission?.calls += 1
            guard remains[parent] else {
                places[node] = place
                continue
            }
            if rest[place] == nil {
                rest[place] = Int32(parents.count)
                parents.append(place)
                calls.append(restFrame)
            }
            places[node] = rest[place]!
        }
        return places
    }
}
