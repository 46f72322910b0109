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
            var next = 0
            for cost in snapshot.costs {
                let owner = (cost.stack, cost.thread)
                if cost.domain == 0 {
                    while next < snapshot.objects.count, snapshot.objects[next].owner < owner { next += 1 }
                }
                let first = next
                if cost.domain == 0 {
                    while next < snapshot.objects.count, snapshot.objects[next].owner == owner { next += 1 }
                }
                guard cost[metric] != .zero else { continue }
                let occurrence = snapshot.hasNode(cost.stack) ? Int(occurrences[Int(cost.stack)]) : FrameTable.unknown
                let site = sites[Int(table.keys[occurrence])]
                guard first < next else {
                    add(Frame(allocatingIn: site, domain: cost.domain), cost[metric], isNew: index < newCount)
                    continue
                }
                for (types, amount) in snapshot.amountsByType(cost, metric, snapshot.objects[first..<next]) {
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

extension ObjectCost {
    fileprivate var owner: (Int32, Int32) { (stack, thread) }
}

extension Frame {
    /// Stands for memory that is no object.
    fileprivate init(allocatingIn site: Frame, domain: Int) {
        self.init(function: site.function, module: site.function == nil ? site.module : nil)
        type = (domain == 0 ? "malloc in " : "domain \(domain) in ") + Frame.allocator(site)
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
