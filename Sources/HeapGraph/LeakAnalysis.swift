// LeakAnalysis.swift: the whole way from a frozen program to a report of its leaks.
package import AllocationProfile

package struct LeakAnalysis {
    /// Which blocks are asked about; what else is unreachable is neither reported nor counted.
    package var isAsked: ((HeapBlock) -> Bool)?
    package var suppressions = LeakSuppressions.builtIn

    package init() {}

    /// - Parameter names: the named call stacks of stacks.
    package func report<Reader: ObjectReader>(
        on program: FrozenProgram, processID: Int32, reader: Reader, names: (Set<Int32>) -> [Int32: CallStack]
    ) -> LeakReport {
        let graph = ReferenceGraph(program)
        return report(on: graph, processID: processID, reader: reader, names: names)
    }

    package func report<Reader: ObjectReader>(
        on graph: ReferenceGraph, processID: Int32, reader: Reader, names: (Set<Int32>) -> [Int32: CallStack]
    ) -> LeakReport {
        var report = LeakReport(processID: processID)
        let blocks = graph.program.blocks
        report.live = Self.sum(blocks)
        if let isAsked {
            graph.reach(graph.unreached.filter { !isAsked(graph.blocks[Int($0)]) })
        }
        if !suppressions.isEmpty { report.suppressed = suppress(in: graph, names) }
        let search = LeakSearch(graph, reader: reader)
        report.leaked = search.leaked
        report.leaks = search.leaks(names)
        if graph.unreadableBlocks > 0 {
            let count = graph.unreadableBlocks
            report.warnings.append(
                "\(count) block\(count == 1 ? "" : "s") could not be read as a whole (protected memory?): what only "
                    + "\(count == 1 ? "it holds" : "they hold") is called leaked")
        }
        return report
    }

    /// The retain cycles that the report would name, each with what would free it or why not.
    package func plans<Reader: ObjectReader>(
        on program: FrozenProgram, reader: Reader, names: (Set<Int32>) -> [Int32: CallStack]
    ) -> [Result<CyclePlan, CycleRefusal>] {
        let graph = ReferenceGraph(program)
        if !suppressions.isEmpty { _ = suppress(in: graph, names) }
        var search = LeakSearch(graph, reader: reader)
        return search.plans(names)
    }

    private static func sum(_ blocks: some Sequence<HeapBlock>) -> Tally {
        blocks.reduce(into: .zero) { $0 += Tally(bytes: Int(clamping: $1.size), count: 1) }
    }

    /// Takes suppressed blocks as reachable, and so what they lead to: it belongs to them.
    private func suppress(in graph: ReferenceGraph, _ names: (Set<Int32>) -> [Int32: CallStack]) -> Tally {
        let candidates = graph.unreached
        var seen: Set<Int32> = []
        var last: Int32?
        for candidate in candidates where graph.blocks[Int(candidate)].stack != last {
            last = graph.blocks[Int(candidate)].stack
            seen.insert(graph.blocks[Int(candidate)].stack)
        }
        let named = names(seen)
        let stacks = Set(named.filter { suppressions.suppresses($0.value) }.keys)
        graph.reach(candidates.filter { stacks.contains(graph.blocks[Int($0)].stack) })
        return Self.sum(candidates.filter { graph.isReached($0) }.map { graph.blocks[Int($0)] })
    }
}
