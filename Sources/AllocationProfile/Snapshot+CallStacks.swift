// Snapshot+CallStacks.swift: single call stacks of a snapshot.

extension Snapshot {
    /// The call stacks of some nodes, by their numbers. Nodes that do not exist have empty stacks.
    package func callStacks(of stacks: Set<Int32>) -> [Int32: CallStack] {
        let table = FrameTable([self], groupedBy: .traceback)
        let frames = FrameTable.markers + locations.flatMap { $0.frames.isEmpty ? [unnamedFrame(of: $0)] : $0.frames }
        var result: [Int32: CallStack] = [:]
        for start in stacks {
            var stack: [Frame] = []
            var node = hasNode(start) ? Int(start) : 0
            while node != 0 {
                stack += table.occurrences(of: nodes[node], in: 0).map { frames[$0] }
                node = parent(of: node)
            }
            result[start] = CallStack(stack, totalFrameCount: stack.last == .cut ? nil : stack.count)
        }
        return result
    }

    /// A snapshot with nothing but some stacks, so that only these have to be named, and the new number of each.
    package func reduced(to stacks: Set<Int32>) -> (snapshot: Snapshot, stackOf: [Int32: Int32]) {
        var result = Snapshot(process: process)
        result.modules = modules
        var nodeOf: [Int32: Int32] = [0: 0]
        var locationOf: [Int32: Int32] = [:]
        for stack in stacks.sorted() where hasNode(stack) {
            var path: [Int32] = []
            var node = stack
            while nodeOf[node] == nil {
                path.append(node)
                node = Int32(parent(of: Int(node)))
            }
            for node in path.reversed() {
                var copy = nodes[Int(node)]
                if copy.location >= 0, locations.indices.contains(Int(copy.location)) {
                    if locationOf[copy.location] == nil {
                        locationOf[copy.location] = Int32(result.locations.count)
                        result.locations.append(locations[Int(copy.location)])
                    }
                    copy.location = locationOf[copy.location] ?? StackNode.noLocation
                }
                copy.parent = nodeOf[copy.parent] ?? 0
                nodeOf[node] = Int32(result.nodes.count)
                result.nodes.append(copy)
            }
        }
        return (result, nodeOf)
    }
}
