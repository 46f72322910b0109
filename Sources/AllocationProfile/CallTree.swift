// CallTree.swift: who called whom and how much memory came of it, root first: for trees and flame graphs.

/// The stacks of one or more snapshots as a tree of calls.
///
/// Nodes stand in order of their depth, the children of a node side by side and largest first. Node 0 is the root, which has
/// no frame and whose tally is the total. Nothing is hidden: stacks that cost nothing in the metric are all that is missing.
package struct CallTree: Sendable {
    package struct Node: Hashable, Sendable {
        /// The node of the caller; the root's is the root.
        package var parent: Int32
        /// Index into `frames`; -1 for the root.
        package var frame: Int32
        /// The node of the caller awaits this call.
        package var isAsync: Bool
        /// Memory of this call and everything that it called.
        package var tally: Tally
        /// Memory of this call alone.
        package var own: Tally
        fileprivate var firstChild: Int32
        fileprivate var childCount: Int32

        /// Indices of the nodes of its calls, largest first.
        package var children: Range<Int> { Int(firstChild)..<Int(firstChild) + Int(childCount) }
    }

    /// All nodes, by depth.
    package private(set) var nodes: [Node]
    /// Each distinct frame once.
    package let frames: [Frame]

    /// Calls are merged by what `grouping` distinguishes: by `.function`, as flame graphs do, two lines of a function are one
    /// call; by `.traceback` they are two.
    package init(_ snapshots: [Snapshot], measuring metric: Metric, groupedBy grouping: Grouping = .function) {
        let table = FrameTable(snapshots, groupedBy: grouping)
        let stacks = MergedStacks(snapshots, table: table, measuring: metric)
        frames = table.frames(snapshots, charged: stacks.charged)

        let parents = stacks.tree.parents
        var own = [Tally](repeating: .zero, count: parents.count)
        for (snapshot, ends) in zip(snapshots, stacks.ends) {
            for (cost, end) in zip(snapshot.costs, ends) where end >= 0 { own[Int(end)] += cost[metric] }
        }
        var tallies = own
        for node in parents.indices.dropFirst().reversed() { tallies[Int(parents[node])] += tallies[node] }
        nodes = CallTree.ordered(stacks.tree, tallies, own)
    }

    private static func ordered(_ tree: FrameTree, _ tallies: [Tally], _ own: [Tally]) -> [Node] {
        // Children as lists: counting sort by parent.
        var ends = [Int](repeating: 0, count: tree.count + 1)
        for node in 1..<max(tree.count, 1) { ends[Int(tree.parents[node]) + 1] += 1 }
        for node in 0..<tree.count { ends[node + 1] += ends[node] }
        let starts = ends
        var children = [Int32](repeating: 0, count: max(tree.count - 1, 0))
        for node in 1..<max(tree.count, 1) {
            children[ends[Int(tree.parents[node])]] = Int32(node)
            ends[Int(tree.parents[node])] += 1
        }

        var nodes = [Node(parent: 0, frame: -1, isAsync: false, tally: tallies[0], own: own[0], firstChild: 1, childCount: 0)]
        nodes.reserveCapacity(tree.count)
        var sources: [Int32] = [0]
        sources.reserveCapacity(tree.count)
        var index = 0
        while index < nodes.count {
            let source = Int(sources[index])
            let range = starts[source]..<starts[source + 1]
            // Most calls have one callee; a sort would copy each list.
            if range.count > 1 {
                children[range].sort { left, right in
                    let (one, other) = (tallies[Int(left)], tallies[Int(right)])
                    return (one.bytes, one.count, right) > (other.bytes, other.count, left)
                }
            }
            nodes[index].firstChild = Int32(nodes.count)
            nodes[index].childCount = Int32(range.count)
            for child in children[range] {
                let code = tree.codes[Int(child)]
                nodes.append(
                    Node(
                        parent: Int32(index), frame: code >> 1, isAsync: code & 1 == 1, tally: tallies[Int(child)],
                        own: own[Int(child)], firstChild: 0, childCount: 0))
                sources.append(child)
            }
            index += 1
        }
        return nodes
    }

    /// The frame of a node; nil for the root.
    package func frame(of node: Int) -> Frame? {
        nodes[node].frame >= 0 ? frames[Int(nodes[node].frame)] : nil
    }
}
