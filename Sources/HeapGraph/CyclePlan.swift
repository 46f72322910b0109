// CyclePlan.swift: how a retain cycle that nothing reaches can be taken apart, or why it is left alone.
package import AllocationProfile

/// What is to be cleared so that the reference counts free the rest, and what must be true when it is.
package struct CyclePlan: Sendable {
    /// An optional strong reference to the target.
    package struct Reference: Sendable, Hashable {
        package var holder: HiddenAddress
        package var offset: UInt64
        package var nilOffset: UInt64
    }

    package struct Member: Sendable, Hashable {
        package var address: HiddenAddress
        package var strong: Int
    }

    package var leak: Leak
    package var members: [Member]
    package var target: HiddenAddress
    package var cleared: [Reference]
}

/// A cycle that is left alone, with the reason in a sentence.
package struct CycleRefusal: Error, Sendable {
    package var leak: Leak
    package var reason: String
}

extension LeakSearch {
    /// A known reference to a member of a cycle.
    private struct Incoming {
        var holder: Int32
        var reference: HeapReference
    }

    /// Every retain cycle among the unreached blocks, each for itself.
    ///
    /// The proof is in the counts: all strong, unowned and weak references that an object has are among those that the fields of
    /// unreached objects account for. Then nobody else can come by it, and nobody else lets go of it.
    package mutating func plans(_ names: (Set<Int32>) -> [Int32: CallStack]) -> [Result<CyclePlan, CycleRefusal>] {
        let cycles = heads().filter { $0.kind == .cycle }
        guard !cycles.isEmpty else { return [] }
        let incoming = references(to: Set(cycles.map(\.component)))
        let stacks = Set(cycles.flatMap { members[$0.component] }.map { stack(of: $0) })
        let named = names(stacks)
        return cycles.map { head in
            let ring = way(around: head.component)
            let first = ring[0].node
            func callStack(_ node: Int32) -> CallStack { named[stack(of: node)] ?? CallStack([]) }
            var leak = Leak(
                kind: .cycle, typeName: objects[Int(first)]?.typeName, path: ring.map { step($0.node, $0.label) },
                callStack: callStack(first))
            leak.instances = 1
            leak.own = head.own
            leak.total = head.total
            leak.objects = ring.prefix(Self.mostObjects).map { leakedObject($0.node, callStack($0.node)) }
            do throws(Doubt) {
                let (target, cleared) = try prove(head.component, incoming)
                return .success(
                    CyclePlan(
                        leak: leak,
                        members: members[head.component].map {
                            CyclePlan.Member(address: HiddenAddress(address(of: $0)), strong: Int(clamping: objects[Int($0)]?.strong ?? 0))
                        },
                        target: HiddenAddress(address(of: target)), cleared: cleared))
            } catch {
                return .failure(CycleRefusal(leak: leak, reason: error.sentence))
            }
        }
    }

    private struct Doubt: Error { var sentence: String }

    /// By member: what refers to it, of all unreached blocks.
    private mutating func references(to cycles: Set<Int32>) -> [Int32: [Incoming]] {
        var incoming: [Int32: [Incoming]] = [:]
        for node in 0..<Int32(nodes.count) {
            guard let object = objects[Int(node)] else { continue }
            for reference in reader.references(of: object, size: graph.usableSize(of: nodes[Int(node)])) {
                guard let block = graph.block(at: reference.target), graph.blocks[Int(block)].address == reference.target,
                    let target = self.node(of: block), cycles.contains(components.component[Int(target)])
                else { continue }
                incoming[target, default: []].append(Incoming(holder: node, reference: reference))
            }
        }
        return incoming
    }

    private func prove(
        _ component: Int32, _ incoming: [Int32: [Incoming]]
    ) throws(Doubt) -> (target: Int32, cleared: [CyclePlan.Reference]) {
        for node in members[component] { try understand(node) }
        for node in members[component] { try account(for: node, incoming[node] ?? []) }
        // The counts are known: which object goes first, so that all others follow?
        for target in members[component] where objects[Int(target)]?.kind == .class {
            let strong = (incoming[target] ?? []).filter { $0.reference.strength == .strong }
            let isHeldHere = strong.allSatisfy { components.component[Int($0.holder)] == component && $0.reference.isOptional }
            guard isHeldHere, !strong.isEmpty, frees(target, component, incoming) else { continue }
            let cleared = strong.map {
                CyclePlan.Reference(
                    holder: HiddenAddress(address(of: $0.holder)), offset: $0.reference.offset, nilOffset: $0.reference.nilOffset)
            }
            return (target, cleared)
        }
        throw Doubt(
            sentence: "none of its objects is held by optional references of the others alone, so that all would be freed without them")
    }

    /// All that the block refers to is known.
    private func understand(_ node: Int32) throws(Doubt) {
        guard let object = objects[Int(node)] else {
            throw Doubt(sentence: "the memory at \(hexadecimal(address(of: node))), which is part of it, is no Swift object")
        }
        switch object.kind {
        case .class, .closure, .box, .storage: break
        case .task, .errorBox, .other: throw Doubt(sentence: "what a \(object.typeName) refers to is not known")
        }
        guard object.fieldsAreKnown else {
            throw Doubt(sentence: "not all fields of \(object.typeName) are known (its module has no reflection metadata)")
        }
    }

    /// All that is counted for an object is known.
    private func account(for node: Int32, _ incoming: [Incoming]) throws(Doubt) {
        guard let object = objects[Int(node)] else { return }
        func known(_ strength: HeapReference.Strength) -> Int { incoming.count { $0.reference.strength == strength } }
        for (word, counted, found) in [
            ("strong", object.strong, known(.strong)), ("unowned", object.unowned, known(.unowned)), ("weak", object.weak, known(.weak)),
        ] where counted != UInt64(found) {
            throw Doubt(
                sentence: "\(object.typeName) has \(counted) \(word) reference\(counted == 1 ? "" : "s"), of which \(found) "
                    + "\(found == 1 ? "is" : "are") known: the program may still come by it")
        }
    }

    /// Whether letting go of one object frees all of the cycle.
    private func frees(_ target: Int32, _ component: Int32, _ incoming: [Int32: [Incoming]]) -> Bool {
        var left: [Int32: Int] = [:]
        var outgoing: [Int32: [Int32]] = [:]
        for node in members[component] {
            for one in incoming[node] ?? [] where one.reference.strength == .strong {
                left[node, default: 0] += 1
                outgoing[one.holder, default: []].append(node)
            }
        }
        left[target] = 0
        var freed: Set<Int32> = [target]
        var queue = [target]
        while let node = queue.popLast() {
            for other in outgoing[node] ?? [] where !freed.contains(other) {
                left[other, default: 0] -= 1
                if left[other] == 0 {
                    freed.insert(other)
                    queue.append(other)
                }
            }
        }
        return freed.count == members[component].count
    }
}
