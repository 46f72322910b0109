// CostTables.swift: what stacks allocated, as rows of three tables.
import AllocationProfile

/// Fills `place`, `figures` and `cost`.
///
/// Of 260,000 stacks of a compiler, 45,000 differ in their figures, and they are charged to 2,500 places. Rows that say all of this
/// for each stack are most of a file, and of the time to write and to read it.
struct CostTables {
    private let place: Insertion
    private let figures: Insertion
    private let cost: Insertion

    init(_ database: Database) throws(StoreError) {
        place = try Insertion(database, Schema.place)
        figures = try Insertion(database, Schema.figures)
        cost = try Insertion(database, Schema.cost)
    }

    /// A process, and the numbers of its first rows in the tables that are pointed to.
    struct Origin {
        var process: Int
        var location: Int
        var frame: Int
        var node: Int
        var thread: Int
    }

    /// Which row of `figures` each cost of a snapshot has.
    typealias FigureRows = [Int]

    /// Writes what costs amount to, which does not depend on names. Time: about 0.2 microseconds a cost.
    func addFigures(_ snapshot: Snapshot) throws(StoreError) -> FigureRows {
        let costs = snapshot.costs
        let equals = Equals(count: costs.count, hash: { costs[$0].figuresHash }, areEqual: { costs[$0].hasFigures(of: costs[$1]) })
        let histograms = snapshot.histograms.all.map(Histogram.encoded)
        let start = figures.count
        try figures.expect(equals.firsts.count)
        for first in equals.firsts { try add(costs[Int(first)], histograms) }
        return equals.numbers.map { start + Int($0) }
    }

    /// Writes who is charged with them. Time: about 0.4 microseconds a cost.
    func add(_ snapshot: Snapshot, _ figureRows: FigureRows, _ origin: Origin) throws(StoreError) {
        let costs = snapshot.costs
        let places = Self.places(of: snapshot)
        let equals = Equals(count: costs.count, hash: { places[$0].hash }, areEqual: { places[$0] == places[$1] })
        let start = place.count
        for first in equals.firsts { try add(places[Int(first)], origin) }
        try cost.expect(costs.count)
        for index in costs.indices {
            let row = cost.next()
            row.set(1, origin.node + Int(costs[index].stack))
            row.set(2, start + Int(equals.numbers[index]))
            row.set(3, figureRows[index])
            try row.insert()
        }
    }

    private static func places(of snapshot: Snapshot) -> [Place] {
        let sites = CallSites(snapshot)
        return snapshot.costs.map { cost in
            let stack = Int(cost.stack)
            return Place(
                site: sites[cost.stack], location: snapshot.nodes.indices.contains(stack) ? snapshot.nodes[stack].location : -1,
                thread: cost.thread, domain: cost.domain)
        }
    }

    private func add(_ place: Place, _ origin: Origin) throws(StoreError) {
        let row = self.place.next()
        row.set(1, origin.process)
        if place.site >= 0 { row.set(2, origin.frame + Int(place.site)) } else { row.setNull(2) }
        if place.location >= 0 { row.set(3, origin.location + Int(place.location)) } else { row.setNull(3) }
        row.set(4, place.domain)
        row.set(5, origin.thread + Int(place.thread))
        try row.insert()
    }

    private func add(_ cost: StackCost, _ histograms: [[UInt8]]) throws(StoreError) {
        let row = figures.next()
        var column: Int32 = 1
        for tally in [cost.current, cost.peak, cost.total, cost.temporary, cost.growth] {
            row.set(column, tally.bytes)
            row.set(column + 1, tally.count)
            column += 2
        }
        for number in [cost.sizes, cost.lifetimes] {
            if number != Histograms.unknown, histograms.indices.contains(Int(number)) {
                row.set(column, histograms[Int(number)])
            } else {
                row.setNull(column)
            }
            column += 1
        }
        try row.insert()
    }
}

/// Where stacks are charged; numbers are those of the snapshot, -1: none.
private struct Place: Equatable {
    var site: Int32
    var location: Int32
    var thread: Int32
    var domain: Int

    var hash: UInt64 {
        let sum = UInt64(UInt32(bitPattern: site)) << 32 | UInt64(UInt32(bitPattern: location))
        return NumberIndex.hash(sum ^ UInt64(truncatingIfNeeded: domain) << 40 ^ UInt64(UInt32(bitPattern: thread)) << 20)
    }
}

/// Equal things under one number, counted from 0 in the order of their first ones.
private struct Equals {
    /// By index of a thing.
    var numbers: [Int32] = []
    /// By number: the index of the first such thing.
    var firsts: [Int32] = []

    init(count: Int, hash: (Int) -> UInt64, areEqual: (Int, Int) -> Bool) {
        numbers.reserveCapacity(count)
        var index = NumberIndex()
        for thing in 0..<count {
            let hash = hash(thing)
            if let known = index.find(hash, { areEqual(Int(firsts[Int($0)]), thing) }) {
                numbers.append(known)
                continue
            }
            let number = Int32(truncatingIfNeeded: firsts.count)
            index.add(number, hash)
            firsts.append(Int32(truncatingIfNeeded: thing))
            numbers.append(number)
        }
    }
}

extension StackCost {
    /// The two differ in stack, domain and thread at most.
    fileprivate func hasFigures(of other: StackCost) -> Bool {
        current == other.current && peak == other.peak && total == other.total && temporary == other.temporary
            && growth == other.growth && sizes == other.sizes && lifetimes == other.lifetimes
    }

    fileprivate var figuresHash: UInt64 {
        var (sum, factor) = (UInt64(0), UInt64(0x9e37_79b9_7f4a_7c15))
        func add(_ value: UInt64) {
            sum &+= (value ^ value >> 32) &* factor
            factor &+= 0x3c6e_f372_fe94_f82a
        }
        func add(_ tally: Tally) {
            add(UInt64(bitPattern: Int64(tally.bytes)))
            add(UInt64(bitPattern: Int64(tally.count)))
        }
        add(current)
        add(peak)
        add(total)
        add(temporary)
        add(growth)
        add(UInt64(UInt32(bitPattern: sizes)) << 32 | UInt64(UInt32(bitPattern: lifetimes)))
        return NumberIndex.hash(sum)
    }
}
