// StackTree.swift: the stacks of a recording as the tree of a snapshot: only what is charged, each stack once, parents first.
import AllocationProfile
import CRecording

/// Copies stacks out of the recording's node table.
///
/// Stacks deeper than the limit keep their innermost frames, below a node that stands for what was cut off; stacks that
/// are equal then become one. Costs about 0.1 µs a node.
struct StackTree {
    private(set) var nodes = [StackNode(parent: 0, location: StackNode.noLocation)]
    private(set) var locations: [Location] = []
    /// The same, to compare with.
    private var codes: [Code] = []
    /// Some node pointed to nowhere, or in a circle.
    private(set) var isDamaged = false

    private let source: UnsafeMutablePointer<tm_node>
    private var used: Int
    private let limit: Int
    /// Innermost frames kept of deeper stacks: the limit, or less when there are very many such stacks.
    private(set) var window: Int
    private var deepStacks = 0
    var cutsStacks: Bool { deepStacks > 0 }
    private var moduleOfImage: [Int32]

    /// What is known of a node of the recording. What was read once is not read again: it may change.
    private struct Known {
        var parent: UInt32 = 0
        var location: Int32 = -1
        /// The snapshot's node; -1: it has none so far.
        var new: Int32 = -1
        /// Frames from the outermost one, above two flags; 0 unknown.
        private var state: Int32 = 0

        init() {}
        init(parent: UInt32, location: Int32) { (self.parent, self.location, state) = (parent, location, Self.onTheWay) }

        static let (belowCut, endedEarly, flags) = (Int32(1), Int32(2), Int32(3))
        private static let onTheWay = Int32.min

        var isUnknown: Bool { state == 0 }
        var isOnTheWay: Bool { state & ~Self.flags == Self.onTheWay }
        var depth: Int { Int(state >> 2) }
        func has(_ flag: Int32) -> Bool { state & flag != 0 }
        var flags: Int32 { state & Self.flags }
        mutating func set(_ flag: Int32) { state |= flag }
        mutating func set(depth: Int, flags: Int32) { state = Int32(truncatingIfNeeded: depth) << 2 | flags }
    }
    private var known: [Known]

    private var cutNode: Int32 = 0
    private var lostNode: Int32 = 0
    private var children = NumberIndex()
    private var locationIndex = NumberIndex()
    private var path: [Int] = []

    /// What tells one location from another.
    private struct Code: Equatable {
        var address: UInt64
        var module: Int32
        var flags: UInt32
    }

    init(region: Unsafe.Region, limit: Int, moduleOfImage: [Int32]) {
        source = region.nodeElements
        used = region.nodesUsed
        self.limit = max(limit, 1)
        window = self.limit
        self.moduleOfImage = moduleOfImage
        known = [Known](repeating: Known(), count: used)
    }

    /// Takes nodes into account that came to be since: what was added stays. `region` is that of `init`.
    mutating func follow(_ region: Unsafe.Region, moduleOfImage: [Int32]) {
        let count = region.nodesUsed - used
        self.moduleOfImage = moduleOfImage
        guard count > 0 else { return }
        used += count
        // Growing by itself it would become twice as large.
        if used > known.capacity { known.reserveCapacity(used + used / 4) }
        known += repeatElement(Known(), count: count)
    }

    /// Below the cut, deep stacks share few nodes: this many are made at most.
    private static let windowNodes = 4_000_000
    private static let leastWindow = 16

    /// Tells of a stack that will be added. All are told of before the first is added.
    mutating func prepare(_ stack: UInt32) {
        let node = Int(stack)
        guard stack >= TM_NODE_FIRST, node < used else { return }
        if known[node].isUnknown { measure(node) }
        if known[node].depth > limit {
            deepStacks += 1
            window = min(limit, max(Self.windowNodes / deepStacks, Self.leastWindow))
        }
    }

    /// The snapshot's node for a stack.
    mutating func add(_ stack: UInt32) -> Int32 {
        if stack == TM_NODE_NONE { return 0 }
        if stack == TM_NODE_CUT { return cut() }
        if stack == TM_NODE_LOST { return lost() }
        let node = Int(stack)
        guard node < used else {
            isDamaged = true
            return lost()
        }
        if known[node].new >= 0 { return known[node].new }
        if known[node].isUnknown { measure(node) }
        return known[node].depth <= limit ? addWhole(node) : addInnermost(node)
    }

    func isCut(_ stack: UInt32) -> Bool {
        guard Int(stack) < used, stack >= TM_NODE_FIRST else { return stack == TM_NODE_CUT }
        return known[Int(stack)].has(Known.belowCut) || known[Int(stack)].depth > limit
    }

    func endedEarly(_ stack: UInt32) -> Bool { Int(stack) < used && known[Int(stack)].has(Known.endedEarly) }

    // MARK: Parts

    /// Finds out how deep a stack is, and what is at its outer end.
    private mutating func measure(_ start: Int) {
        path.removeAll(keepingCapacity: true)
        var node = start
        while node >= Int(TM_NODE_FIRST), known[node].isUnknown {
            let copy = source[node]
            var own = Known(parent: copy.parent, location: location(copy))
            if Int(own.parent) >= used || own.parent == TM_NODE_LOST {
                isDamaged = true
                own.parent = TM_NODE_NONE
            }
            if own.parent == node || Int(own.parent) >= Int(TM_NODE_FIRST) && known[Int(own.parent)].isOnTheWay {
                isDamaged = true
                own.parent = TM_NODE_NONE
            }
            if own.parent == TM_NODE_NONE && UInt32(copy.flags) & TM_NODE_ENDED_EARLY != 0 { own.set(Known.endedEarly) }
            if own.parent == TM_NODE_CUT { own.set(Known.belowCut) }
            known[node] = own
            path.append(node)
            node = Int(own.parent)
        }
        var (depth, flags) = node >= Int(TM_NODE_FIRST) ? (known[node].depth, known[node].flags) : (0, 0)
        for node in path.reversed() {
            depth += 1
            flags |= known[node].flags
            known[node].set(depth: depth, flags: flags)
        }
    }

    private mutating func addWhole(_ start: Int) -> Int32 {
        path.removeAll(keepingCapacity: true)
        var node = start
        while node >= Int(TM_NODE_FIRST), known[node].new < 0 {
            path.append(node)
            node = Int(known[node].parent)
        }
        var new = node >= Int(TM_NODE_FIRST) ? known[node].new : node == Int(TM_NODE_CUT) ? cut() : 0
        for node in path.reversed() {
            // A recording has each stack once. Only outermost frames may differ in nothing that a snapshot knows of, and stacks
            // that were cut: the others need no search for what is there already.
            if new == 0 || known[node].has(Known.belowCut) {
                new = child(of: new, known[node].location)
            } else {
                nodes.append(StackNode(parent: new, location: known[node].location))
                new = Int32(truncatingIfNeeded: nodes.count - 1)
            }
            known[node].new = new
        }
        return new
    }

    private mutating func addInnermost(_ start: Int) -> Int32 {
        path.removeAll(keepingCapacity: true)
        var node = start
        while path.count < window, node >= Int(TM_NODE_FIRST) {
            path.append(node)
            node = Int(known[node].parent)
        }
        var new = cut()
        for node in path.reversed() { new = child(of: new, known[node].location) }
        known[start].new = new
        return new
    }

    private mutating func child(of parent: Int32, _ location: Int32) -> Int32 {
        let node = StackNode(parent: parent, location: location)
        let hash = NumberIndex.hash(UInt64(UInt32(bitPattern: parent)) << 32 | UInt64(UInt32(bitPattern: location)))
        if let same = children.find(hash, { nodes[Int($0)] == node }) { return same }
        let number = Int32(truncatingIfNeeded: nodes.count)
        nodes.append(node)
        children.add(number, hash)
        return number
    }

    private mutating func cut() -> Int32 {
        if cutNode == 0 { cutNode = child(of: 0, StackNode.cut) }
        return cutNode
    }

    private mutating func lost() -> Int32 {
        if lostNode == 0 { lostNode = child(of: 0, StackNode.lost) }
        return lostNode
    }

    private mutating func location(_ node: tm_node) -> Int32 {
        let flags = UInt32(node.flags) & (TM_NODE_ASYNC | TM_NODE_SIGNAL)
        let module = Int(node.image) < moduleOfImage.count ? moduleOfImage[Int(node.image)] : -1
        let code = Code(address: node.pc, module: module, flags: flags)
        let hash = NumberIndex.hash(node.pc ^ UInt64(flags) << 56 ^ UInt64(UInt16(truncatingIfNeeded: module)) << 40)
        if let same = locationIndex.find(hash, { codes[Int($0)] == code }) { return same }
        let number = Int32(truncatingIfNeeded: locations.count)
        locations.append(Location(node, module: module))
        codes.append(code)
        locationIndex.add(number, hash)
        return number
    }
}

extension Location {
    /// The code that a node of a recording stands for.
    init(_ node: tm_node, module: Int32) {
        let flags = UInt32(node.flags)
        self.init(address: node.pc, module: module, isExact: flags & TM_NODE_SIGNAL != 0, isAsync: flags & TM_NODE_ASYNC != 0)
    }
}
