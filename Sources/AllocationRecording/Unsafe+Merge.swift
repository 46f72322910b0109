// Unsafe+Merge.swift: the rings of one recording, merged into one sequence of events in the order of their time.
//
//     ring 0  ──●──●────●───────●─  ┐
//     ring 1  ●─────●●●─────●────   ├─► smallest front first, up to the horizon ─► Ledger
//     ring 2  ────●─────────────●─  ┘
//
// A run of events is taken from one ring until the front of another ring is older, or a little longer (Unsafe+Lead.swift).
import CRecording

extension Unsafe {
    /// Why merging stopped.
    enum Stop {
        case horizon
        /// The next event, of this time, lies behind the time that `pause` asked for.
        case pause(clock: UInt64)
        case control(kind: UInt64, argument: UInt64, clock: UInt64)
        case corrupt(ring: Int)
        /// Its producer waits for room, and there is much.
        case waiting(ring: Int)
    }

    struct Merge {
        var ledger: Ledger
        private(set) var cursors: Pages<Cursor>
        private(set) var cursorCount = 0
        private var heap: Pages<Front>
        private var heapCount = 0
        /// Asked once a run: where threads alternate, events are taken one by one.
        private var prefetches = false
        private var lead: Lead

        private struct Front: BitwiseCopyable {
            var key: UInt64
            var ring: Int
        }

        /// Bit n: kind n makes an address live. At equal times such events come after those that release one.
        static let allocating: UInt64 =
            1 << TM_EVENT_ALLOCATE.rawValue | 1 << TM_EVENT_REALLOC_RESULT.rawValue | 1 << TM_EVENT_TRACK.rawValue
        private static let portion: UInt64 = 1024
        /// Tables that are no larger stay in the second cache without our help.
        private static let cacheSize = 1 << 20

        init?(region: Region, seed: UInt64) {
            guard let ledger = Ledger(region: region, seed: seed), let cursors = Pages<Cursor>(capacity: 64),
                let heap = Pages<Front>(capacity: 64), let lead = Lead()
            else { return nil }
            self.ledger = ledger
            self.lead = lead
            self.cursors = cursors
            self.heap = heap
        }

        func free() {
            ledger.free()
            cursors.free()
            heap.free()
            lead.free()
        }

        mutating func add(_ cursor: Cursor) -> Bool {
            guard cursors.grow(to: cursorCount + 1), heap.grow(to: cursorCount + 1) else { return false }
            cursors[cursorCount] = cursor
            cursorCount += 1
            return true
        }

        /// Orders times: twice the time, plus one for events that allocate.
        @inline(__always)
        static func key(_ timeKind: UInt64) -> UInt64 {
            (timeKind >> 4) << 1 | (allocating >> (timeKind & 15)) & 1
        }

        /// The size of a block, from the two words of its event.
        @inline(__always)
        static func size(_ addressSize: UInt64, _ stackSize: UInt64) -> UInt64 { stackSize >> 32 | (addressSize >> 48) << 32 }

        /// Whether an event of this kind frees the block at an address, and has no word about blocks that were not sampled: address and
        /// size of a free.
        @inline(__always)
        static func isFree(_ event: UnsafeMutablePointer<tm_event>, _ timeKind: UInt64, of address: UInt64) -> Bool {
            timeKind & 15 == UInt64(TM_EVENT_FREE.rawValue) && tm_load64(&event.pointee.address_size) == address
                && tm_load64(&event.pointee.stack_size) == 0
        }

        /// Events that come from a ring from now on are of the thread that it belongs to.
        mutating func setThread(ofRing index: Int, id: UInt32) {
            let cursor = cursors.base + index
            cursor.pointee.threadID = id
            cursor.pointee.thread = ledger.select(thread: id)
        }

        /// All threads were forgotten: those that still have rings are numbered anew.
        mutating func renumberThreads() {
            for index in 0..<cursorCount { setThread(ofRing: index, id: cursors[index].threadID) }
        }

        /// The time of the last published event.
        func lastTime(_ index: Int) -> UInt64 {
            let cursor = cursors[index]
            if cursor.head == cursor.tail { return cursor.key >> 1 }
            return max(tm_load64(&cursor.event(at: cursor.head &- 1).pointee.time_kind) >> 4, cursor.key >> 1)
        }

        /// Takes all events up to and including time `horizon`, in order; stops before the first one after `pause`.
        ///
        /// - Parameter settles: whether all blocks are charged at the horizon, too: many of the youngest will not live to see the next one.
        mutating func run(horizon: UInt64, pause: UInt64, settles: Bool) -> Stop {
            let stop = merge(horizon: horizon, pause: pause)
            if case .horizon = stop, !settles { ledger.judge() } else { ledger.settle() }
            return stop
        }

        private mutating func merge(horizon: UInt64, pause: UInt64) -> Stop {
            let end = horizon >= 1 << 60 ? .max : horizon << 1 | 1
            let pauseKey = pause >= 1 << 60 ? .max : pause << 1 | 1
            heapCount = 0
            lead.end()
            prefetches = ledger.live.table.byteCount > Self.cacheSize
            for index in 0..<cursorCount {
                let cursor = cursors.base + index
                if cursor.pointee.head == cursor.pointee.tail { continue }
                let key = nextKey(cursor)
                if key <= end { push(Front(key: key, ring: index)) }
            }
            while heapCount > 0 {
                let front = heap[0]
                if front.key > pauseKey { return .pause(clock: front.key >> 1) }
                var limit = min(end, pauseKey)
                if heapCount > 1 { limit = min(limit, heap[1].key) }
                if heapCount > 2 { limit = min(limit, heap[2].key) }
                if heapCount > 1, front.key > lead.until, lead.mayBegin(at: front.key, limit: limit) {
                    lookAhead(from: front.key, end: min(end, pauseKey))
                }
                let stop = take(front.ring, limit: limit)
                let cursor = cursors.base + front.ring
                tm_store64(&cursor.pointee.ring.pointee.tail, cursor.pointee.tail)
                if let stop { return stop }
                if cursor.pointee.tail == cursor.pointee.boundary { cursor.pointee.moveOn() }
                if tm_load32(&cursor.pointee.ring.pointee.waiting) != 0, cursor.pointee.hasMuchRoom { return .waiting(ring: front.ring) }
                if cursor.pointee.tail == cursor.pointee.head {
                    removeTop()
                } else {
                    let key = nextKey(cursor)
                    if key <= end { replaceTop(Front(key: key, ring: front.ring)) } else { removeTop() }
                }
            }
            return .horizon
        }

        /// From the oldest event on, which none is older than.
        private mutating func lookAhead(from key: UInt64, end: UInt64) {
            guard ledger.isWhole else { return }
            lead.begin(at: key, end: end)
            for index in 0..<heapCount { lead.add(cursors.base + heap[index].ring) }
            lead.settle(at: key, room: ledger.room)
        }

        @inline(__always)
        private func nextKey(_ cursor: UnsafeMutablePointer<Cursor>) -> UInt64 {
            let event = cursor.pointee.event(at: cursor.pointee.tail)
            return max(Self.key(tm_load64(&event.pointee.time_kind)), cursor.pointee.key)
        }

        /// Takes events of one ring, as long as their key is not above `limit`, and blocks that are freed at once as long as the lead is.
        private mutating func take(_ ring: Int, limit: UInt64) -> Stop? {
            let cursor = cursors.base + ring
            let isWatched = ledger.window.thread != 0 && tm_load32(&cursor.pointee.ring.pointee.tid) == ledger.window.thread
            ledger.begin(generation: isWatched ? ledger.window.generation : ledger.generation)
            ledger.select(number: cursor.pointee.thread)
            let events = cursor.pointee.events
            let mask = cursor.pointee.mask
            let head = cursor.pointee.end
            let first = cursor.pointee.tail
            // A waiting producer gets its room back in portions.
            let end = min(head, first &+ Self.portion)
            var position = first
            var run = Run(
                limit: limit, key: cursor.pointee.key, last: cursor.pointee.last, fetched: cursor.pointee.fetched,
                fetchEnd: prefetches ? head : 0)
            var stop: Stop?
            var ownFrees: UInt64 = 0
            let latest = max(limit, lead.until)
            loop: while position != end {
                let event = events + Int(position & mask)
                // Each word is read once: what was checked is what is used.
                let timeKind = tm_load64(&event.pointee.time_kind)
                let next = max(Self.key(timeKind), run.key)
                let kind = UInt32(truncatingIfNeeded: timeKind & 15)
                if next > limit && (next > latest || kind != TM_EVENT_ALLOCATE.rawValue) { break }
                if kind == TM_EVENT_ALLOCATE.rawValue, run.isRepeating || next > limit {
                    let taken = takePair(events, mask, position..<end, latest: latest, &run)
                    if taken == position && next > limit { break }
                    position = taken
                    run.isRepeating = false
                    continue
                }
                if kind == TM_EVENT_ALLOCATE.rawValue || kind == TM_EVENT_FREE.rawValue {
                    position = run.take(events, mask, position..<end, &ledger)
                    if run.isSound { continue }
                    stop = .corrupt(ring: ring)
                    break
                }
                run.key = next
                position &+= 1
                let addressSize = tm_load64(&event.pointee.address_size)
                let address = addressSize & Block.mask48
                let stackSize = tm_load64(&event.pointee.stack_size)
                let size = Self.size(addressSize, stackSize)
                let stack = UInt32(truncatingIfNeeded: stackSize)
                let clock = next >> 1
                var isSound = true
                switch kind {
                case TM_EVENT_OWN_FREE.rawValue:
                    ledger.freeIfKnown(address: address, clock: clock)
                    ownFrees &+= 1
                case TM_EVENT_REALLOC_RELEASE.rawValue:
                    isSound = ledger.release(address: address, ring: ring, clock: clock)
                case TM_EVENT_REALLOC_RESULT.rawValue:
                    isSound = ledger.result(address: address, size: size, stack: stack, ring: ring, clock: clock, last: &run.last)
                case TM_EVENT_REALLOC_FAILED.rawValue:
                    isSound = ledger.fail(address: address, ring: ring)
                case TM_EVENT_DOMAIN.rawValue:
                    cursor.pointee.domain = address
                case TM_EVENT_TRACK.rawValue:
                    isSound = ledger.track(domain: cursor.pointee.domain, address: address, size: size, stack: stack, clock: clock)
                    cursor.pointee.domain = 0
                case TM_EVENT_UNTRACK.rawValue:
                    ledger.untrack(domain: cursor.pointee.domain, address: address, clock: clock)
                    cursor.pointee.domain = 0
                case TM_EVENT_CONTROL.rawValue:
                    stop = .control(kind: address, argument: size, clock: clock)
                    break loop
                default:
                    isSound = false
                }
                if !isSound {
                    stop = .corrupt(ring: ring)
                    break
                }
            }
            cursor.pointee.tail = position
            cursor.pointee.key = run.key
            cursor.pointee.last = run.last
            cursor.pointee.fetched = run.fetched
            // The collector frees memory of its own in this process: that is nothing to wake up for.
            cursor.pointee.ownFrees &+= ownFrees
            ledger.countEvents(Int(truncatingIfNeeded: position &- first &- ownFrees))
            return stop
        }

        /// Takes a block that is freed at once, up to `latest` if need be, and all that are like it. Returns the position of the first
        /// event that was not taken.
        private mutating func takePair(
            _ events: UnsafeMutablePointer<tm_event>, _ mask: UInt64, _ positions: Range<UInt64>, latest: UInt64, _ run: inout Run
        ) -> UInt64 {
            let (position, end) = (positions.lowerBound, positions.upperBound)
            if end &- position < 2 { return position }
            let event = events + Int(position & mask)
            let following = events + Int((position &+ 1) & mask)
            let (addressSize, stackSize) = (tm_load64(&event.pointee.address_size), tm_load64(&event.pointee.stack_size))
            let (address, size) = (addressSize & Block.mask48, Self.size(addressSize, stackSize))
            let key = max(Self.key(tm_load64(&event.pointee.time_kind)), run.key)
            let freed = tm_load64(&following.pointee.time_kind)
            let freedKey = max(Self.key(freed), key)
            guard freedKey <= latest, Self.isFree(following, freed, of: address), freedKey <= run.limit || !lead.mayConcern(address),
                ledger.mayPass(address, freedKey <= run.limit ? size : 0)
            else { return position }
            let stack = UInt32(truncatingIfNeeded: stackSize)
            let row = ledger.rows.find(stack)
            guard ledger.pass(address: address, size: size, row: row, from: key >> 1, to: freedKey >> 1) else { return position }
            run.key = freedKey
            run.last.address = 0
            let next = position &+ 2
            guard next != end, UInt32(truncatingIfNeeded: tm_load64(&events[Int(next & mask)].stack_size)) == stack, ledger.mayRepeat(row)
            else { return next }
            var alike = Alike(stack: stack, row: row, limit: run.limit, latest: latest, key: freedKey)
            let taken = alike.take(events, mask, next..<end, lead, &ledger)
            run.key = alike.key
            return taken
        }

        // MARK: A binary heap of the rings' fronts

        private mutating func push(_ front: Front) {
            var index = heapCount
            heapCount += 1
            while index > 0, heap[(index - 1) / 2].key > front.key {
                heap[index] = heap[(index - 1) / 2]
                index = (index - 1) / 2
            }
            heap[index] = front
        }

        private mutating func removeTop() {
            heapCount &-= 1
            if heapCount > 0 { replaceTop(heap[heapCount]) }
        }

        @inline(__always)
        private func replaceTop(_ front: Front) {
            var index = 0
            while true {
                var child = index &* 2 &+ 1
                if child >= heapCount { break }
                if child &+ 1 < heapCount && heap[child &+ 1].key < heap[child].key { child &+= 1 }
                if heap[child].key >= front.key { break }
                heap[index] = heap[child]
                index = child
            }
            heap[index] = front
        }
    }
}
