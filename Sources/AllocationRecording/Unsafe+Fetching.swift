// Unsafe+Fetching.swift: brings what events need into the cache before it is their turn.
import CRecording

extension Unsafe.Ledger {
    /// Events that are looked at together: one step for all of them takes fewer instructions than three steps for each.
    static let fetchedTogether: UInt64 = 8
    static let fetchedAhead = 4 * fetchedTogether

    /// From `position` on the ring must have more than `fetchedAhead` events. Each step depends on what the one before it fetched for
    /// the same event, eight events ago.
    ///
    ///     position   ├ taken now ┼ stack rows ┼ slots ┼ tags ┤
    ///
    /// Mutating only so that it is handed the ledger itself: a copy is a kilobyte.
    @inline(never)
    mutating func fetch(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64) {
        if live.former == nil {
            fetch(events, mask, position, isMoving: false)
        } else {
            fetch(events, mask, position, isMoving: true)
        }
    }

    /// Inlined twice, so that it is not asked for each event whether blocks are in two tables. Neither closures nor iterators: without
    /// optimization they allocate, which in a program that links the collector is an event in turn.
    @inline(__always)
    private mutating func fetch(_ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64, isMoving: Bool) {
        let rowsEnd = position &+ 2 &* Self.fetchedTogether
        let slotsEnd = rowsEnd &+ Self.fetchedTogether
        let tagsEnd = slotsEnd &+ Self.fetchedTogether
        var place = slotsEnd
        while place != tagsEnd {
            let hash = live.hash(Self.address(of: events + Int(truncatingIfNeeded: place & mask)))
            chunks(hash, isMoving).fetchTags(hash)
            place &+= 1
        }
        place = rowsEnd
        while place != slotsEnd {
            let event = events + Int(truncatingIfNeeded: place & mask)
            let hash = live.hash(Self.address(of: event))
            chunks(hash, isMoving).fetchSlot(hash, isNew: Self.isNew(event))
            place &+= 1
        }
        place = position &+ Self.fetchedTogether
        while place != rowsEnd {
            let event = events + Int(truncatingIfNeeded: place & mask)
            if Self.isNew(event) {
                rows.fetch(row: rows.find(UInt32(truncatingIfNeeded: tm_load64(&event.pointee.stack_size))))
            } else {
                let hash = live.hash(Self.address(of: event))
                rows.fetch(row: chunks(hash, isMoving).likelyRow(hash))
            }
            place &+= 1
        }
    }

    @inline(__always)
    private func chunks(_ hash: UInt64, _ isMoving: Bool) -> Unsafe.Chunks { isMoving ? live.place(hash) : live.table }

    @inline(__always)
    private static func address(of event: UnsafeMutablePointer<tm_event>) -> UInt64 {
        tm_load64(&event.pointee.address_size) & Unsafe.Block.mask48
    }

    @inline(__always)
    private static func isNew(_ event: UnsafeMutablePointer<tm_event>) -> Bool {
        Unsafe.Merge.allocating &>> (tm_load64(&event.pointee.time_kind) & 15) & 1 != 0
    }
}
