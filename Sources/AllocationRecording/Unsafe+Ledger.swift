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

    struct Ledger {
        var live: LiveBlocks
        var rows: StackRows
        /// Of malloc's blocks.
        var totals = Totals()
        /// Live blocks; in a sample more than the table holds.
        var liveCount = 0
        var domains: [Domain] = []
        private(set) var threads: Threads
        /// Live ranges of all domains, and the highest sum of malloc's blocks and them.
        private(set) var tracked = Tally.zero
        private(set) var tracedPeak = Tally.zero
        /// Current bytes above this are a peak of malloc's blocks, or of these and the domains' together.
        private(set) var peakLimit = 0
        /// Ranges of domains for which there was no room.
        var untrackedRanges = 0
        var generation: UInt64 = 0
        /// The generation of the next block: the window's for the thread that it watches.
        private(set) var birthGeneration: UInt64 = 0
        /// Blocks that are allocated now stand for themselves alone, and no window counts them.
        private(set) var isUnwatched = false
        /// The hash of the block that an event takes from the live table or moves there, by its position; 0: none.
        let noted: Pages<UInt64>
        var window = Window()
        var probes: ObjectProbes
        /// Some row is one of objects.
        private(set) var hasObjects = false
        var releases: Pages<Release>
        var releaseCount = 0
        private let region: Region
        let seed: UInt64
        private var knownNodes = 0

        /// Births are kept in units of 2^shift ticks since the start.
        private let start: UInt64
        private let shift: UInt64
        let sampling: Sampling
        /// Asked for here, because to ask another module is a call, for each event.
        let sizeBuckets = StackCost.sizeBuckets
        private let lifetimeBuckets = StackCost.lifetimeBuckets
        /// Microseconds per unit, times 2^64. 0: the clock knows no durations.
        private(set) var microseconds: UInt64 = 0

        init?(region: Region, seed: UInt64) {
            guard let live = LiveBlocks(seed: seed), let rows = StackRows(), let releases = Pages<Release>(capacity: 64),
                let threads = Threads(), let probes = ObjectProbes(), let noted = Pages<UInt64>(capacity: Self.notedCount)
            else { return nil }
            self.threads = threads
            self.probes = probes
            self.noted = noted
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
            noted.free()
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
            guard address != 0 else { return false }
            let place = live.young.place(address)
            let birth = birth(clock)
            let block = Block(address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: birthGeneration, birth: birth)
            last = LastBlock(address: address, birth: birth)
            guard live.young.isInUse ? makeRoom(place, for: address) : insert(block, place) else { return false }
            let count = sampling.weight(block)
            let bytes = Int(truncatingIfNeeded: size) &* count
            totals.currentBytes &+= bytes
            liveCount &+= count
            let pointer = rows.rows.base + row
            if live.young.isInUse {
                if totals.currentBytes <= peakLimit, isUnwatched, Self.passes(pointer) {
                    live.young.putUncharged(block, place)
                    return true
                }
                live.young.put(block, place)
            }
            charge(block)
            if pointer.pointee.untilProbe != 0 { probe(pointer, address) }
            if birthGeneration == window.generation { window.allocate(stack: stack, size: bytes) }
            if totals.currentBytes > peakLimit { notePeak(clock: clock) }
            return true
        }

        /// Makes a place of the nursery free for a block of this address, which must follow: another young block moves on to the live
        /// table. A block that had the address was freed unseen. False: memory is short.
        @inline(__always)
        mutating func makeRoom(_ place: Int, for address: UInt64) -> Bool {
            live.young.isKnownDead(address, place) || clear(place, for: address)
        }

        @inline(never)
        private mutating func clear(_ place: Int, for address: UInt64) -> Bool {
            if live.young.isAlive(place) {
                let block = takeYoung(place)
                if block.address == address {
                    replace(block)
                    return true
                }
                guard live.table.add(block) else { return false }
                live.young.movedOn &+= 1
            }
            if live.table.mayContain(address), let old = live.table.remove(address) { replace(old) }
            return true
        }

        /// Puts a block straight into the live table. `place`: the one that it would have in the nursery. False: memory is short.
        @inline(__always)
        private mutating func insert(_ block: Block, _ place: Int) -> Bool {
            if live.young.blocks.base[place].address == block.address {
                if live.young.isAlive(place) { replace(takeYoung(place)) }
                live.young.forget(place)
            }
            var old: Block?
            guard live.table.insert(block, replacing: &old) else { return false }
            if let old { replace(old) }
            return true
        }

        /// Takes a living block out of the nursery, and charges it.
        private mutating func takeYoung(_ place: Int) -> Block {
            let block = live.young.block(place)
            if !live.young.isCharged(place) { charge(block) }
            live.young.remove(place)
            return block
        }

        @inline(__always)
        mutating func free(address: UInt64, clock: UInt64, last: inout LastBlock) {
            guard let block = remove(address) else {
                totals.unknownFrees &+= 1
                return
            }
            let count = subtract(block)
            countFree(block, clock: clock, count: count)
            if last.address == address && last.birth == block.birth {
                countTemporary(block.row, block.size &* count, count)
                last.address = 0
            }
        }

        @inline(__always)
        mutating func remove(_ address: UInt64) -> Block? {
            live.young.contains(address) ? takeYoung(live.young.place(address)) : live.table.remove(address)
        }

        /// Counts a live block among what its stack has.
        @inline(never)
        private mutating func charge(_ block: Block) {
            let count = sampling.weight(block)
            let bytes = block.size &* count
            add(block.row, bytes, count)
            let pointer = rows.rows.base + block.row
            pointer.pointee.totalBytes &+= bytes
            pointer.pointee.totalCount &+= count
            tickSize(block.row, UInt64(truncatingIfNeeded: block.size), count: count)
            totals.allocations &+= count
            totals.bytesAllocated &+= bytes
        }

        /// Charges all blocks. Who asks for the rows, or for the totals' sums, does so after this.
        mutating func settle() {
            while let place = live.young.takeUncharged() { charge(live.young.block(place)) }
            judge()
        }

        /// Whether young blocks are worth to be kept apart.
        mutating func judge() { live.young.judge(allocations: totals.allocations) }

        /// Whether nobody looks at the next allocation of a row by itself, which counts it.
        @inline(__always)
        static func passes(_ row: UnsafeMutablePointer<Row>) -> Bool {
            let untilProbe = row.pointee.untilProbe
            if untilProbe == 0 { return true }
            if (untilProbe &- 1) & ~Row.sighted == 0 { return false }
            row.pointee.untilProbe = untilProbe &- 1
            return true
        }

        /// In a moment of the tracer's own, which may free blocks of its own, too.
        mutating func freeIfKnown(address: UInt64, clock: UInt64) {
            guard let block = remove(address) else { return }
            countFree(block, clock: clock, count: subtract(block))
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
            if live.young.mayHaveUncharged { settle() }
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
            guard live.removeAll(seed: seed), rows.removeAll() else { return false }
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
            return live.removeAll(seed: seed)
        }

        /// Blocks are born in this generation from now on.
        mutating func begin(generation: UInt64) {
            birthGeneration = generation
            isUnwatched = isWhole && generation != window.generation
        }

        mutating func countEvents(_ count: Int) { totals.events &+= count }

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
        mutating func add(_ row: Int, _ bytes: Int, _ count: Int) {
            let pointer = rows.rows.base + row
            pointer.pointee.savePeak(totals.peakNumber)
            pointer.pointee.currentBytes &+= bytes
            pointer.pointee.currentCount &+= count
        }

        /// Returns what the block counted for.
        @inline(__always)
        @discardableResult
        mutating func subtract(_ block: Block) -> Int {
            let pointer = rows.rows.base + block.row
            pointer.pointee.savePeak(totals.peakNumber)
            let count = sampling.weight(block)
            pointer.pointee.currentBytes &-= block.size &* count
            pointer.pointee.currentCount &-= count
            totals.currentBytes &-= block.size &* count
            liveCount &-= count
            if block.generation == window.generation { window.free(size: block.size) }
            return count
        }

        @inline(__always)
        mutating func countFree(_ block: Block, clock: UInt64, count: Int) {
            totals.frees &+= count
            totals.bytesFreed &+= block.size &* count
            tickLifetime(block, clock: clock, count: count)
        }

        @inline(__always)
        mutating func tickLifetime(_ block: Block, clock: UInt64, count: Int = 1) {
            if microseconds != 0 { rows.tick(block.row, bucket: sizeBuckets &+ lifetimeBucket(birth(clock) &- block.birth), count: count) }
        }

        @inline(__always)
        mutating func tickSize(_ row: Int, _ size: UInt64, count: Int = 1) {
            rows.tick(row, bucket: sizeBucket(size), count: count)
        }

        /// A block whose free was not seen: another one has its address now.
        mutating func replace(_ old: Block) {
            subtract(old)
            totals.frees &+= sampling.weight(old)
            totals.bytesFreed &+= old.size &* sampling.weight(old)
            totals.unknownFrees &+= 1
        }

        @inline(never)
        private mutating func addRow(_ stack: UInt32) -> Int {
            guard exists(stack) else { return 0 }
            let row = rows.add(stack)
            if row != 0 && probes.isObjectStack(stack, in: region) {
                rows.rows[row].untilProbe = 1
                hasObjects = true
            }
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
        func sizeBucket(_ size: UInt64) -> Int { min(64 &- size.leadingZeroBitCount, sizeBuckets &- 1) }

        @inline(__always)
        func lifetimeBucket(_ units: UInt64) -> Int {
            let units = units & Block.mask48
            if units >> 47 != 0 { return 0 }
            let time = units.multipliedFullWidth(by: microseconds).high
            return time == 0 ? 0 : min((63 &- time.leadingZeroBitCount) / 2 &+ 1, lifetimeBuckets &- 1)
        }
    }
}
