// Unsafe+Run.swift: a run of events of one ring, of which the most common kinds are taken in as few instructions as possible.
import CRecording

extension Unsafe {
    /// Takes allocations and frees, most of which concern young blocks of stacks that are known. The collector often shares a core with
    /// the program, which is slowed down by each instruction.
    struct Run {
        /// Events up to this one, in order, are older than what other rings have.
        let limit: UInt64
        /// Order of the event that was taken last.
        var key: UInt64
        /// What the ring allocated last.
        var last: LastBlock
        /// The first event that nothing was fetched for.
        var fetched: UInt64
        /// The end of what may be fetched; 0: nothing needs to be.
        let fetchEnd: UInt64
        /// A block was freed at once, and the next one is of the same stack: `Alike` may go on.
        var isRepeating = false
        /// False: the event that was taken last is impossible, or memory is short.
        var isSound = true

        /// Returns the position of the first event that was not taken: one of another kind, or that is too young.
        @inline(never)
        mutating func take(
            _ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ positions: Range<UInt64>, _ ledger: inout Ledger
        ) -> UInt64 {
            var (position, key, last) = (positions.lowerBound, key, last)
            let (end, limit) = (positions.upperBound, limit)
            let isSimple = ledger.isUnwatched && ledger.live.young.isInUse
            // Blocks that were never charged when they were freed.
            var (count, bytes, lastStack) = (0, 0, UInt32.max)
            isRepeating = false
            while position != end {
                let event = events + Int(truncatingIfNeeded: position & mask)
                // Each word is read once: what was checked is what is used.
                let timeKind = tm_load64(&event.pointee.time_kind)
                let next = max(Merge.key(timeKind), key)
                if next > limit { break }
                if position >= fetched {
                    fetched = position &+ Ledger.fetchedTogether
                    if fetchEnd > position &+ Ledger.fetchedAhead { ledger.fetch(events, mask, position, end: fetchEnd) }
                }
                let addressSize = tm_load64(&event.pointee.address_size)
                let stackSize = tm_load64(&event.pointee.stack_size)
                let address = addressSize & Block.mask48
                let place = ledger.live.young.place(address)
                let kind = UInt32(truncatingIfNeeded: timeKind & 15)
                if kind == TM_EVENT_ALLOCATE.rawValue {
                    let size = Merge.size(addressSize, stackSize)
                    let stack = UInt32(truncatingIfNeeded: stackSize)
                    let row = ledger.rows.find(stack)
                    if row != 0, address != 0, isSimple, Int(truncatingIfNeeded: size) <= ledger.room,
                        Ledger.passes(ledger.rows.rows.base + row)
                    {
                        isSound = ledger.makeRoom(place, for: address)
                        if !isSound { break }
                        let birth = ledger.birth(next >> 1)
                        ledger.live.young.putUncharged(
                            Block(
                                address: address, size: size, row: UInt32(truncatingIfNeeded: row), generation: ledger.birthGeneration,
                                birth: birth), place)
                        last = LastBlock(address: address, birth: birth)
                        ledger.totals.currentBytes &+= Int(truncatingIfNeeded: size)
                        ledger.liveCount &+= 1
                    } else {
                        isSound = ledger.allocate(address: address, size: size, stack: stack, clock: next >> 1, last: &last)
                        if !isSound { break }
                    }
                    lastStack = stack
                    key = next
                    position &+= 1
                } else if kind == TM_EVENT_FREE.rawValue {
                    let isLast = last.address == address
                    if ledger.live.young.isUncharged(address, place), stackSize == 0 {
                        let block = ledger.live.young.block(place)
                        ledger.live.young.remove(place)
                        ledger.ended(block, at: next >> 1)
                        count &+= 1
                        bytes &+= block.size
                        if isLast, last.birth == block.birth {
                            ledger.countTemporary(block.row, block.size, 1)
                            last.address = 0
                        }
                    } else {
                        // The thread has allocated blocks since that were not sampled.
                        if stackSize >> 32 != 0 { last.address = 0 }
                        ledger.free(address: address, clock: next >> 1, last: &last)
                    }
                    key = next
                    position &+= 1
                    if isLast, last.address == 0, position != end {
                        let following = events + Int(truncatingIfNeeded: position & mask)
                        isRepeating = UInt32(truncatingIfNeeded: tm_load64(&following.pointee.stack_size)) == lastStack
                        if isRepeating { break }
                    }
                } else {
                    break
                }
            }
            ledger.countPassed(count, bytes)
            ledger.live.young.died &+= count
            (self.key, self.last) = (key, last)
            return position
        }
    }
}
