// Snapshot+CallStacks.swift: single call stacks of a snapshot, named.

extension Snapshot {
    /// The call stacks of some nodes. Nodes that do not exist have empty stacks.
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
}
