// PathSearch.swift: the shortest ways from the roots to a block: why it is alive.

/// How a block is reached: from a root through the blocks `steps`, the last of which is the block itself.
package struct HeapPath: Sendable, Hashable {
    package var root: ReferenceGraph.RootHit
    package var steps: [Step]

    package struct Step: Sendable, Hashable {
        package var block: Int32
        /// Where in the block before the reference lies; of the first step 0.
        package var offset: UInt64
    }
}

extension ReferenceGraph {
    /// A shortest way to each of the blocks that refer to a block, and on to it; the shortest first. Empty: it is not reached.
    ///
    /// Cost: one pass over all blocks.
    package func paths(to target: Int32, limit: Int) -> [HeapPath] {
        guard isReached(target), limit > 0 else { return [] }
        var found: [HeapPath] = []
        // The shortest way of all; if it comes from a root, no block is part of it.
        if let first = path(to: target) { found.append(first) }
        var kinds = Set(found.filter { $0.steps.count == 1 }.map(\.root.kind))
        forEachRootReference { block, root in
            if block == target, kinds.insert(root.kind).inserted {
                found.append(HeapPath(root: root, steps: [HeapPath.Step(block: block, offset: 0)]))
            }
        }
        for block in 0..<Int32(blocks.count) where block != target && isReached(block) && parents[Int(target)] != block {
            var offset: UInt64?
            _ = forEachReference(of: block) { at, other in if other == target && offset == nil { offset = at } }
            // A way that goes through the block itself is none to it.
            guard let offset, var path = path(to: block), !path.steps.contains(where: { $0.block == target }) else { continue }
            path.steps.append(HeapPath.Step(block: target, offset: offset))
            found.append(path)
        }
        return Array(found.sorted { $0.steps.count < $1.steps.count }.prefix(limit))
    }

    private func path(to block: Int32) -> HeapPath? {
        var steps: [HeapPath.Step] = []
        var at = block
        while parents[Int(at)] >= 0 {
            let before = parents[Int(at)]
            var offset: UInt64 = 0
            var isFound = false
            _ = forEachReference(of: before) { place, other in
                if other == at && !isFound {
                    offset = place
                    isFound = true
                }
            }
            steps.append(HeapPath.Step(block: at, offset: offset))
            at = before
        }
        let root = -2 - Int(parents[Int(at)])
        guard rootHits.indices.contains(root) else { return nil }
        steps.append(HeapPath.Step(block: at, offset: 0))
        return HeapPath(root: rootHits[root], steps: steps.reversed())
    }
}
