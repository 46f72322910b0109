// Recording+Costs.swift: the ledger's rows as the costs of a snapshot's stacks.
import AllocationProfile

extension Recording {
    /// Costs about 0.2 microseconds a row.
    func addCosts(to snapshot: inout Snapshot, _ tree: StackTree, _ stackOfRow: [Int32]) {
        var reader = RowReader(merge.ledger, hasLifetimes: scale.ticksPerSecond > 0)
        // Rows by stack: after trimming, several may have become one.
        var first = [Int32](repeating: 0, count: snapshot.nodes.count)
        var following = [Int32](repeating: 0, count: stackOfRow.count)
        var stacks = 0
        for row in 1..<stackOfRow.count {
            let stack = Int(stackOfRow[row])
            if first[stack] == 0 { stacks += 1 }
            following[row] = first[stack]
            first[stack] = Int32(row)
        }
        snapshot.costs.reserveCapacity(stacks)
        for stack in 0..<first.count where first[stack] != 0 {
            let row = Int(first[stack])
            let node = reader.node(row)
            if tree.isCut(node) { snapshot.process.truncatedStacks += 1 }
            if tree.endedEarly(node) { snapshot.process.incompleteStacks += 1 }
            if following[row] == 0 {
                snapshot.costs.append(reader.cost(Int32(stack), row, following, &snapshot.histograms))
                continue
            }
            for owned in reader.rowsByOwner(from: row, &following) {
                snapshot.costs.append(reader.cost(Int32(stack), owned, following, &snapshot.histograms))
            }
        }
    }
}

/// Reads rows of a ledger that stands still. Nothing of it is counted by reference: there are hundreds of thousands of rows.
private struct RowReader {
    private let rows: Unsafe.Pages<Unsafe.Row>
    private let details: Unsafe.Pages<Unsafe.Detail>
    private let table: Unsafe.StackRows
    private let hasLifetimes: Bool
    /// Element 0 is malloc's blocks; then what a row's domain says. `number`: as the program gave it. `Ledger.domain(of:)` and
    /// `peakNumber` say the same, but to ask them for each row makes the end of a compiler's run a quarter longer.
    private let domains: [(number: Int, peak: UInt64)]
    private var sizes = FewBuckets(from: 0, StackCost.sizeBuckets)
    private var lifetimes = FewBuckets(from: StackCost.sizeBuckets, StackCost.lifetimeBuckets)

    init(_ ledger: Unsafe.Ledger, hasLifetimes: Bool) {
        (table, rows, details) = (ledger.rows, ledger.rows.rows, ledger.rows.details)
        self.hasLifetimes = hasLifetimes
        domains = [(0, ledger.totals.peakNumber)] + ledger.domains.map { (Int($0.number), $0.totals.peakNumber) }
    }

    func node(_ row: Int) -> UInt32 { rows[row].node }

    /// The sum of a list of rows.
    mutating func cost(_ stack: Int32, _ first: Int, _ following: [Int32], _ histograms: inout Histograms) -> StackCost {
        var cost = StackCost(stack: stack)
        let domain = domains[Int(rows[first].domain)]
        cost.domain = domain.number
        cost.thread = Int32(rows[first].thread)
        var row = first
        while row != 0 {
            let values = rows[row]
            let detail = details[row]
            cost.current += Tally(bytes: values.currentBytes, count: values.currentCount)
            cost.peak += values.peak(domain.peak)
            cost.total += Tally(bytes: values.totalBytes, count: values.totalCount)
            cost.temporary += Tally(bytes: detail.temporaryBytes, count: detail.temporaryCount)
            cost.growth += Tally(bytes: detail.growthBytes, count: detail.growthCount)
            row = Int(following[row])
        }
        (cost.sizes, cost.lifetimes) = numbers(rowsFrom: first, following, &histograms)
        return cost
    }

    /// Cuts the list of a stack's rows into lists of the same domain and thread, ascending; returns the first row of each.
    func rowsByOwner(from first: Int, _ following: inout [Int32]) -> [Int] {
        var list: [(domain: Int, thread: UInt16, row: Int)] = []
        var row = first
        while row != 0 {
            list.append((domains[Int(rows[row].domain)].number, rows[row].thread, row))
            row = Int(following[row])
        }
        list.sort(by: <)
        var firsts: [Int] = []
        for (index, one) in list.enumerated() {
            let isNew = index == 0 || list[index - 1].domain != one.domain || list[index - 1].thread != one.thread
            if isNew { firsts.append(one.row) } else { following[list[index - 1].row] = Int32(one.row) }
            following[one.row] = 0
        }
        return firsts
    }

    private mutating func numbers(
        rowsFrom first: Int, _ following: [Int32], _ histograms: inout Histograms
    ) -> (sizes: Int32, lifetimes: Int32) {
        guard following[first] == 0, let keys = details[first].histogramKeys(sizeBuckets: StackCost.sizeBuckets)
        else { return sum(rowsFrom: first, following, &histograms) }
        let sizes = sizes.number(keys.sizes, &histograms)
        return (sizes, hasLifetimes ? lifetimes.number(keys.lifetimes, &histograms) : Histograms.unknown)
    }

    private func sum(rowsFrom first: Int, _ following: [Int32], _ histograms: inout Histograms) -> (sizes: Int32, lifetimes: Int32) {
        var counts = [UInt64](repeating: 0, count: table.buckets)
        var row = first
        while row != 0 {
            table.addHistogram(row, to: &counts)
            row = Int(following[row])
        }
        let sizes = histograms.number(of: [UInt64](counts.prefix(StackCost.sizeBuckets)))
        return (sizes, hasLifetimes ? histograms.number(of: [UInt64](counts.dropFirst(StackCost.sizeBuckets))) : Histograms.unknown)
    }
}

/// Histograms of few buckets, which most stacks have, and share: found without being made.
private struct FewBuckets {
    private let first: Int
    private let buckets: Int
    private var index = NumberIndex()
    private var known: [(key: Unsafe.HistogramKey, number: Int32)] = []

    init(from first: Int, _ buckets: Int) { (self.first, self.buckets) = (first, buckets) }

    mutating func number(_ key: Unsafe.HistogramKey, _ histograms: inout Histograms) -> Int32 {
        let hash = key.hash
        if let same = index.find(hash, { known[Int($0)].key == key }) { return known[Int(same)].number }
        let number = histograms.add(key.counts(from: first, buckets))
        index.add(Int32(truncatingIfNeeded: known.count), hash)
        known.append((key, number))
        return number
    }
}
