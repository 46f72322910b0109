// LeakSearch.swift: from the blocks that nothing reaches to leaks with a name.
//
//     unreached blocks ─► edges, with field names where types are known ─► strong components ─► heads ─► groups
//
// A head is a component that no other one refers to (nobody owns it: a root leak), or a cycle of Swift objects (they own
// each other). Everything else belongs to the head from which it is reached.
package import AllocationProfile

package struct LeakSearch<Reader: ObjectReader> {
    let graph: ReferenceGraph
    var reader: Reader
    /// The unreached blocks, ascending by address.
    let nodes: [Int32]
    /// By block; -1: it is none.
    private let nodeOfBlock: [Int32]
    let objects: [HeapObject?]
    /// References that can own, and their labels where known.
    let edges: AdjacencyLists
    private let labels: [String]
    let components: StrongComponents
    let members: AdjacencyLists
    private let isCycle: [Bool]

    /// - Parameter nodes: unreached blocks that are to be explained; others are as if they did not exist.
    package init(_ graph: ReferenceGraph, reader: Reader) {
        self.graph = graph
        self.reader = reader
        let nodes = graph.unreached
        self.nodes = nodes
        var nodeOf = [Int32](repeating: -1, count: graph.blocks.count)
        for (node, block) in nodes.enumerated() { nodeOf[Int(block)] = Int32(node) }
        nodeOfBlock = nodeOf
        var reader = reader
        var objects: [HeapObject?] = []
        objects.reserveCapacity(nodes.count)
        var edges = AdjacencyLists()
        var labels: [String] = []
        for block in nodes {
            let one = graph.blocks[Int(block)]
            let object = reader.object(at: one.address, size: one.size)
            objects.append(object)
            let known = object.map { Self.known($0, graph.usableSize(of: block), &reader) } ?? [:]
            _ = graph.forEachReference(of: block) { offset, target in
                let node = nodeOf[Int(target)]
                guard node >= 0 else { return }
                let reference = known[offset]
                if let reference, !reference.canOwn { return }
                edges.append(node)
                labels.append(reference?.label ?? "")
            }
            // An object that holds itself: of blocks that are no objects such words say nothing.
            if !known.isEmpty,
                let own = known.values.filter({ $0.target == one.address && $0.canOwn }).min(by: { $0.offset < $1.offset })
            {
                edges.append(nodeOf[Int(block)])
                labels.append(own.label)
            }
            edges.endNode()
        }
        self.reader = reader
        self.objects = objects
        self.edges = edges
        self.labels = labels
        components = StrongComponents(edges)
        let groups = AdjacencyLists(groups: components.component, count: components.count)
        members = groups
        let lists = edges
        isCycle = (0..<components.count).map { component in
            let list = groups.first[component]..<groups.first[component + 1]
            if list.count > 1 { return list.contains { objects[Int(groups.targets[$0])] != nil } }
            guard let only = list.first.map({ groups.targets[$0] }) else { return false }
            return (lists.first[Int(only)]..<lists.first[Int(only) + 1]).contains { lists.targets[$0] == only }
        }
    }

    /// The node of an unreached block.
    func node(of block: Int32) -> Int32? {
        let node = nodeOfBlock[Int(block)]
        return node >= 0 ? node : nil
    }

    private static func known(_ object: HeapObject, _ size: UInt64, _ reader: inout Reader) -> [UInt64: HeapReference] {
        var result: [UInt64: HeapReference] = [:]
        // The reference counts are no field.
        for reference in reader.references(of: object, size: size) where reference.offset != 8 { result[reference.offset] = reference }
        return result
    }

    // MARK: Heads

    struct Head {
        var component: Int32
        var kind: Leak.Kind
        var own = Tally.zero
        var total = Tally.zero
    }

    /// Components with their owners: roots first, then cycles, each with what it alone is reached from first.
    func heads() -> [Head] {
        var hasOwner = [Bool](repeating: false, count: components.count)
        for node in 0..<Int32(nodes.count) {
            for edge in edges.first[Int(node)]..<edges.first[Int(node) + 1] {
                let target = components.component[Int(edges.targets[edge])]
                if target != components.component[Int(node)] { hasOwner[Int(target)] = true }
            }
        }
        var heads: [Head] = []
        for component in (0..<Int32(components.count)).reversed() where !hasOwner[Int(component)] || isCycle[Int(component)] {
            heads.append(Head(component: component, kind: isCycle[Int(component)] ? .cycle : .root))
        }
        var isTaken = [Bool](repeating: false, count: components.count)
        for head in heads { isTaken[Int(head.component)] = true }
        var queue: [Int32] = []
        for index in heads.indices {
            queue.removeAll(keepingCapacity: true)
            queue += members[heads[index].component]
            heads[index].own = sum(queue)
            var next = 0
            while next < queue.count {
                let node = Int(queue[next])
                next += 1
                for edge in edges.first[node]..<edges.first[node + 1] {
                    let component = components.component[Int(edges.targets[edge])]
                    guard !isTaken[Int(component)] else { continue }
                    isTaken[Int(component)] = true
                    queue += members[component]
                }
            }
            heads[index].total = sum(queue)
        }
        return heads
    }

    private func sum(_ list: [Int32]) -> Tally {
        var sum = Tally.zero
        for node in list { sum += Tally(bytes: Int(clamping: size(of: node)), count: 1) }
        return sum
    }

    func size(of node: Int32) -> UInt64 { graph.blocks[Int(nodes[Int(node)])].size }
    func stack(of node: Int32) -> Int32 { graph.blocks[Int(nodes[Int(node)])].stack }
    func address(of node: Int32) -> UInt64 { graph.blocks[Int(nodes[Int(node)])].address }

    // MARK: Cycles

    /// Around a cycle once: the nodes, and what leads from each to the next.
    func way(around component: Int32) -> [(node: Int32, label: String)] {
        let start = first(of: component)
        var from: [Int32: (node: Int32, label: String)] = [:]
        var queue = [start]
        var next = 0
        while next < queue.count {
            let node = queue[next]
            next += 1
            for edge in edges.first[Int(node)]..<edges.first[Int(node) + 1] {
                let target = edges.targets[edge]
                guard components.component[Int(target)] == component else { continue }
                if target == start {
                    var way = [(node, labels[edge])]
                    var at = node
                    while at != start, let step = from[at] {
                        way.append((step.node, step.label))
                        at = step.node
                    }
                    return way.reversed()
                }
                if from[target] == nil {
                    from[target] = (node, labels[edge])
                    queue.append(target)
                }
            }
        }
        return [(start, "")]
    }

    /// Where a cycle is begun to be told: at an object of a class, always at the same of cycles that are alike.
    private func first(of component: Int32) -> Int32 {
        func rank(_ node: Int32) -> (Int, String, Int32, UInt64) {
            let object = objects[Int(node)]
            let order = object == nil ? 3 : object?.kind == .class ? 0 : object?.kind == .storage ? 2 : 1
            return (order, object?.typeName ?? "", stack(of: node), address(of: node))
        }
        return members[component].min { rank($0) < rank($1) } ?? 0
    }

    func step(_ node: Int32, _ label: String) -> String {
        guard let object = objects[Int(node)] else { return "memory at \(hexadecimal(address(of: node)))" }
        if object.kind == .storage && !label.isEmpty { return label }
        // Without reflection metadata a field has a place, but no name.
        return label.isEmpty ? object.typeName : label.hasPrefix("[") ? object.typeName + label : "\(object.typeName).\(label)"
    }

    // MARK: Report

    private struct Key: Hashable {
        var kind: Leak.Kind
        var stack: Int32
        var type: String?
        var path: [String]
    }

    private struct Group {
        var key: Key
        var first: [Int32]
        var instances = 0
        var own = Tally.zero
        var total = Tally.zero
    }

    /// All leaks, grouped, the largest first.
    package func leaks(_ names: (Set<Int32>) -> [Int32: CallStack]) -> [Leak] {
        var groups: [Group] = []
        var numbers: [Key: Int] = [:]
        var last = 0
        for head in heads() {
            let ring = head.kind == .cycle ? way(around: head.component) : []
            let first = ring.first?.node ?? largest(of: head.component)
            let path = ring.map { step($0.node, $0.label) }
            let key = Key(kind: head.kind, stack: stack(of: first), type: objects[Int(first)]?.typeName, path: path)
            // What was lost one after the other is often alike.
            if groups.isEmpty || groups[last].key != key { last = numbers[key] ?? groups.count }
            if last == groups.count {
                // Of a large cycle the objects on the way, not all that hangs on it.
                let shown = ring.isEmpty ? [first] : ring.map(\.node)
                numbers[key] = last
                groups.append(Group(key: key, first: Array(shown.prefix(Self.mostObjects))))
            }
            groups[last].instances += 1
            groups[last].own += head.own
            groups[last].total += head.total
        }
        let stacks = Set(groups.flatMap { $0.first.map(stack(of:)) })
        let named = names(stacks)
        func callStack(_ node: Int32) -> CallStack { named[stack(of: node)] ?? CallStack([]) }
        return groups.map { group in
            let key = group.key
            var leak = Leak(kind: key.kind, typeName: key.type, path: key.path, callStack: named[key.stack] ?? CallStack([]))
            leak.instances = group.instances
            leak.own = group.own
            leak.total = group.total
            leak.objects = group.first.map { leakedObject($0, callStack($0)) }
            return leak
        }
        .sorted {
            ($0.total.bytes, $0.total.count, $1.objects.first?.address ?? 0) > (
                $1.total.bytes, $1.total.count, $0.objects.first?.address ?? 0
            )
        }
    }

    static var mostObjects: Int { 32 }

    private func largest(of component: Int32) -> Int32 {
        let only = members.first[Int(component)]
        if members.first[Int(component) + 1] == only + 1 { return members.targets[only] }
        return members[component].max { (size(of: $0), address(of: $1)) < (size(of: $1), address(of: $0)) } ?? 0
    }

    func leakedObject(_ node: Int32, _ callStack: CallStack) -> LeakedObject {
        var result = LeakedObject(address: address(of: node), size: Int(clamping: size(of: node)), callStack: callStack)
        guard let object = objects[Int(node)] else { return result }
        result.typeName = object.typeName
        result.strong = Int(clamping: object.strong)
        result.unowned = Int(clamping: object.unowned)
        result.weak = Int(clamping: object.weak)
        return result
    }

    package var leaked: Tally { sum([Int32](0..<Int32(nodes.count))) }
}

extension HeapReference {
    /// As far as is known, it can keep its target alive.
    var canOwn: Bool {
        switch strength {
        case .strong, .unknown: true
        case .unowned, .weak, .unmanaged: false
        }
    }
}

func hexadecimal(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }

/// For programs without Swift.
package struct NoObjects: ObjectReader {
    package init() {}
    package mutating func object(at address: UInt64, size: UInt64) -> HeapObject? { nil }
    package mutating func references(of object: HeapObject, size: UInt64) -> [HeapReference] { [] }
}
