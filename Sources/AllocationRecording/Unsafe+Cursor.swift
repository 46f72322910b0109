// Unsafe+Cursor.swift: where the collector stands in one ring, and in which memory the ring's events are.
import CRecording

extension Unsafe {
    /// More memory for a ring, which the kernel gives step by step.
    struct Growth: BitwiseCopyable {
        let memory: Cursor.Memory
        /// So many events have memory.
        var ready = 0
        /// So many are to get it next: what the kernel gives for an event takes 2 ns, a third of the time in which one is written.
        var step: Int { min(Int(memory.capacity) - ready, max(Int(memory.capacity) / 8, 1 << 13)) }
    }

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
        /// Holds those after it.
        private var next: Memory
        private(set) var events: UnsafeMutablePointer<tm_event>
        private(set) var mask: UInt64 = 0
        private(set) var boundary = UInt64.max
        /// The largest.
        private(set) var granted: Memory
        /// The small one that is kept beside it; capacity 0: there is none.
        private var home = Memory(place: 0, capacity: 0)
        /// Memory that is to be given back: when the granted one is in use, and now.
        private var outgrown: Memory?
        private var left: Memory?
        /// The ring's head when it was full last.
        var filled: UInt64 = 0
        /// More memory that it is about to be granted.
        var growing: Growth?
        /// There is no more memory for it.
        var isFullyGrown = false

        /// `granted` has been checked.
        init(ring: UnsafeMutablePointer<tm_ring>, area: UnsafeMutablePointer<tm_event>, granted: Memory) {
            self.ring = ring
            self.area = area
            self.granted = granted
            next = granted
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
            return area + (next.place + Int(position & (next.capacity &- 1)))
        }

        /// Finds out where the events up to `head` are. False: there cannot be so many.
        mutating func follow() -> Bool {
            let present = UInt64(tm_load32(&ring.pointee.capacity))
            if boundary == .max, present != capacity {
                // Written before the capacity.
                let moved = tm_load64(&ring.pointee.moved)
                guard present == granted.capacity || present == home.capacity, moved &- tail <= capacity else { return false }
                next = present == granted.capacity ? granted : home
                boundary = moved
            }
            if tail == boundary { moveOn() }
            return end &- tail <= capacity && head &- end <= next.capacity
        }

        /// All events before `boundary` have been taken.
        mutating func moveOn() {
            memory = next
            events = area + memory.place
            mask = capacity &- 1
            boundary = .max
            if capacity == granted.capacity, let old = outgrown { (left, outgrown) = (old, nil) }
        }

        /// False while the ring has memory that it does not use. Only then may it be granted more.
        var isInLargest: Bool { boundary == .max && capacity == granted.capacity }
        var mayGrow: Bool { isInLargest && !isFullyGrown }

        /// So much room is free again that a producer that waits may go on while the rest is taken, and is not told so twice. Before it has
        /// left the memory before this one it cannot.
        var hasMuchRoom: Bool {
            boundary == .max && tail &- wokenTail >= capacity / 4 && tm_load64(&ring.pointee.head) &- tail <= capacity / 4 * 3
        }

        /// The one in use, which is the largest so far, is kept if it is at most `most` events large and the new one is larger.
        mutating func grant(_ larger: Memory, keeping most: Int) {
            if granted.capacity <= most, larger.capacity > most { home = granted } else { outgrown = granted }
            granted = larger
            larger.grant(to: ring)
        }

        /// What can be given back, once.
        mutating func takeLeft() -> Memory? {
            defer { left = nil }
            return left
        }
    }
}
