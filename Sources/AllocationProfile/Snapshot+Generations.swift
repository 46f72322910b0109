// Snapshot+Generations.swift: what is alive by the time it was born in.

/// The time between two marks, and what is still alive of what was allocated in it.
///
/// Generation 0 begins with the recording, each `AllocationTracer.markGeneration` begins the next one.
public struct Generation: Hashable, Sendable {
    /// Its place in `Snapshot.generations`.
    public let index: Int
    /// The name that was given to the mark; empty when it has none.
    public let name: String
    /// Seconds from the start of the recording to the mark.
    public let start: Double
    /// The growth: blocks that were allocated in this generation and are alive.
    public let live: Tally
}

/// Live memory by the number of marks that it survived.
public struct Ages: Hashable, Sendable {
    /// Allocated since the last mark.
    public let new: Tally
    /// One mark was set since it was allocated.
    public let survivedOne: Tally
    /// Two or more marks were set since it was allocated: in a program that repeats something between marks, what
    /// accumulates here is not released.
    public let survivedMore: Tally
}

extension Snapshot {
    /// The generations, oldest first, each with its growth: as the list of Instruments' "Mark Generation".
    ///
    ///     for generation in snapshot.generations { print(generation.name, generation.live.bytes) }
    public var generations: [Generation] {
        var live = [Tally](repeating: .zero, count: marks.count)
        for cost in liveByGeneration where live.indices.contains(Int(cost.generation)) { live[Int(cost.generation)] += cost.live }
        return marks.indices.map { Generation(index: $0, name: marks[$0].name, start: marks[$0].start, live: live[$0]) }
    }

    /// Live memory by the number of marks that it survived.
    public var ages: Ages {
        var tallies = [Tally](repeating: .zero, count: 3)
        for cost in liveByGeneration { tallies[min(max(marks.count - 1 - Int(cost.generation), 0), 2)] += cost.live }
        return Ages(new: tallies[0], survivedOne: tallies[1], survivedMore: tallies[2])
    }

    /// Only the blocks that are alive and were born in some generations: where their growth comes from.
    ///
    ///     let growth = snapshot.born(in: 1..<3).statistics(groupedBy: .line)
    ///
    /// Current and total figures are those of these blocks; peak, temporary figures and the time line are not known and empty.
    /// - Parameter generations: indices; those that do not exist have no blocks.
    public func born(in generations: Range<Int>) -> Snapshot {
        var result = self
        result.timeline = []
        result.liveByGeneration = liveByGeneration.filter { generations.contains(Int($0.generation)) }
        result.costs = []
        // Ascending by stack, domain and thread, as costs are.
        for alive in result.liveByGeneration {
            var cost = StackCost(stack: alive.stack)
            (cost.domain, cost.thread, cost.current, cost.total) = (alive.domain, alive.thread, alive.live, alive.live)
            let last = result.costs.count - 1
            if last >= 0, result.costs[last].isSameGroup(as: cost) {
                result.costs[last].current += alive.live
                result.costs[last].total += alive.live
            } else {
                result.costs.append(cost)
            }
        }
        result.sumUpProcess()
        return result
    }

    /// As `born(in: index..<index + 1)`.
    public func born(in generation: Int) -> Snapshot {
        born(in: generation == .max ? generation..<generation : generation..<generation + 1)
    }
}
