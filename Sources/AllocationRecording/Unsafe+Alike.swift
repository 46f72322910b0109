// Unsafe+Alike.swift: blocks of one stack that are freed at once, one after the other: a loop makes millions.
import CRecording

extension Unsafe {
    /// Takes such blocks in as few instructions as possible: the program that makes them often shares a core with the collector, and
    /// is slowed down by each.
    struct Alike {
        let stack: UInt32
        let row: Int
        /// As for all events of the ring: those up to here are older than what other rings have ...
        let limit: UInt64
        /// ... and those up to here may be taken ahead of it.
        let latest: UInt64
        /// Order of the event that was taken last.
        var key: UInt64

        /// Returns the position of the first event that is another.
        @inline(never)
        mutating func take(
            _ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ positions: Range<UInt64>, _ lead: Lead, _ ledger: inout Ledger
        ) -> UInt64 {
            let (end, room) = (positions.upperBound, UInt64(truncatingIfNeeded: max(ledger.room, 0)))
            var (position, key) = (positions.lowerBound, key)
            var kind = Ledger.PassedKind(size: 0, lifetime: -1)
            var (first, bytes, absent) = (position, 0, UInt64(0))
            while end &- position >= 2 {
                let event = events + Int(truncatingIfNeeded: position & mask)
                let freeing = events + Int(truncatingIfNeeded: (position &+ 1) & mask)
                let (made, freed) = (tm_load64(&event.pointee.time_kind), tm_load64(&freeing.pointee.time_kind))
                let (addressSize, stackSize) = (tm_load64(&event.pointee.address_size), tm_load64(&event.pointee.stack_size))
                let address = addressSize & Block.mask48
                guard made & 15 == UInt64(TM_EVENT_ALLOCATE.rawValue), UInt32(truncatingIfNeeded: stackSize) == stack,
                    Merge.isFree(freeing, freed, of: address)
                else { break }
                let next = max(Merge.key(made), key)
                let last = max(Merge.key(freed), next)
                let size = Merge.size(addressSize, stackSize)
                guard last <= latest, last > limit ? !lead.mayConcern(address) : size <= room else { break }
                if address != absent {
                    guard ledger.isAbsent(address) else { break }
                    absent = address
                }
                let this = ledger.kind(size: size, lifetime: ledger.units(from: next >> 1, to: last >> 1))
                if this != kind {
                    count(position &- first, bytes, kind, &ledger)
                    (kind, first, bytes) = (this, position, 0)
                }
                bytes &+= Int(truncatingIfNeeded: size)
                key = last
                position &+= 2
            }
            count(position &- first, bytes, kind, &ledger)
            self.key = key
            return position
        }

        private func count(_ events: UInt64, _ bytes: Int, _ kind: Ledger.PassedKind, _ ledger: inout Ledger) {
            if events != 0 { ledger.passed(row, kind, count: Int(truncatingIfNeeded: events / 2), bytes: bytes) }
        }
    }
}
