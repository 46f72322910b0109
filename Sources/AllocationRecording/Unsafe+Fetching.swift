// Unsafe+Fetching.swift: brings what events need into the cache before it is their turn.
import CRecording

extension Unsafe.Ledger {
    /// Events that are looked at together: what they read is on its way for all of them at the same time.
    static let fetchedTogether: UInt64 = 8
    static let fetchedAhead = 4 * fetchedTogether
    /// Events come from another processor's cache: they are on their way before they are looked at.
    private static let eventsAhead = 16 * fetchedTogether
    private static let notedMask = UInt64(notedCount - 1)
    /// For as many events is it noted what they need.
    static let notedCount = 32

    /// From `position` to `end` the ring must have more than `fetchedAhead` events. Each step depends on what the one before it fetched for
    /// the same event, eight events ago. Young blocks need nothing: they have been seen a moment ago.
    ///
    ///     position   ├ taken now ┼ stack rows ┼ slots ┼ tags ┤ ... ├ events ┤
    ///
    /// Mutating only so that it is handed the ledger itself: a copy is a kilobyte.
    @inline(never)
    mutating func fetch(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64, end: UInt64) {
        // Not where the producer is about to write.
        if end &- position > Self.eventsAhead &+ Self.fetchedTogether {
            let far = UnsafeRawPointer(events + Int(truncatingIfNeeded: (position &+ Self.eventsAhead) & mask))
            tm_prefetch_to_read(far)
            tm_prefetch_to_read(far + 64)
            tm_prefetch_to_read(far + 128)
        }
        let hasManyRows = rows.count > Self.fewRows
        fetchBlocks(events, mask, position)
        if hasManyRows { fetchRows(events, mask, position) }
    }

    /// Tags of a live table that stay in the nearest cache, and rows that stay in the second one, which the collector often shares with
    /// the program: 32 KiB, and a megabyte.
    private static let fewSegments = 16
    private static let fewRows = 1 << 13

    /// Neither closures nor iterators: without optimization they allocate, which in a program that links the collector is an event in turn.
    @inline(__always)
    private mutating func fetchBlocks(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64) {
        let rowsEnd = position &+ 2 &* Self.fetchedTogether
        let slotsEnd = rowsEnd &+ Self.fetchedTogether
        let isLarge = live.table.segmentCount > Self.fewSegments
        if isLarge && !live.young.isInUse {
            fetchTags(events, mask, slotsEnd)
        } else {
            fetchTagsOfOld(events, mask, slotsEnd, isLarge)
        }
        let noted = noted.base
        var place = rowsEnd
        while place != slotsEnd {
            let hash = noted[Int(truncatingIfNeeded: place & Self.notedMask)]
            let event = events + Int(truncatingIfNeeded: place & mask)
            place &+= 1
            if hash != 0 { live.table.segment(hash).fetchSlot(hash, isNew: Self.isNew(event)) }
        }
    }

    /// While no block becomes young, and hardly one is.
    @inline(__always)
    private mutating func fetchTags(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ first: UInt64) {
        var place = first
        while place != first &+ Self.fetchedTogether {
            let event = events + Int(truncatingIfNeeded: place & mask)
            let hash = live.table.hash(tm_load64(&event.pointee.address_size) & Unsafe.Block.mask48)
            live.table.segment(hash).fetchTags(hash)
            noted.base[Int(truncatingIfNeeded: place & Self.notedMask)] = hash | 1
            place &+= 1
        }
    }

    @inline(__always)
    private mutating func fetchTagsOfOld(
        _ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ first: UInt64, _ isLarge: Bool
    ) {
        let isNursery = live.young.isInUse
        var place = first
        while place != first &+ Self.fetchedTogether {
            let event = events + Int(truncatingIfNeeded: place & mask)
            let note = noted.base + Int(truncatingIfNeeded: place & Self.notedMask)
            place &+= 1
            let address = tm_load64(&event.pointee.address_size) & Unsafe.Block.mask48
            let young = live.young.place(address)
            let (isNew, isAlive) = (Self.isNew(event), live.young.isAlive(young))
            let isHere = live.young.block(young).address == address
            note.pointee = 0
            var wanted = address
            if isNew && isNursery {
                // The young block of its place moves to the table, which must not have a block with the same address.
                if isHere { continue }
                if isLarge {
                    let hash = live.table.hash(address)
                    live.table.segment(hash).fetchTags(hash)
                }
                if !isAlive { continue }
                wanted = live.young.block(young).address
            } else if !isNew && isHere && isAlive {
                continue
            }
            let hash = live.table.hash(wanted)
            if isLarge { live.table.segment(hash).fetchTags(hash) }
            // The lowest bit decides nothing, and tells it from none.
            note.pointee = hash | 1
        }
    }

    @inline(__always)
    private mutating func fetchRows(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64) {
        let rowsEnd = position &+ 2 &* Self.fetchedTogether
        var place = position &+ Self.fetchedTogether
        while place != rowsEnd {
            let hash = noted.base[Int(truncatingIfNeeded: place & Self.notedMask)]
            let event = events + Int(truncatingIfNeeded: place & mask)
            place &+= 1
            if Self.isNew(event) {
                rows.fetch(row: rows.find(UInt32(truncatingIfNeeded: tm_load64(&event.pointee.stack_size))))
            } else if hash != 0 {
                rows.fetch(row: live.table.segment(hash).likelyRow(hash))
            }
        }
    }

    @inline(__always)
    private static func isNew(_ event: UnsafeMutablePointer<tm_event>) -> Bool {
        Unsafe.Merge.allocating &>> (tm_load64(&event.pointee.time_kind) & 15) & 1 != 0
    }
}
