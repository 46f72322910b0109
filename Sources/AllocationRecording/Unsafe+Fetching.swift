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
            let table = live.table
            fetch(events, mask, position) { _ in table }
        } else {
            fetch(events, mask, position, live.place)
        }
    }

    @inline(__always)
    private func fetch(
        _ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ position: UInt64, _ place: (_ hash: UInt64) -> Unsafe.Chunks
    ) {
        let group = Self.fetchedTogether
        for offset in 0..<group {
            let event = Event(events + Int(truncatingIfNeeded: (position &+ 3 &* group &+ offset) & mask), live)
            place(event.hash).fetchTags(event.hash)
        }
        for offset in 0..<group {
            let event = Event(events + Int(truncatingIfNeeded: (position &+ 2 &* group &+ offset) & mask), live)
            place(event.hash).fetchSlot(event.hash, isNew: event.isNew)
        }
        for offset in 0..<group {
            let event = Event(events + Int(truncatingIfNeeded: (position &+ group &+ offset) & mask), live)
            rows.fetch(row: event.isNew ? rows.find(event.stack) : place(event.hash).likelyRow(event.hash))
        }
    }

    /// An event as far as it says what it will need.
    private struct Event {
        private let event: UnsafeMutablePointer<tm_event>
        private let live: Unsafe.LiveTable

        @inline(__always)
        init(_ event: UnsafeMutablePointer<tm_event>, _ live: Unsafe.LiveTable) {
            self.event = event
            self.live = live
        }

        @inline(__always)
        var hash: UInt64 { live.hash(tm_load64(&event.pointee.address_size) & Unsafe.Block.mask48) }
        @inline(__always)
        var isNew: Bool { Unsafe.Merge.allocating &>> (tm_load64(&event.pointee.time_kind) & 15) & 1 != 0 }
        @inline(__always)
        var stack: UInt32 { UInt32(truncatingIfNeeded: tm_load64(&event.pointee.stack_size)) }
    }
}
