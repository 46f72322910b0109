// Unsafe+Cursor.swift: where the collector stands in one ring, and in which memory the ring's events are.
import CRecording

extension Unsafe {
    /// Where the collector stands in one ring.
    struct Cursor: BitwiseCopyable {
        let ring: UnsafeMutablePointer<tm_ring>
        var tail: UInt64
        var head: UInt64
        /// Order of the event that was taken last: a ring never goes back in time.
        var key: UInt64 = 0
        var last = LastBlock()
        /// The first event that nothing was fetched for.
        var fetched: UInt64 = 0
        /// The claim seen in the last round, and the time before which no event of it was missing then.
        var claim: UInt64 = 0
        var floor: UInt64 = 0
        /// Id of the ring's thread, and its number among those that have rows of their own.
        var threadID: UInt32 = 0
        var thread = 0
        /// What the next event is about, after one that names a domain; 0: nothing was named.
        var domain: UInt64 = 0
        /// Events that say nothing of the thread.
        var ownFrees: UInt64 = 0
        var said: UInt64 { tail &- ownFrees }
        var wokenTail: UInt64 = 0
        var sweptHead: UInt64 = 0

        // MARK: Memory. What was granted is ours to remember: the ring's own words are only compared with it.

        /// A power of two of events, from an index of the area on.
        struct Memory: BitwiseCopyable {
            var place: Int
            var capacity: UInt64

            /// The producer may have it.
            func grant(to ring: UnsafeMutablePointer<tm_ring>) {
                tm_store64(&ring.pointee.place, UInt64(place))
                tm_store32(&ring.pointee.reserved_capacity, UInt32(capacity))
            }
        }

        private let area: UnsafeMutablePointer<tm_event>
        /// Holds the events up to `boundary`; capacity 0 before the first one.
        private var memory = Memory(place: 0, capacity: 0)
        private(set) var events: UnsafeMutablePointer<tm_event>
        private(set) var mask: UInt64 = 0
        /// From here on events are in the memory that was granted last.
        private(set) var boundary = UInt64.max
        private(set) var granted: Memory
        /// Memory that the ring has left and that is still there.
        private var left: Memory?
        /// There is no more memory for it.
        var isFullyGrown = false

        /// `granted` has been checked.
        init(ring: UnsafeMutablePointer<tm_ring>, area: UnsafeMutablePointer<tm_event>, granted: Memory) {
            self.ring = ring
            self.area = area
            self.granted = granted
            events = area
            tail = tm_load64(&ring.pointee.tail)
            head = tail
        }

        /// The end of what can be taken without moving on.
        var end: UInt64 { min(head, boundary) }

        var capacity: UInt64 { memory.capacity }

        @inline(__always)
        func event(at position: UInt64) -> UnsafeMutablePointer<tm_event> {
            if position < boundary { return events + Int(position & mask) }
            return area + (granted.place + Int(position & (granted.capacity &- 1)))
        }

        /// Finds out where the events up to `head` are. False: there cannot be so many.
        mutating func follow() -> Bool {
            let present = UInt64(tm_load32(&ring.pointee.capacity))
            if boundary == .max, present != capacity {
                // Written before the capacity.
                let moved = tm_load64(&ring.pointee.moved)
                guard present == granted.capacity, moved &- tail <= capacity else { return false }
                boundary = moved
            }
            if tail == boundary { moveOn() }
            return end &- tail <= capacity && head &- end <= granted.capacity
        }

        /// All events before `boundary` have been taken.
        mutating func moveOn() {
            if capacity != 0 { left = memory }
            memory = granted
            events = area + granted.place
            mask = granted.capacity &- 1
            boundary = .max
        }

        /// False while the ring has memory that it does not use so far.
        var mayGrow: Bool { boundary == .max && capacity == granted.capacity && !isFullyGrown }

        mutating func grant(_ memory: Memory) {
            granted = memory
            memory.grant(to: ring)
        }

        /// What can be given back, once.
        mutating func takeLeft() -> Memory? {
            defer { left = nil }
            return left
        }
    }
}
