// Unsafe+LiveTable.swift: the blocks that are alive and no longer young, by address.
import CRecording

extension Unsafe {
    /// A hash table that grows piece by piece. A directory leads to segments of 896 slots, as in extendible hashing (Fagin et al., 1979);
    /// as in a B*-tree (Knuth, volume 3, 6.2.4) two neighbors that are full become three, and one that is full first gives to a neighbor
    /// that has much more room. That takes 10 µs, whatever the number of blocks.
    ///
    ///     directory   │A│A│A│A│A│A│A│A│B│B│B│B│B│B│B│     a slot is a range of hashes
    ///                 │A│A│A│A│A│N│N│N│N│N│B│B│B│B│B│     A is full, B nearly: a new one gets a third of the hashes of both
    ///
    /// To move a million blocks at once would take 50 ms, in which the program fills its ring and waits. Segments have unequal ranges of
    /// hashes, so they are not all full at the same time and half empty soon after: a block costs 34.7 to 39.1 bytes at any time.
    struct LiveTable {
        private var directory: Pages<Segment>
        private var slots: Int
        private var slabs: [Pages<UInt8>] = []
        /// How much of the last slab has been taken.
        private var taken = 0
        /// An empty segment that was made and could not be used.
        private var spare: Segment?
        private(set) var count = 0
        private(set) var segmentCount = 0
        private let seed: UInt64

        /// Slots of the first segments.
        private static let shares = [8, 9, 10, 11]

        init?(seed: UInt64) {
            slots = Self.shares.reduce(0, +)
            guard let directory = Pages<Segment>(capacity: slots) else { return nil }
            self.directory = directory
            self.seed = seed
            var slot = 0
            for share in Self.shares {
                guard let segment = newSegment() else {
                    free()
                    return nil
                }
                for _ in 0..<share {
                    directory[slot] = segment
                    slot += 1
                }
            }
        }

        var byteCount: Int { segmentCount * Segment.byteCount + directory.byteCount }

        func free() {
            directory.free()
            for slab in slabs { slab.free() }
        }

        /// The seed keeps a program from choosing addresses that all meet in one chunk.
        @inline(__always)
        func hash(_ address: UInt64) -> UInt64 {
            var hash = (address ^ seed) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
            return hash &* 0xd6e8_feb8_6659_fd93
        }

        /// The slot of the directory.
        @inline(__always)
        private func home(_ hash: UInt64) -> Int {
            Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(truncatingIfNeeded: slots)).high)
        }

        /// Where a block with this hash is, or goes.
        @inline(__always)
        func segment(_ hash: UInt64) -> Segment { directory.base[home(hash)] }

        // MARK: Changes

        /// Puts a block in. The block that had the address before, if any, is replaced, and becomes `old`. False: memory is short.
        @inline(__always)
        mutating func insert(_ block: Block, replacing old: inout Block?) -> Bool {
            let hash = hash(block.address)
            old = segment(hash).replace(block, hash)
            return old != nil || add(block, hash)
        }

        /// Puts a block in whose address is not there. False: memory is short.
        @inline(__always)
        mutating func add(_ block: Block) -> Bool { add(block, hash(block.address)) }

        @inline(__always)
        private mutating func add(_ block: Block, _ hash: UInt64) -> Bool {
            if !segment(hash).add(block, hash) && !addToFull(block, hash) { return false }
            count &+= 1
            return true
        }

        /// Takes a block out.
        @inline(__always)
        mutating func remove(_ address: UInt64) -> Block? {
            let hash = hash(address)
            guard let block = segment(hash).remove(address, hash) else { return nil }
            count &-= 1
            return block
        }

        func block(at address: UInt64) -> Block? {
            let hash = hash(address)
            return segment(hash).block(at: address, hash)
        }

        /// False: it does not. Nearly always right when true.
        @inline(__always)
        func mayContain(_ address: UInt64) -> Bool {
            let hash = hash(address)
            return segment(hash).mayContain(hash)
        }

        func contains(_ address: UInt64) -> Bool { block(at: address) != nil }

        func visit(_ body: (Block) -> Void) {
            var slot = 0
            while slot < slots {
                directory[slot].visit(body)
                slot = range(slot).upperBound
            }
        }

        // MARK: Growing

        /// 0.9
        private static let mostFull = Segment.capacity * 90 / 100

        /// A block that finds both its chunks full is when it is asked whether the segment is: to keep a count of each segment would be
        /// another miss for each block.
        @inline(never)
        private mutating func addToFull(_ block: Block, _ hash: UInt64) -> Bool {
            // When memory is short it fills up.
            if segment(hash).count >= Self.mostFull { _ = grow(hash) }
            return segment(hash).addAnywhere(block, hash)
        }

        /// Makes more room for blocks with hashes like this one. False: memory is short.
        private mutating func grow(_ hash: UInt64) -> Bool {
            let full = range(home(hash))
            let neighbors = [full.lowerBound - 1, full.upperBound].filter { 0..<slots ~= $0 }.map(range).sorted { $0.count < $1.count }
            guard let smallest = neighbors.first, let largest = neighbors.last else { return false }
            if smallest.count * 10 < full.count * 7 { return even(full, smallest) }
            let (lower, upper) = full.lowerBound < largest.lowerBound ? (full, largest) : (largest, full)
            let third = (lower.count + upper.count) / 3
            if third < Self.fewSlots { return doubleDirectory() && grow(hash) }
            guard let new = newSegment() else { return false }
            let fromLower = min(lower.lowerBound + third, lower.upperBound)..<lower.upperBound
            if move(fromLower, to: new) {
                if move(upper.lowerBound..<max(upper.upperBound - third, upper.lowerBound), to: new) { return true }
                // Nearly all hashes are among a third of them: not by chance.
                _ = move(fromLower, to: directory[lower.lowerBound])
            }
            spare = new
            return false
        }

        /// A neighbor gets so much of a segment's range that both have half.
        private func even(_ full: Range<Int>, _ neighbor: Range<Int>) -> Bool {
            let given = (full.count - neighbor.count + 1) / 2
            let isAbove = neighbor.lowerBound > full.lowerBound
            let slots = isAbove ? full.upperBound - given..<full.upperBound : full.lowerBound..<full.lowerBound + given
            return move(slots, to: directory[neighbor.lowerBound])
        }

        /// Slots of one segment lead to another one, which gets their blocks. False: they do not all fit in, nothing has been moved.
        private func move(_ slots: Range<Int>, to other: Segment) -> Bool {
            let segment = directory[slots.lowerBound]
            let first = firstHash(slots.lowerBound)
            let width = firstHash(slots.upperBound) &- first
            if !segment.move(to: other, from: first, width, hash: hash) {
                _ = other.move(to: segment, from: first, width, hash: hash)
                return false
            }
            for slot in slots { directory[slot] = other }
            return true
        }

        /// The least hash that leads to a slot, or past the last one: 0.
        private func firstHash(_ slot: Int) -> UInt64 {
            if slot == slots { return 0 }
            let (quotient, remainder) = UInt64(slots).dividingFullWidth((UInt64(slot), 0))
            return remainder == 0 ? quotient : quotient + 1
        }

        /// The slots that lead to the same segment as this one.
        private func range(_ slot: Int) -> Range<Int> {
            let segment = directory[slot]
            var (first, end) = (slot, slot + 1)
            while first > 0 && directory[first - 1] == segment { first -= 1 }
            while end < slots && directory[end] == segment { end += 1 }
            return first..<end
        }

        /// An empty one, not in the directory. Nil when memory is short.
        private mutating func newSegment() -> Segment? {
            if let spare {
                self.spare = nil
                return spare
            }
            if slabs.isEmpty || slabs[slabs.count - 1].byteCount - taken < Segment.byteCount {
                guard let slab = Pages<UInt8>(capacity: nextSlab) else { return nil }
                slabs.append(slab)
                taken = 0
            }
            defer {
                taken += Segment.byteCount
                segmentCount += 1
            }
            return Segment(UnsafeMutableRawPointer(slabs[slabs.count - 1].base + taken))
        }

        /// Ranges that are smaller cannot be divided well.
        private static let fewSlots = 4
        /// On average.
        private static let manySlots = 64

        private static let hugePage = 2 << 20

        /// Memory that was never touched costs nothing but addresses; from huge pages on it is touched by these.
        private var nextSlab: Int {
            let size = segmentCount * Segment.byteCount
            if size < Self.hugePage { return max(size, 8 * Segment.byteCount) }
            return max(size / 8 / Self.hugePage, 1) * Self.hugePage
        }

        /// Each slot becomes two. False also where ranges have become so small that hashes cannot be distributed by chance.
        private mutating func doubleDirectory() -> Bool {
            guard slots < segmentCount * Self.manySlots, let larger = Pages<Segment>(capacity: slots * 2) else { return false }
            for slot in 0..<slots * 2 { larger[slot] = directory[slot / 2] }
            directory.free()
            directory = larger
            slots *= 2
            return true
        }
    }
}
