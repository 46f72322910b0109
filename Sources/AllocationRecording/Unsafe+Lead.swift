// Unsafe+Lead.swift: how far a ring's events may be taken ahead of older ones of other rings.
import CRecording

extension Unsafe {
    /// A stretch of time in which a block that its thread frees at once changes nothing for anybody else.
    ///
    /// Such a block was alive between two events of its ring. In between, events of other rings may have raised the live bytes to a
    /// new peak, which the block is a part of: that is all that its place among them decides. Where two processors allocate at the
    /// same time, events of their rings alternate one by one, and to find that place costs more than to count the block.
    ///
    ///     now  ├──────────── until ┤ ...          live bytes + what all rings can add until then ≤ the peak so far:
    ///     ring 0  ●●  ●●  ●  ●●  ●│● ●            no new peak, in whatever order. Pairs (●●) are counted at once,
    ///     ring 1   ●● ●  ●●  ●●  ●│●              single events (●) one by one in the order of their times
    ///
    /// A pair whose address a single event is about may be none: the other thread may have freed the block, or moved it on the spot, and
    /// handed back what it got there. Such pairs wait for their turn.
    struct Lead {
        /// Order of the last moment of the stretch; 0: there is none.
        private(set) var until: UInt64 = 0
        /// More than all rings together add to the live bytes at any moment of it.
        private var bytes = 0
        /// How long a stretch is looked at, in units of the order, and about how many events are wanted in one: fewer where the room is
        /// tight, as they add less.
        private var span: UInt64 = 1 << 12
        private var wanted = Lead.most
        /// Where it leads to nothing it is tried more and more seldom.
        private var rest = 0
        private var longRest = 0
        private var events = 0
        private var paired = 0
        /// Bits for the addresses of single events: a filter with one hash.
        private let singles: Pages<UInt64>

        private static let filterWords = 128
        private static let fewest = 32
        private static let most = 1024
        private static let longestRest = 2048

        init?() {
            guard let singles = Pages<UInt64>(capacity: Self.filterWords) else { return nil }
            self.singles = singles
        }

        func free() { singles.free() }

        mutating func end() { until = 0 }

        @inline(__always)
        private static func bit(_ address: UInt64) -> (word: Int, mask: UInt64) {
            let hash = (address >> 4) &* 0x9e37_79b9_7f4a_7c15
            return (Int(truncatingIfNeeded: hash >> 57), 1 << ((hash >> 51) & 63))
        }

        /// Whether a single event of the stretch may be about an address.
        @inline(__always)
        func mayConcern(_ address: UInt64) -> Bool {
            let bit = Self.bit(address)
            return singles.base[bit.word] & bit.mask != 0
        }

        /// Whether it is worth while to look ahead now: not where a ring has its time up to `limit` for itself.
        mutating func mayBegin(at key: UInt64, limit: UInt64) -> Bool {
            until = 0
            if limit &- key >= span { return false }
            if rest > 0 { rest &-= 1 }
            return rest == 0
        }

        /// Looks at a stretch that begins at `key`, and is not to go on after `end`.
        mutating func begin(at key: UInt64, end: UInt64) {
            // Neither has more than 62 bits.
            until = min(end, key &+ span)
            (bytes, events, paired) = (0, 0, 0)
            singles.base.update(repeating: 0, count: Self.filterWords)
        }

        /// Adds what a ring's events can add. To see them costs 2 ns an event, which taking them then saves.
        mutating func add(_ cursor: UnsafeMutablePointer<Cursor>) {
            let (events, mask, head) = (cursor.pointee.events, cursor.pointee.mask, cursor.pointee.end)
            let first = cursor.pointee.tail
            let last = min(head, first &+ UInt64(Self.most))
            var (position, key, single, pair) = (first, cursor.pointee.key, 0, 0)
            while position != last {
                let event = events + Int(position & mask)
                let timeKind = tm_load64(&event.pointee.time_kind)
                let addressSize = tm_load64(&event.pointee.address_size)
                let size = Int(truncatingIfNeeded: Merge.size(addressSize, tm_load64(&event.pointee.stack_size)))
                key = max(Merge.key(timeKind), key)
                if key > until { break }
                position &+= 1
                let kind = UInt32(truncatingIfNeeded: timeKind & 15)
                let address = addressSize & Block.mask48
                if kind == TM_EVENT_ALLOCATE.rawValue, position != last {
                    let following = events + Int(position & mask)
                    if Merge.isFree(following, tm_load64(&following.pointee.time_kind), of: address) {
                        position &+= 1
                        paired &+= 2
                        pair = max(pair, size)
                        continue
                    }
                }
                let bit = Self.bit(address)
                singles.base[bit.word] |= bit.mask
                switch kind {
                case TM_EVENT_ALLOCATE.rawValue: single &+= size
                case TM_EVENT_REALLOC_RESULT.rawValue, TM_EVENT_TRACK.rawValue: single &+= size
                // A block of unknown size is back.
                case TM_EVENT_REALLOC_FAILED.rawValue: single = Self.tooMuch
                // It may change what the peak is.
                case TM_EVENT_CONTROL.rawValue:
                    until = min(until, key &- 1)
                    position = last
                default: break
                }
            }
            // What follows has not been seen; what is not published yet comes after all that is taken now.
            if position == last, last != cursor.pointee.head { until = min(until, key &- 1) }
            self.events &+= Int(position &- first)
            bytes = min(bytes &+ min(single &+ pair, Self.tooMuch), Self.tooMuch)
        }

        /// No program has as much: 2^50 bytes, and 1024 times as much is still a number.
        private static let tooMuch = 1 << 50

        /// All rings have been looked at. `room`: live bytes that are missing to the peak.
        mutating func settle(at key: UInt64, room: Int) {
            let isTight = bytes > room
            wanted = isTight ? max(wanted / 2, Self.fewest) : min(wanted &* 2, Self.most)
            if events > wanted { span = max(span / 2, 16) } else if events < wanted / 4 { span = min(span &* 2, 1 << 40) }
            if !isTight, until > key, paired &* 4 >= events {
                longRest = 0
            } else {
                until = 0
                longRest = isTight && wanted > Self.fewest ? 0 : min(longRest &* 2 &+ 16, Self.longestRest)
                rest = longRest
            }
        }
    }
}
