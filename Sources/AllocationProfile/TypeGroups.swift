// TypeGroups.swift: costs summed up by the type of the allocated objects.

/// The memory of each type in several snapshots. What is no object is grouped under the function that allocated it.
struct TypeGroups {
    private(set) var now: [Tally] = []
    private(set) var then: [Tally] = []
    private(set) var frames: [Frame] = []
    private var numbers: [Frame: Int] = [:]

    /// - Parameter newCount: so many of the snapshots are new, the others old.
    init(_ snapshots: [Snapshot], newCount: Int, measuring metric: Metric, attribution: Attribution) {
        let table = FrameTable(snapshots, groupedBy: .function)
        let sites = table.frames(snapshots, charged: [Bool](repeating: true, count: table.keys.count))
        for (index, snapshot) in snapshots.enumerated() {
            let occurrences = snapshot.callSites(table, index, attribution)
            var (cost, next) = (0, 0)
            while cost < snapshot.costs.count {
                // All threads' costs of one stack together; ranges of domains are no objects.
                let stack = snapshot.costs[cost].stack
                var (blocks, ranges) = (Tally.zero, Tally.zero)
                while cost < snapshot.costs.count, snapshot.costs[cost].stack == stack {
                    if snapshot.costs[cost].domain == 0 {
                        blocks += snapshot.costs[cost][metric]
                    } else {
                        ranges += snapshot.costs[cost][metric]
                    }
                    cost += 1
                }
                while next < snapshot.objects.count, snapshot.objects[next].stack < stack { next += 1 }
                let first = next
                while next < snapshot.objects.count, snapshot.objects[next].stack == stack { next += 1 }
                let occurrence = snapshot.hasNode(stack) ? Int(occurrences[Int(stack)]) : FrameTable.unknown
                let site = sites[Int(table.keys[occurrence])]
                if first == next { ranges += blocks }
                if ranges != .zero { add(Frame(allocatingIn: site), ranges, isNew: index < newCount) }
                guard first < next, blocks != .zero else { continue }
                for (types, amount) in snapshot.amountsByType(blocks, metric, snapshot.objects[first..<next]) {
                    let names = types.map { snapshot.types.indices.contains(Int($0)) ? snapshot.types[Int($0)] : Snapshot.unknownType }
                    add(Frame(typesNamed: names, allocatedIn: site), amount, isNew: index < newCount)
                }
            }
        }
    }

    private mutating func add(_ frame: Frame, _ amount: Tally, isNew: Bool) {
        let number = numbers[frame] ?? frames.count
        if number == frames.count {
            numbers[frame] = number
            frames.append(frame)
            now.append(.zero)
            then.append(.zero)
        }
        if isNew { now[number] += amount } else { then[number] += amount }
    }
}

extension Frame {
    /// Stands for memory that is no object.
    fileprivate init(allocatingIn site: Frame) {
        self.init(function: site.function, module: site.function == nil ? site.module : nil)
        type = "malloc in " + Frame.allocator(site)
    }

    /// Stands for objects of one of several types.
    fileprivate init(typesNamed names: [String], allocatedIn site: Frame) {
        let known = Set(names).subtracting([Snapshot.unknownType]).sorted()
        self.init()
        type = known.isEmpty ? "object of unknown type in " + Frame.allocator(site) : known.joined(separator: " or ")
    }

    private static func allocator(_ site: Frame) -> String {
        if let function = site.function, !function.isEmpty { return function }
        return site.description
    }
}
