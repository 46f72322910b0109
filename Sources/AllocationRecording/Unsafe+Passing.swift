// Unsafe+Passing.swift: blocks that die before anybody can see them: they change nothing but sums.
import CRecording

extension Unsafe.Ledger {
    /// What blocks of a stack that are freed at once have in common when they are counted together: buckets of their histograms.
    struct PassedKind: Equatable, BitwiseCopyable {
        var size: Int32
        /// -1: the clock knows no durations.
        var lifetime: Int32
    }

    @inline(__always)
    func kind(size: UInt64, lifetime units: UInt64) -> PassedKind {
        // Blocks that are freed at once often have both events at one time.
        let lifetime = microseconds == 0 ? -1 : units == 0 ? 0 : lifetimeBucket(units)
        return PassedKind(size: Int32(truncatingIfNeeded: sizeBucket(size)), lifetime: Int32(truncatingIfNeeded: lifetime))
    }

    /// The time between two clocks in units of births.
    @inline(__always)
    func units(from clock: UInt64, to later: UInt64) -> UInt64 { clock == later ? 0 : birth(later) &- birth(clock) }

    /// A block that its thread frees before it does anything else, and that may pass: most often it changes nothing but totals, and
    /// need not become a live block for that. False: it must, because somebody may see it alive, and nothing was done.
    @inline(__always)
    mutating func pass(address: UInt64, size: UInt64, row: Int, from clock: UInt64, to freed: UInt64) -> Bool {
        if row == 0 || birthGeneration == window.generation || !Self.passes(rows.rows.base + row) { return false }
        let block = Unsafe.Block(
            address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: birthGeneration, birth: birth(clock))
        let count = sampling.weight(block)
        passed(row, kind(size: size, lifetime: units(from: clock, to: freed)), count: count, bytes: block.size &* count)
        return true
    }

    /// Whether nobody would see a block alive while live bytes are up to `size` more than now.
    @inline(__always)
    mutating func mayPass(_ address: UInt64, _ size: UInt64) -> Bool {
        Int(truncatingIfNeeded: size) <= room && isAbsent(address)
    }

    /// Whether no block is alive at an address.
    @inline(__always)
    mutating func isAbsent(_ address: UInt64) -> Bool {
        live.young.isKnownDead(address, live.young.place(address)) ? address != 0 : isAbsentForSure(address)
    }

    /// What is found out is noted: loops allocate at the same few addresses.
    @inline(never)
    private mutating func isAbsentForSure(_ address: UInt64) -> Bool {
        if address == 0 || live.mayContain(address) { return false }
        live.young.noteDead(address, live.young.place(address))
        return true
    }

    /// How many more live bytes are no peak.
    @inline(__always)
    var room: Int { peakLimit &- totals.currentBytes }

    /// No block stands for others.
    var isWhole: Bool { sampling.isWhole }

    /// Whether further blocks of a row of which one was passed may be counted together: none of them is looked at for its type, or
    /// stands for others.
    @inline(__always)
    func mayRepeat(_ row: Int) -> Bool { isWhole && rows.rows.base[row].untilProbe == 0 }

    @inline(__always)
    mutating func passed(_ row: Int, _ kind: PassedKind, count: Int, bytes: Int) {
        let pointer = rows.rows.base + row
        pointer.pointee.totalBytes &+= bytes
        pointer.pointee.totalCount &+= count
        rows.tick(row, bucket: Int(kind.size), count: count)
        if kind.lifetime >= 0 { rows.tick(row, bucket: sizeBuckets &+ Int(kind.lifetime), count: count) }
        countPassed(count, bytes)
        countTemporary(row, bytes, count)
    }

    /// Blocks that were allocated and freed, and never charged.
    @inline(__always)
    mutating func countPassed(_ count: Int, _ bytes: Int) {
        totals.allocations &+= count
        totals.bytesAllocated &+= bytes
        totals.frees &+= count
        totals.bytesFreed &+= bytes
    }

    /// Such a block is not alive any more, and counts among what its stack had.
    @inline(__always)
    mutating func ended(_ block: Unsafe.Block, at clock: UInt64) {
        totals.currentBytes &-= block.size
        liveCount &-= 1
        let pointer = rows.rows.base + block.row
        pointer.pointee.totalBytes &+= block.size
        pointer.pointee.totalCount &+= 1
        let size = UInt64(truncatingIfNeeded: block.size)
        if microseconds != 0 {
            rows.tick(block.row, size: sizeBucket(size), lifetime: lifetimeBucket(birth(clock) &- block.birth))
        } else {
            tickSize(block.row, size)
        }
    }

    @inline(__always)
    mutating func countTemporary(_ row: Int, _ bytes: Int, _ count: Int) {
        let detail = rows.details.base + row
        detail.pointee.temporaryBytes &+= bytes
        detail.pointee.temporaryCount &+= count
        totals.temporaryBytes &+= bytes
        totals.temporaryCount &+= count
    }
}
