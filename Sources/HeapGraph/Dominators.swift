// Dominators.swift: what each block alone keeps alive.
package import AllocationProfile

/// A block dominates those that are reached through it only: they would be free if it were.
///
/// The semi-NCA algorithm: nearly linear, and without recursion.
package struct Dominators {
    /// By block: bytes and blocks that go when it goes, itself included.
    private var sums: [Tally]

    /// Cost: one look at each word of the reachable blocks, and some words of memory for each block and reference.
    package init(_ graph: ReferenceGraph) {
        let count = graph.blocks.count
        // Vertex 0 is all roots together; block b is vertex b + 1.
        var lists = AdjacencyLists()
        var isRoot = [Bool](repeating: false, count: count)
        graph.forEachRootReference { block, _ in isRoot[Int(block)] = true }
        lists.add((0..<Int32(count)).filter { isRoot[Int($0)] }.map { $0 + 1 })
        for block in 0..<Int32(count) {
            var targets: [Int32] = []
            if graph.isReached(block) { _ = graph.forEachReference(of: block) { _, target in targets.append(target + 1) } }
            lists.add(targets)
        }
        let parents = Self.immediateDominators(lists)
        sums = [Tally](repeating: .zero, count: count)
        for block in 0..<count {
            sums[block] = Tally(bytes: Int(clamping: graph.blocks[block].size), count: 1)
        }
        for vertex in parents.order.reversed() where vertex != 0 {
            let parent = parents.dominator[Int(vertex)]
            if parent > 0 { sums[Int(parent) - 1] += sums[Int(vertex) - 1] }
        }
    }

    package func kept(by block: Int32) -> Tally { sums[Int(block)] }

    /// The immediate dominator of each vertex that is reached from vertex 0 (-1 for others), and the vertices in an order in
    /// which dominators come first.
    static func immediateDominators(_ graph: AdjacencyLists) -> (dominator: [Int32], order: [Int32]) {
        let count = graph.count
        var number = [Int32](repeating: -1, count: count)
        var order: [Int32] = []
        var treeParent: [Int32] = []
        // Depth first, by hand.
        var next = graph.first
        var path: [Int32] = count > 0 ? [0] : []
        if count > 0 {
            number[0] = 0
            order.append(0)
            treeParent.append(0)
        }
        while let vertex = path.last {
            let index = Int(vertex)
            guard next[index] < graph.first[index + 1] else {
                path.removeLast()
                continue
            }
            let target = graph.targets[next[index]]
            next[index] += 1
            guard number[Int(target)] < 0 else { continue }
            number[Int(target)] = Int32(order.count)
            order.append(target)
            treeParent.append(number[index])
            path.append(target)
        }
        // From here on vertices are their numbers.
        let reached = order.count
        var degree = [Int](repeating: 0, count: reached + 1)
        for vertex in order { for target in graph[vertex] { degree[Int(number[Int(target)]) + 1] += 1 } }
        for index in 0..<reached { degree[index + 1] += degree[index] }
        var place = degree
        var before = [Int32](repeating: 0, count: degree[reached])
        for vertex in order {
            for target in graph[vertex] {
                let at = Int(number[Int(target)])
                before[place[at]] = number[Int(vertex)]
                place[at] += 1
            }
        }
        var semi = (0..<Int32(reached)).map(\.self)
        var label = semi
        var ancestor = [Int32](repeating: -1, count: reached)
        var dominator = treeParent
        var chain: [Int32] = []
        for vertex in (0..<reached).reversed() where vertex > 0 {
            var best = Int32(vertex)
            for edge in degree[vertex]..<degree[vertex + 1] {
                let source = before[edge]
                let candidate = Self.evaluate(source, &ancestor, &label, semi, &chain)
                best = min(best, semi[Int(candidate)])
            }
            semi[vertex] = best
            ancestor[vertex] = treeParent[vertex]
        }
        for vertex in 1..<max(reached, 1) {
            var candidate = dominator[vertex]
            while candidate > semi[vertex] { candidate = dominator[Int(candidate)] }
            dominator[vertex] = candidate
        }
        var result = [Int32](repeating: -1, count: count)
        for (index, vertex) in order.enumerated() where index > 0 { result[Int(vertex)] = order[Int(dominator[index])] }
        return (result, order)
    }

    /// The vertex with the smallest semi-dominator on the way up the forest, with path compression.
    private static func evaluate(
        _ vertex: Int32, _ ancestor: inout [Int32], _ label: inout [Int32], _ semi: [Int32], _ chain: inout [Int32]
    ) -> Int32 {
        if ancestor[Int(vertex)] < 0 { return vertex }
        chain.removeAll(keepingCapacity: true)
        var at = vertex
        while ancestor[Int(ancestor[Int(at)])] >= 0 {
            chain.append(at)
            at = ancestor[Int(at)]
        }
        while let lower = chain.popLast() {
            let upper = ancestor[Int(lower)]
            if semi[Int(label[Int(upper)])] < semi[Int(label[Int(lower)])] { label[Int(lower)] = label[Int(upper)] }
            ancestor[Int(lower)] = ancestor[Int(upper)]
        }
        return label[Int(vertex)]
    }
}
