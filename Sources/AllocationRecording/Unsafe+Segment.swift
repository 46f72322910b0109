// Unsafe+Segment.swift: a part of the table of live blocks, itself a hash table that does not grow.
import CRecording

extension Unsafe {
    /// One live block in 24 bytes.
    struct Block: BitwiseCopyable {
        /// Address in the low 48 bits, generation above.
        var addressGeneration: UInt64
        /// Size in the low 48 bits, low 16 bits of the birth above.
        var sizeBirth: UInt64
        /// Row of the stack that allocated it in the low 32 bits, high 32 bits of the birth above.
        var rowBirth: UInt64

        static let empty = Block(addressGeneration: 0, sizeBirth: 0, rowBirth: 0)
        static let mask48: UInt64 = (1 << 48) - 1

        @inline(__always)
        init(address: UInt64, size: UInt64, row: UInt32, generation: UInt64, birth: UInt64) {
            addressGeneration = address | generation << 48
            sizeBirth = size & Self.mask48 | birth << 48
            rowBirth = UInt64(row) | (birth << 16) & ~0xffff_ffff
        }

        private init(addressGeneration: UInt64, sizeBirth: UInt64, rowBirth: UInt64) {
            self.addressGeneration = addressGeneration
            self.sizeBirth = sizeBirth
            self.rowBirth = rowBirth
        }

        @inline(__always) var address: UInt64 { addressGeneration & Self.mask48 }
        @inline(__always) var generation: Int { Int(addressGeneration >> 48) }
        @inline(__always) var size: Int { Int(sizeBirth & Self.mask48) }
        @inline(__always) var row: Int { Int(rowBirth & 0xffff_ffff) }
        /// Time of birth, in 48 bits of the recording's coarse clock.
        @inline(__always) var birth: UInt64 { sizeBirth >> 48 | (rowBirth >> 32) << 16 }
    }

    /// A hash table of 64 chunks: 14 blocks each, with 32 bytes of tags apart.
    ///
    ///     tags    ┌ 16 bits of each block's hash, or 0 ─┬ elsewhere ┐     2.3 bytes a slot: most of it stays in the cache
    ///     blocks  └ 14 blocks of 24 bytes ──────────────┴───────────┘
    ///
    /// A block goes into the emptier one of two chunks (Azar et al., Balanced Allocations, 1994), so they fill up evenly: as long as the
    /// segment is not nearly full, one of the two has room. Two comparisons of 16 tags find a block or its absence, without a branch for
    /// each slot or chunk: with random addresses it is mispredicted branches that cost most, and reads of blocks that are others with
    /// the same tag. A chunk counts the blocks that are in neither of their chunks, so a search knows when to look everywhere.
    struct Segment: BitwiseCopyable, Equatable {
        private let memory: UnsafeMutableRawPointer

        private static let chunkCount = 64
        /// Of blocks in a chunk.
        private static let size = 14
        static let capacity = size * chunkCount
        private static let tagBytes = 32
        static let byteCount = chunkCount * tagBytes + capacity * MemoryLayout<Block>.stride
        private static let places: UInt32 = (1 << 14) - 1

        /// In memory of `byteCount` zeros that begins at a multiple of 64.
        @inline(__always)
        init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

        /// The two chunks where a block may be, and what it is known by there. The upper half of the hash has led to this segment.
        private struct Home {
            let first: Int
            let second: Int
            let tag: UInt16

            @inline(__always)
            init(_ hash: UInt64) {
                first = Int(truncatingIfNeeded: hash &>> 26) & (chunkCount &- 1)
                // Another one than the first.
                second = first ^ (Int(truncatingIfNeeded: hash &>> 32) & (chunkCount &- 1) | 1)
                tag = max(UInt16(truncatingIfNeeded: hash &>> 8), 1)
            }
        }

        private struct Place {
            let chunk: Int
            let index: Int
        }

        @inline(__always)
        private func tags(_ chunk: Int) -> UnsafeMutablePointer<UInt16> {
            (memory + chunk &* Self.tagBytes).assumingMemoryBound(to: UInt16.self)
        }

        /// How many blocks there are whose first chunk it is, and that are in neither of theirs.
        @inline(__always)
        private func elsewhere(_ home: Home) -> UnsafeMutablePointer<UInt16> { tags(home.first) + Self.size }

        @inline(__always)
        private func slot(_ place: Place) -> UnsafeMutablePointer<Block> {
            (memory + Self.chunkCount &* Self.tagBytes).assumingMemoryBound(to: Block.self) + (place.chunk &* Self.size &+ place.index)
        }

        @inline(__always)
        private func match(_ chunk: Int, _ tag: UInt16) -> UInt32 { tm_match_tags(tags(chunk), tag) & Self.places }

        /// Places with the block's tag; from bit 16 on those in its second chunk.
        @inline(__always)
        private func match(_ home: Home) -> UInt32 { match(home.first, home.tag) | match(home.second, home.tag) &<< 16 }

        /// The place of the lowest bit of `match`.
        @inline(__always)
        private func place(_ home: Home, _ matches: UInt32) -> Place {
            let bit = matches.trailingZeroBitCount
            return Place(chunk: bit < 16 ? home.first : home.second, index: bit & 15)
        }

        /// Where a new block goes: places are taken in order, so the chunk whose first free one is lower is nearly always the emptier.
        /// Its index is out of range when both chunks are full.
        @inline(__always)
        private func free(_ home: Home) -> Place {
            let (first, second) = (match(home.first, 0).trailingZeroBitCount, match(home.second, 0).trailingZeroBitCount)
            return Place(chunk: first <= second ? home.first : home.second, index: min(first, second))
        }

        @inline(__always)
        private func find(_ address: UInt64, _ hash: UInt64) -> Place? {
            let home = Home(hash)
            var matches = match(home)
            while matches != 0 {
                let place = place(home, matches)
                if slot(place).pointee.address == address { return place }
                matches &= matches &- 1
            }
            return elsewhere(home).pointee == 0 ? nil : findElsewhere(address, home.tag)
        }

        @inline(never)
        private func findElsewhere(_ address: UInt64, _ tag: UInt16) -> Place? {
            for chunk in 0..<Self.chunkCount {
                var matches = match(chunk, tag)
                while matches != 0 {
                    let place = Place(chunk: chunk, index: matches.trailingZeroBitCount)
                    if slot(place).pointee.address == address { return place }
                    matches &= matches &- 1
                }
            }
            return nil
        }

        @inline(__always)
        func block(at address: UInt64, _ hash: UInt64) -> Block? { find(address, hash).map { slot($0).pointee } }

        /// False: no block has this hash.
        @inline(__always)
        func mayContain(_ hash: UInt64) -> Bool {
            let home = Home(hash)
            return match(home) != 0 || elsewhere(home).pointee != 0
        }

        /// Puts another block in the place of the one that has its address, which is returned; nil: there is none.
        @inline(__always)
        func replace(_ block: Block, _ hash: UInt64) -> Block? {
            guard let place = find(block.address, hash) else { return nil }
            let old = slot(place).pointee
            slot(place).pointee = block
            return old
        }

        /// Puts a block in whose address is not there, into one of its chunks. False: both are full.
        @inline(__always)
        func add(_ block: Block, _ hash: UInt64) -> Bool {
            let home = Home(hash)
            let place = free(home)
            if place.index >= Self.size { return false }
            put(block, home.tag, place)
            return true
        }

        /// Puts it wherever there is room when both are full. False: there is none.
        @inline(__always)
        func addAnywhere(_ block: Block, _ hash: UInt64) -> Bool { add(block, hash) || addElsewhere(block, Home(hash)) }

        @inline(never)
        private func addElsewhere(_ block: Block, _ home: Home) -> Bool {
            for chunk in 0..<Self.chunkCount {
                let place = Place(chunk: chunk, index: match(chunk, 0).trailingZeroBitCount)
                if place.index >= Self.size { continue }
                put(block, home.tag, place)
                elsewhere(home).pointee &+= 1
                return true
            }
            return false
        }

        @inline(__always)
        private func put(_ block: Block, _ tag: UInt16, _ place: Place) {
            tags(place.chunk)[place.index] = tag
            slot(place).pointee = block
        }

        /// Takes a block out.
        @inline(__always)
        func remove(_ address: UInt64, _ hash: UInt64) -> Block? {
            guard let place = find(address, hash) else { return nil }
            clear(place, hash)
            return slot(place).pointee
        }

        @inline(__always)
        private func clear(_ place: Place, _ hash: UInt64) {
            let home = Home(hash)
            tags(place.chunk)[place.index] = 0
            if place.chunk != home.first && place.chunk != home.second { elsewhere(home).pointee &-= 1 }
        }

        // MARK: All blocks. Complexity: the capacity.

        var count: Int { (0..<Self.chunkCount).reduce(0) { $0 &+ used($1).nonzeroBitCount } }

        @inline(__always)
        private func used(_ chunk: Int) -> UInt32 { ~match(chunk, 0) & Self.places }

        func visit(_ body: (Block) -> Void) {
            for chunk in 0..<Self.chunkCount {
                var used = used(chunk)
                while used != 0 {
                    body(slot(Place(chunk: chunk, index: used.trailingZeroBitCount)).pointee)
                    used &= used &- 1
                }
            }
        }

        /// Moves all blocks with hashes from `first` on, as many as `width`. False: the other segment is full, not all have been moved.
        @inline(__always)
        func move(to other: Segment, from first: UInt64, _ width: UInt64, hash: (UInt64) -> UInt64) -> Bool {
            for chunk in 0..<Self.chunkCount {
                // Whether a block is to move is not foreseeable: no branch for each.
                var moving: UInt32 = 0
                for index in 0..<Self.size {
                    let address = slot(Place(chunk: chunk, index: index)).pointee.address
                    let isMoving: UInt32 = hash(address) &- first < width ? 1 : 0
                    moving |= isMoving &<< UInt32(truncatingIfNeeded: index)
                }
                moving &= used(chunk)
                while moving != 0 {
                    let place = Place(chunk: chunk, index: moving.trailingZeroBitCount)
                    let block = slot(place).pointee
                    let hash = hash(block.address)
                    if !other.addAnywhere(block, hash) { return false }
                    clear(place, hash)
                    moving &= moving &- 1
                }
            }
            return true
        }

        // MARK: Fetching

        @inline(__always)
        func fetchTags(_ hash: UInt64) {
            let home = Home(hash)
            tm_prefetch(tags(home.first))
            tm_prefetch(tags(home.second))
        }

        /// Fetches the slot where the block probably is or, when `isNew`, will be. Another one where it is not, harmless.
        @inline(__always)
        func fetchSlot(_ hash: UInt64, isNew: Bool) {
            let block = isNew ? newSlot(hash) : likelySlot(hash)
            tm_prefetch(block)
            tm_prefetch(UnsafeRawPointer(block) + 23)
        }

        @inline(__always)
        private func newSlot(_ hash: UInt64) -> UnsafeMutablePointer<Block> {
            let place = free(Home(hash))
            return slot(Place(chunk: place.chunk, index: min(place.index, Self.size &- 1)))
        }

        @inline(__always)
        private func likelySlot(_ hash: UInt64) -> UnsafeMutablePointer<Block> {
            let home = Home(hash)
            return slot(place(home, match(home) | 1 &<< 29))
        }

        /// Reads a slot that `fetchSlot` fetched.
        @inline(__always)
        func likelyRow(_ hash: UInt64) -> Int { likelySlot(hash).pointee.row }
    }
}
