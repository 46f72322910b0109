// Unsafe+Domains.swift: ranges that the program tracks by itself, in domains apart from malloc's blocks.
import AllocationProfile
import CRecording

extension Unsafe {
    /// The ranges of one domain: live ones by address, and figures of their own.
    struct Domain {
        let number: UInt32
        fileprivate(set) var live: LiveTable
        /// Of this domain alone; its peak is its own.
        fileprivate(set) var totals = Totals()
        /// The row of a stack (high half) on a thread (low half).
        fileprivate var rows: [UInt64: UInt32] = [:]

        fileprivate init?(number: UInt32, seed: UInt64) {
            guard let live = LiveTable(seed: seed) else { return nil }
            self.number = number
            self.live = live
        }
    }
}

extension Unsafe.Ledger {
    /// Domains are few: one for each kind of pool. What comes in further ones is not tracked.
    static let mostDomains = 1024

    /// The program uses a range as a block of its own. A range that was tracked at the address is replaced.
    /// False: the event is impossible, or memory is short.
    mutating func track(domain: UInt64, address: UInt64, size: UInt64, stack: UInt32, clock: UInt64) -> Bool {
        guard address != 0 else { return false }
        guard let index = index(ofDomain: domain, orNew: true) else { return true }
        var row = Int(domains[index].rows[key(stack)] ?? 0)
        if row == 0 {
            row = addRow(stack, domain: index)
            if row == 0 { return false }
            domains[index].rows[key(stack)] = UInt32(truncatingIfNeeded: row)
        }
        let block = Unsafe.Block(
            address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: generation, birth: birth(clock))
        var old: Unsafe.Block?
        guard domains[index].live.insert(block, replacing: &old) else { return false }
        if let old { remove(old, from: index, clock: clock) }
        let bytes = Int(size)
        let pointer = rows.rows.base + row
        pointer.pointee.savePeak(domains[index].totals.peakNumber)
        pointer.pointee.currentBytes &+= bytes
        pointer.pointee.currentCount &+= 1
        pointer.pointee.totalBytes &+= bytes
        pointer.pointee.totalCount &+= 1
        tickSize(row, size)
        addTracked(Tally(bytes: bytes, count: 1), clock: clock)
        let count = domains[index].live.count
        domains[index].totals.allocate(bytes, count: count, clock: clock)
        return true
    }

    /// The program does not use a range any more. What is not tracked is not an error.
    mutating func untrack(domain: UInt64, address: UInt64, clock: UInt64) {
        guard let index = index(ofDomain: domain, orNew: false), let block = domains[index].live.remove(address) else { return }
        remove(block, from: index, clock: clock)
    }

    private mutating func remove(_ block: Unsafe.Block, from index: Int, clock: UInt64) {
        let pointer = rows.rows.base + block.row
        pointer.pointee.savePeak(domains[index].totals.peakNumber)
        pointer.pointee.currentBytes &-= block.size
        pointer.pointee.currentCount &-= 1
        tickLifetime(block, clock: clock)
        domains[index].totals.free(block.size)
        addTracked(Tally(bytes: -block.size, count: -1), clock: clock)
    }

    mutating func resetDomainPeaks(clock: UInt64) {
        for index in domains.indices { domains[index].totals.resetPeak(count: domains[index].live.count, clock: clock) }
    }

    /// Tracing ended: all ranges are forgotten, totals and peaks stay.
    mutating func forgetDomains() {
        for index in domains.indices {
            domains[index].totals.forgotten &+= domains[index].live.count
            domains[index].totals.currentBytes = 0
            domains[index].live.free()
            domains[index].live = Unsafe.LiveTable(seed: seed) ?? domains[index].live
        }
    }

    mutating func removeDomains() {
        for domain in domains { domain.live.free() }
        domains = []
    }

    /// The number of the peak of a row's domain.
    func peakNumber(_ row: Unsafe.Row) -> UInt64 {
        row.domain == 0 ? totals.peakNumber : domains[Int(row.domain) - 1].totals.peakNumber
    }

    /// The domain's number as the program gave it; 0: malloc's blocks.
    func domain(of row: Unsafe.Row) -> Int { row.domain == 0 ? 0 : Int(domains[Int(row.domain) - 1].number) }

    private func key(_ stack: UInt32) -> UInt64 { UInt64(stack) << 32 | UInt64(rows.selected) }

    private mutating func index(ofDomain number: UInt64, orNew: Bool) -> Int? {
        guard number > 0, let number = UInt32(exactly: number) else { return nil }
        if let index = domains.firstIndex(where: { $0.number == number }) { return index }
        guard orNew, domains.count < Self.mostDomains, let domain = Unsafe.Domain(number: number, seed: seed) else {
            if orNew { untrackedRanges &+= 1 }
            return nil
        }
        domains.append(domain)
        return domains.count - 1
    }
}
