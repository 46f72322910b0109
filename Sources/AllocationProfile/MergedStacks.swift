// MergedStacks.swift: the stacks of several snapshots as one tree, in which stacks with the same frames are one node.

/// A tree of frame codes, root first. Node 0 is the root; a node's parent has a smaller number.
struct FrameTree {
    /// The caller's node.
    private(set) var parents: [Int32] = [0]
    /// What distinguishes a node from its siblings; meaningless for the root.
    private(set) var codes: [Int32] = [-1]
    /// Open addressing: number of a node, 0 = free. At most half full, so that probes stay short.
    private var slots: [Int32]

    init(expectedCount: Int) {
        var size = 64
        while size < expectedCount * 2 { size *= 2 }
        slots = [Int32](repeating: 0, count: size)
        parents.reserveCapacity(expectedCount + 1)
        codes.reserveCapacity(expectedCount + 1)
    }

    var count: Int { parents.count }

    /// The child of `parent` with `code`, made if there is none.
    mutating func child(of parent: Int32, code: Int32) -> Int32 {
        var slot = FrameTree.slot(parent, code, slots.count)
        while slots[slot] != 0 {
            let node = Int(slots[slot])
            if parents[node] == parent && codes[node] == code { return Int32(node) }
            slot = (slot + 1) & (slots.count - 1)
        }
        let node = Int32(count)
        parents.append(parent)
        codes.append(code)
        slots[slot] = node
        if count * 2 > slots.count { grow() }
        return node
    }

    private mutating func grow() {
        let size = slots.count * 2
        var larger = [Int32](repeating: 0, count: size)
        for node in 1..<count {
            var slot = FrameTree.slot(parents[node], codes[node], size)
            while larger[slot] != 0 { slot = (slot + 1) & (size - 1) }
            larger[slot] = Int32(node)
        }
        slots = larger
    }

    private static func slot(_ parent: Int32, _ code: Int32, _ size: Int) -> Int {
        let mixed = (UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: code))) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: (mixed ^ mixed >> 32) & UInt64(size - 1))
    }
}

/// The stacks of several snapshots that have costs in one metric, merged by frames.
///
/// The code of a tree node is twice the key of its frame, plus 1 when its caller is an async parent: that is known here only,
/// as a location does not know who called it.
struct MergedStacks {
    private(set) var tree: FrameTree
    /// For each snapshot and each of its costs the merged node; -1 where the cost is zero.
    private(set) var ends: [[Int32]] = []
    /// Which occurrences of `table` stand on these stacks.
    private(set) var charged: [Bool]

    init(_ snapshots: [Snapshot], table: FrameTable, measuring metric: Metric) {
        tree = FrameTree(expectedCount: snapshots.map(\.nodes.count).max() ?? 0)
        charged = [Bool](repeating: false, count: table.keys.count)
        for index in snapshots.indices { add(snapshots[index], index, table, metric) }
    }

    private mutating func add(_ snapshot: Snapshot, _ index: Int, _ table: FrameTable, _ metric: Metric) {
        let nodes = snapshot.nodes
        var used = [Bool](repeating: false, count: nodes.count)
        for cost in snapshot.costs where cost[metric] != .zero && snapshot.hasNode(cost.stack) { used[Int(cost.stack)] = true }
        for node in nodes.indices.dropFirst().reversed() where used[node] { used[snapshot.parent(of: node)] = true }

        var merged = [Int32](repeating: 0, count: nodes.count)
        for node in nodes.indices.dropFirst() where used[node] {
            let parent = snapshot.parent(of: node)
            var end = merged[parent]
            var calledByAsync = snapshot.isAsync(parent)
            for occurrence in table.occurrences(of: nodes[node], in: index).reversed() {
                charged[occurrence] = true
                end = tree.child(of: end, code: table.keys[occurrence] << 1 | (calledByAsync ? 1 : 0))
                calledByAsync = false
            }
            merged[node] = end
        }
        ends.append(
            snapshot.costs.map { cost in
                guard cost[metric] != .zero else { return -1 }
                return snapshot.hasNode(cost.stack) ? merged[Int(cost.stack)] : 0
            })
    }

    /// The frame of a node, given the frame of each key. It does not know whether it is an async parent: that its callees know.
    func frame(of node: Int32, _ frames: [Frame]) -> Frame { frames[Int(tree.codes[Int(node)] >> 1)] }

    /// The caller of a node awaits it.
    func isAwaited(_ node: Int32) -> Bool { tree.codes[Int(node)] & 1 == 1 }
}

// Snapshots of damaged recordings must not stop a report: what points nowhere is taken for the root.
extension Snapshot {
    package func hasNode(_ stack: Int32) -> Bool { stack >= 0 && Int(stack) < nodes.count }

    package func parent(of node: Int) -> Int {
        let parent = Int(nodes[node].parent)
        return parent >= 0 && parent < node ? parent : 0
    }

    /// The node is an async parent.
    package func isAsync(_ node: Int) -> Bool {
        let location = Int(nodes[node].location)
        return location >= 0 && location < locations.count && locations[location].isAsync
    }
}
