// Unsafe+Ledger.swift: what each event does to the live blocks, the stacks and the totals.
//
// Peak, exactly, in one pass: when live bytes pass their maximum, the peak number goes up. A row whose peak number is
// old has not changed since that moment, so it notes its current figures as its figures at the peak before it changes.
import AllocationProfile
import CRecording

extension Unsafe {
    /// What a ring allocated last: a free of just this block makes it a temporary one.
    struct LastBlock: BitwiseCopyable {
        var address: UInt64 = 0
        var birth: UInt64 = 0
    }

    /// A block between its reallocation's release and result.
    struct Release: BitwiseCopyable {
        var ring: Int
        var address: UInt64
        var block: Block
        /// False: the block is older than the recording.
        var isKnown: Bool
    }

    struct Ledger {
        private(set) var live: LiveTable
        private(set) var rows: StackRows
        /// Of malloc's blocks.
        private(set) var totals = Totals()
        /// Live blocks; in a sample more than the table holds.
        private(set) var liveCount = 0
        var domains: [Domain] = []
        private(set) var threads: Threads
        /// Live ranges of all domains, and the highest sum of malloc's blocks and them.
        private(set) var tracked = Tally.zero
        private(set) var tracedPeak = Tally.zero
        /// Current bytes above this are a peak of malloc's blocks, or of these and the domains' together.
        private var peakLimit = 0
        /// Ranges of domains for which there was no room.
        var untrackedRanges = 0
        var generation: UInt64 = 0
        /// The generation of the next block: the window's for the thread that it watches.
        var birthGeneration: UInt64 = 0
        var window = Window()
        var probes: ObjectProbes
        private var releases: Pages<Release>
        private(set) var releaseCount = 0
        private let region: Region
        let seed: UInt64
        private var knownNodes = 0

        /// Births are kept in units of 2^shift ticks since the start.
        private let start: UInt64
        private let shift: UInt64
        private let sampling: Sampling
        /// Asked for here, because to ask another module is a call, for each event.
        private let sizeBuckets = StackCost.sizeBuckets
        private let lifetimeBuckets = StackCost.lifetimeBuckets
        /// Microseconds per unit, times 2^64. 0: the clock knows no durations.
        private var microseconds: UInt64 = 0

        /// A hostile ring 0 can begin any number of reallocations; real threads begin one at a time.
        private static let mostReleases = 4096

        init?(region: Region, seed: UInt64) {
            guard let live = LiveTable(seed: seed), let rows = StackRows(), let releases = Pages<Release>(capacity: 64),
                let threads = Threads(), let probes = ObjectProbes()
            else { return nil }
            self.threads = threads
            self.probes = probes
            self.seed = seed
            self.live = live
            self.rows = rows
            self.releases = releases
            self.region = region
            start = region.header.pointee.start_clock
            shift = region.header.pointee.clock == UInt32(TM_CLOCK_TSC.rawValue) ? 6 : 0
            sampling = Sampling(interval: region.header.pointee.sample_interval)
        }

        func free() {
            live.free()
            rows.free()
            releases.free()
            window.free()
            threads.free()
            for domain in domains { domain.live.free() }
            probes.free()
        }

        var byteCount: Int { domains.reduce(live.byteCount + rows.byteCount + releases.byteCount) { $0 + $1.live.byteCount } }

        mutating func setRate(ticksPerSecond: Double) {
            let units = Double(UInt64(1) << shift) * 1e6 / ticksPerSecond
            microseconds = units > 0 && units < 1 ? UInt64(units * 0x1p64) : 0
        }

        // MARK: Events. False: the event is impossible, or memory is short.

        @inline(__always)
        mutating func allocate(address: UInt64, size: UInt64, stack: UInt32, clock: UInt64, last: inout LastBlock) -> Bool {
            var row = rows.find(stack)
            if row == 0 {
                row = addRow(stack)
                if row == 0 { return false }
            }
            guard address != 0, live.reserve() else { return false }
            let birth = birth(clock)
            let block = Block(address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: birthGeneration, birth: birth)
            if let old = live.insert(block) { replace(old) }
            let count = sampling.weight(block)
            let bytes = Int(truncatingIfNeeded: size) &* count
            add(row, bytes, count)
            let pointer = rows.rows.base + row
            pointer.pointee.totalBytes &+= bytes
            pointer.pointee.totalCount &+= count
            tickSize(row, size, count: count)
            if pointer.pointee.untilProbe != 0 { probe(pointer, address) }
            totals.allocations &+= count
            totals.bytesAllocated &+= bytes
            if birthGeneration == window.generation { window.allocate(stack: stack, size: bytes) }
            if totals.currentBytes > peakLimit { notePeak(clock: clock) }
            last = LastBlock(address: address, birth: birth)
            return true
        }

        @inline(__always)
        mutating func free(address: UInt64, clock: UInt64, last: inout LastBlock) {
            guard let block = live.remove(address) else {
                totals.unknownFrees &+= 1
                return
            }
            subtract(block)
            countFree(block, clock: clock)
            if last.address == address && last.birth == block.birth {
                let count = sampling.weight(block)
                countTemporary(block.row, block.size &* count, count)
                last.address = 0
            }
        }

        /// What blocks of a stack that are freed at once have in common when they are counted together: buckets of their histograms.
        struct PassedKind: Equatable, BitwiseCopyable {
            var size: Int32
            /// -1: the clock knows no durations.
            var lifetime: Int32
        }

        @inline(__always)
        func kind(size: UInt64, from birth: UInt64, to clock: UInt64) -> PassedKind {
            // Blocks that are freed at once often have both events at one time.
            let lifetime = microseconds == 0 ? -1 : birth == clock ? 0 : lifetimeBucket(self.birth(birth), clock)
            return PassedKind(size: Int32(truncatingIfNeeded: sizeBucket(size)), lifetime: Int32(truncatingIfNeeded: lifetime))
        }

        /// A block that its thread frees before it does anything else, and that may pass: most often it changes nothing but totals, and
        /// need not become a live block for that. False: it must, because somebody may see it alive, and nothing was done.
        @inline(__always)
        mutating func pass(address: UInt64, size: UInt64, row: Int, from clock: UInt64, to freed: UInt64) -> Bool {
            if row == 0 || birthGeneration == window.generation { return false }
            let pointer = rows.rows.base + row
            if pointer.pointee.untilProbe != 0 {
                if (pointer.pointee.untilProbe &- 1) & ~Row.sighted == 0 { return false }
                pointer.pointee.untilProbe &-= 1
            }
            let block = Block(
                address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: birthGeneration, birth: birth(clock))
            let count = sampling.weight(block)
            passed(row, kind(size: size, from: clock, to: freed), count: count, bytes: block.size &* count)
            return true
        }

        /// Whether nobody would see a block alive while live bytes are up to `size` more than now.
        @inline(__always)
        func mayPass(_ address: UInt64, _ size: UInt64) -> Bool {
            Int(truncatingIfNeeded: size) <= room && isAbsent(address)
        }

        /// Whether no block is alive at an address.
        @inline(__always)
        func isAbsent(_ address: UInt64) -> Bool { address != 0 && !live.mayContain(address) }

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
            totals.allocations &+= count
            totals.bytesAllocated &+= bytes
            totals.frees &+= count
            totals.bytesFreed &+= bytes
            countTemporary(row, bytes, count)
        }

        @inline(__always)
        private mutating func countTemporary(_ row: Int, _ bytes: Int, _ count: Int) {
            let detail = rows.details.base + row
            detail.pointee.temporaryBytes &+= bytes
            detail.pointee.temporaryCount &+= count
            totals.temporaryBytes &+= bytes
            totals.temporaryCount &+= count
        }

        /// In a moment of the tracer's own, which may free blocks of its own, too.
        mutating func freeIfKnown(address: UInt64, clock: UInt64) {
            guard let block = live.remove(address) else { return }
            subtract(block)
            countFree(block, clock: clock)
        }

        mutating func release(address: UInt64, ring: Int, clock: UInt64) -> Bool {
            // Only ring 0 serves several threads, which may all be in a realloc.
            if ring != 0 || releaseCount >= Self.mostReleases {
                if let older = takeRelease(ring: ring) { settle(older, clock: clock) }
            }
            guard releases.grow(to: releaseCount + 1) else { return false }
            let block = live.remove(address)
            if let block { subtract(block) }
            releases[releaseCount] = Release(ring: ring, address: address, block: block ?? .empty, isKnown: block != nil)
            releaseCount += 1
            return true
        }

        mutating func result(
            address: UInt64, size: UInt64, stack: UInt32, ring: Int, clock: UInt64, last: inout LastBlock
        ) -> Bool {
            let release = takeRelease(ring: ring)
            if let release { settle(release, clock: clock) }
            if address == 0 { return true }
            guard allocate(address: address, size: size, stack: stack, clock: clock, last: &last) else { return false }
            if let release, release.isKnown, Int(size) > release.block.size {
                let detail = rows.details.base + rows.find(stack)
                detail.pointee.growthBytes &+= Int(size) &- release.block.size
                detail.pointee.growthCount &+= 1
            }
            return true
        }

        /// The realloc failed: the block lives on as what it was.
        mutating func fail(address: UInt64, ring: Int) -> Bool {
            guard let release = takeRelease(ring: ring, address: address) else { return true }
            return restore(release)
        }

        /// The blocks that threads are reallocating; nil: one that is not known.
        func visitReleases(_ body: (Block?) -> Void) {
            for index in 0..<releaseCount { body(releases[index].isKnown ? releases[index].block : nil) }
        }

        /// A ring ended: its thread will not finish the realloc that it had begun.
        mutating func dropReleases(ring: Int) {
            while let release = takeRelease(ring: ring) { _ = restore(release) }
        }

        private mutating func restore(_ release: Release) -> Bool {
            guard release.isKnown else { return true }
            if live.contains(release.address) {
                // Another block has the address: the realloc did let go of this one.
                totals.frees &+= sampling.weight(release.block)
                totals.bytesFreed &+= release.block.size &* sampling.weight(release.block)
                return true
            }
            guard live.reserve() else { return false }
            _ = live.insert(release.block)
            let count = sampling.weight(release.block)
            add(release.block.row, release.block.size &* count, count)
            if release.block.generation == window.generation { window.live(size: release.block.size) }
            return true
        }

        // MARK: Controls

        mutating func resetPeak(clock: UInt64) {
            totals.resetPeak(count: liveCount, clock: clock)
            resetDomainPeaks(clock: clock)
            tracedPeak = Tally(bytes: totals.currentBytes, count: liveCount) + tracked
            peakLimit = totals.currentBytes
        }

        @inline(__always)
        private mutating func notePeak(clock: UInt64) {
            if totals.currentBytes > totals.peakBytes { totals.resetPeak(count: liveCount, clock: clock) }
            if totals.currentBytes &+ tracked.bytes > tracedPeak.bytes {
                tracedPeak = Tally(bytes: totals.currentBytes &+ tracked.bytes, count: liveCount &+ tracked.count)
            }
            peakLimit = min(totals.peakBytes, tracedPeak.bytes &- tracked.bytes)
        }

        /// Ranges of a domain came or went.
        mutating func addTracked(_ change: Tally, clock: UInt64) {
            tracked += change
            notePeak(clock: clock)
        }

        /// Forgets everything that happened so far; generations go on.
        mutating func clear() -> Bool {
            let (events, number) = (totals.events, totals.peakNumber)
            releaseCount = 0
            window.forget()
            removeDomains()
            threads.removeAll()
            guard live.removeAll(), rows.removeAll() else { return false }
            (tracked, tracedPeak, peakLimit, untrackedRanges) = (.zero, .zero, 0, 0)
            liveCount = 0
            totals = Totals()
            totals.events = events
            totals.peakNumber = number &+ 1
            return true
        }

        /// Tracing ended: what is alive will be freed unseen. Totals and peak stay.
        mutating func forget() -> Bool {
            totals.forgotten &+= liveCount &+ knownReleases
            releaseCount = 0
            totals.currentBytes = 0
            liveCount = 0
            window.forget()
            forgetDomains()
            tracked = .zero
            peakLimit = totals.peakBytes
            for row in 1..<rows.count {
                let pointer = rows.rows.base + row
                pointer.pointee.savePeak(peakNumber(pointer.pointee))
                pointer.pointee.currentBytes = 0
                pointer.pointee.currentCount = 0
            }
            return live.removeAll()
        }

        mutating func countEvents(_ count: Int) { totals.events &+= count }

        /// Blocks that are in the middle of a reallocation: not in the live table, and not freed.
        var knownReleases: Int {
            (0..<releaseCount).reduce(0) { $0 &+ (releases[$1].isKnown ? sampling.weight(releases[$1].block) : 0) }
        }

        /// What a live block counts for: one, or more where it stands for others that were not sampled.
        @inline(__always)
        func count(of block: Block) -> Int { sampling.weight(block) }

        /// The recording's clock at a block's birth, to the unit that births are kept in.
        func clock(ofBirth birth: UInt64) -> UInt64 { start &+ birth << shift }

        // MARK: Parts

        /// The events that follow are of this thread. Returns its number.
        mutating func select(thread id: UInt32) -> Int { threads.number(of: id) }

        @inline(__always)
        mutating func select(number: Int) { rows.select(thread: number) }

        /// A thread has ended: another one may get its id.
        mutating func end(thread id: UInt32) { threads.end(id) }

        @inline(__always)
        private mutating func add(_ row: Int, _ bytes: Int, _ count: Int) {
            let pointer = rows.rows.base + row
            pointer.pointee.savePeak(totals.peakNumber)
            pointer.pointee.currentBytes &+= bytes
            pointer.pointee.currentCount &+= count
            totals.currentBytes &+= bytes
            liveCount &+= count
        }

        @inline(__always)
        private mutating func subtract(_ block: Block) {
            let pointer = rows.rows.base + block.row
            pointer.pointee.savePeak(totals.peakNumber)
            let count = sampling.weight(block)
            pointer.pointee.currentBytes &-= block.size &* count
            pointer.pointee.currentCount &-= count
            totals.currentBytes &-= block.size &* count
            liveCount &-= count
            if block.generation == window.generation { window.free(size: block.size) }
        }

        @inline(__always)
        private mutating func countFree(_ block: Block, clock: UInt64) {
            let count = sampling.weight(block)
            totals.frees &+= count
            totals.bytesFreed &+= block.size &* count
            tickLifetime(block, clock: clock, count: count)
        }

        @inline(__always)
        mutating func tickLifetime(_ block: Block, clock: UInt64, count: Int = 1) {
            if microseconds != 0 { rows.tick(block.row, bucket: sizeBuckets &+ lifetimeBucket(block.birth, clock), count: count) }
        }

        @inline(__always)
        mutating func tickSize(_ row: Int, _ size: UInt64, count: Int = 1) {
            rows.tick(row, bucket: sizeBucket(size), count: count)
        }

        /// A block whose free was not seen: another one has its address now.
        private mutating func replace(_ old: Block) {
            subtract(old)
            totals.frees &+= sampling.weight(old)
            totals.bytesFreed &+= old.size &* sampling.weight(old)
            totals.unknownFrees &+= 1
        }

        private mutating func settle(_ release: Release, clock: UInt64) {
            if release.isKnown {
                countFree(release.block, clock: clock)
            } else {
                totals.unknownFrees &+= 1
            }
        }

        /// The release that a ring began last, of `address` if given.
        private mutating func takeRelease(ring: Int, address: UInt64? = nil) -> Release? {
            var index = releaseCount
            while index > 0 {
                index &-= 1
                let release = releases[index]
                if release.ring == ring && (address == nil || release.address == address) {
                    releaseCount -= 1
                    releases[index] = releases[releaseCount]
                    return release
                }
            }
            return nil
        }

        @inline(never)
        private mutating func addRow(_ stack: UInt32) -> Int {
            guard exists(stack) else { return 0 }
            let row = rows.add(stack)
            if row != 0 && probes.isObjectStack(stack, in: region) { rows.rows[row].untilProbe = 1 }
            return row
        }

        /// A row for ranges of a domain.
        mutating func addRow(_ stack: UInt32, domain: Int) -> Int { exists(stack) ? rows.add(stack, domain: domain + 1) : 0 }

        private mutating func exists(_ stack: UInt32) -> Bool {
            if Int(stack) < knownNodes { return true }
            knownNodes = max(region.nodesUsed, Int(TM_NODE_FIRST))
            return Int(stack) < knownNodes
        }

        /// Looks at the first few objects of a stack, then at one each time their number has doubled.
        @inline(__always)
        private mutating func probe(_ row: UnsafeMutablePointer<Row>, _ address: UInt64) {
            row.pointee.untilProbe &-= 1
            let sighted = row.pointee.untilProbe & Row.sighted
            if row.pointee.untilProbe != sighted { return }
            let isAdded = probes.add(address)
            // Objects that die at once are hard to meet alive: they are looked for more often.
            let most = sighted != 0 ? 1 << 30 : 256
            row.pointee.untilProbe = sighted | (isAdded && row.pointee.totalCount >= 8 ? UInt32(min(row.pointee.totalCount, most)) : 1)
        }

        @inline(__always)
        func birth(_ clock: UInt64) -> UInt64 { (clock &- start) &>> shift & Block.mask48 }

        @inline(__always)
        private func sizeBucket(_ size: UInt64) -> Int { min(64 &- size.leadingZeroBitCount, sizeBuckets &- 1) }

        @inline(__always)
        func lifetimeBucket(_ birth: UInt64, _ clock: UInt64) -> Int {
            let units = ((clock &- start) &>> shift &- birth) & Block.mask48
            if units >> 47 != 0 { return 0 }
            let time = units.multipliedFullWidth(by: microseconds).high
            return time == 0 ? 0 : min((63 &- time.leadingZeroBitCount) / 2 &+ 1, lifetimeBuckets &- 1)
        }
    }
}
