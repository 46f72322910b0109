// StrongComponents.swift: which nodes lie on cycles together.

/// A graph in two arrays: the targets of node i are `targets[first[i]..<first[i + 1]]`.
struct AdjacencyLists: Sendable {
    private(set) var first: [Int] = [0]
    private(set) var targets: [Int32] = []

    var count: Int { first.count - 1 }

    init() {}

    /// The members of each group, ascending. `groups` has the group of each.
    init(groups: [Int32], count: Int) {
        first = [Int](repeating: 0, count: count + 1)
        for group in groups { first[Int(group) + 1] += 1 }
        for group in 0..<count { first[group + 1] += first[group] }
        var next = first
        targets = [Int32](repeating: 0, count: groups.count)
        for (member, group) in groups.enumerated() {
            targets[next[Int(group)]] = Int32(member)
            next[Int(group)] += 1
        }
    }

    mutating func add(_ targets: some Sequence<Int32>) {
        self.targets.append(contentsOf: targets)
        endNode()
    }

    /// A target of the node that comes after those that have ended.
    mutating func append(_ target: Int32) { targets.append(target) }
    mutating func endNode() { first.append(targets.count) }

    subscript(node: Int32) -> ArraySlice<Int32> { targets[first[Int(node)]..<first[Int(node) + 1]] }
}

/// Tarjan's algorithm, with a stack of its own: a list of any length is one path.
struct StrongComponents: Sendable {
    /// The component of each node. A component's number is smaller than those of the components that lead to it.
    private(set) var component: [Int32]
    private(set) var count = 0

    init(_ graph: AdjacencyLists) {
        let unseen: Int32 = -1
        component = [Int32](repeating: unseen, count: graph.count)
        var order = [Int32](repeating: unseen, count: graph.count)
        var low = [Int32](repeating: 0, count: graph.count)
        var next = graph.first
        var path: [Int32] = []
        var open: [Int32] = []
        var time: Int32 = 0
        for start in 0..<Int32(graph.count) where order[Int(start)] == unseen {
            path.append(start)
            while let node = path.last {
                let index = Int(node)
                if order[index] == unseen {
                    order[index] = time
                    low[index] = time
                    time += 1
                    open.append(node)
                }
                var descends = false
                while next[index] < graph.first[index + 1] {
                    let target = graph.targets[next[index]]
                    next[index] += 1
                    if order[Int(target)] == unseen {
                        path.append(target)
                        descends = true
                        break
                    }
                    if component[Int(target)] == unseen { low[index] = min(low[index], order[Int(target)]) }
                }
                if descends { continue }
                path.removeLast()
                if let parent = path.last { low[Int(parent)] = min(low[Int(parent)], low[index]) }
                guard low[index] == order[index] else { continue }
                while let member = open.popLast() {
                    component[Int(member)] = Int32(count)
                    if member == node { break }
                }
                count += 1
            }
        }
    }
}
