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

    /// A hash table of 64 chunks: 14 blocks each, with 16 bytes of tags apart.
    ///
    ///     tags    ┌ 8 bits of each block's hash, or 0 ─┬ overflow ┐     1.1 bytes a slot: stays in the cache
    ///     blocks  └ 14 blocks of 24 bytes ─────────────┴──────────┘
    ///
    /// One comparison of 16 tags finds a block or its absence, without a branch for each slot: with random addresses it is
    /// mispredicted branches that cost most. A chunk counts the blocks that had to go past it to the next, so a search knows
    /// when to stop and deletion leaves no tombstones.
    struct Segment: BitwiseCopyable, Equatable {
        private let tags: UnsafeMutablePointer<UInt8>

        static let chunkCount = 64
        /// Of blocks in a chunk.
        private static let size = 14
        static let capacity = size * chunkCount
        static let byteCount = chunkCount * 16 + capacity * MemoryLayout<Block>.stride
        private static let slotMask: UInt32 = (1 << 14) - 1
        /// Place of the overflow count among a chunk's tags. A count that reached the most stays there.
        private static let overflow = 14
        private static let mostOverflow: UInt8 = 255

        /// In memory of `byteCount` zeros that begins at a multiple of 16.
        @inline(__always)
        init(_ memory: UnsafeMutableRawPointer) { tags = memory.assumingMemoryBound(to: UInt8.self) }

        @inline(__always)
        private var blocks: UnsafeMutablePointer<Block> {
            UnsafeMutableRawPointer(tags + Self.chunkCount &* 16).assumingMemoryBound(to: Block.self)
        }

        /// The chunk where a block goes if it has room. The upper half of the hash has led to this segment.
        @inline(__always)
        private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> 26) & (Self.chunkCount &- 1) }

        @inline(__always)
        private func tag(_ hash: UInt64) -> UInt8 { max(UInt8(truncatingIfNeeded: hash >> 8), 1) }

        @inline(__always)
        private func match(_ chunk: Int, _ tag: UInt8) -> UInt32 { tm_match_tags(tags + chunk &* 16, tag) & Self.slotMask }

        @inline(__always)
        private func slot(_ chunk: Int, _ matches: UInt32) -> Int { chunk &* Self.size &+ matches.trailingZeroBitCount }

        @inline(__always)
        private func next(_ chunk: Int) -> Int { (chunk &+ 1) & (Self.chunkCount &- 1) }

        @inline(__always)
        private func find(_ address: UInt64, _ hash: UInt64) -> (chunk: Int, slot: Int)? {
            var chunk = home(hash)
            let tag = tag(hash)
            var left = Self.chunkCount
            while true {
                var matches = match(chunk, tag)
                while matches != 0 {
                    let slot = slot(chunk, matches)
                    if blocks[slot].address == address { return (chunk, slot) }
                    matches &= matches &- 1
                }
                left &-= 1
                if tags[chunk &* 16 &+ Self.overflow] == 0 || left == 0 { return nil }
                chunk = next(chunk)
            }
        }

        @inline(__always)
        func block(at address: UInt64, _ hash: UInt64) -> Block? { find(address, hash).map { blocks[$0.slot] } }

        /// False: no block has this hash.
        @inline(__always)
        func mayContain(_ hash: UInt64) -> Bool {
            let chunk = home(hash)
            return match(chunk, tag(hash)) != 0 || tags[chunk &* 16 &+ Self.overflow] != 0
        }

        /// Puts another block in the place of the one that has its address, which is returned; nil: there is none.
        @inline(__always)
        func replace(_ block: Block, _ hash: UInt64) -> Block? {
            guard let (_, slot) = find(block.address, hash) else { return nil }
            let old = blocks[slot]
            blocks[slot] = block
            return old
        }

        /// Puts a block in whose address is not there, into one of so many chunks. False: all of them are full.
        @inline(__always)
        func add(_ block: Block, _ hash: UInt64, reach: Int) -> Bool {
            let home = home(hash)
            var chunk = home
            var free = match(chunk, 0)
            var left = reach
            while free == 0 {
                left &-= 1
                if left == 0 { return false }
                chunk = next(chunk)
                free = match(chunk, 0)
            }
            countPassing(home, chunk, 1)
            tags[chunk &* 16 &+ free.trailingZeroBitCount] = tag(hash)
            blocks[slot(chunk, free)] = block
            return true
        }

        /// Takes a block out.
        @inline(__always)
        func remove(_ address: UInt64, _ hash: UInt64) -> Block? {
            guard let (chunk, slot) = find(address, hash) else { return nil }
            clear(chunk, slot &- chunk &* Self.size, hash)
            return blocks[slot]
        }

        @inline(__always)
        private func clear(_ chunk: Int, _ place: Int, _ hash: UInt64) {
            tags[chunk &* 16 &+ place] = 0
            countPassing(home(hash), chunk, -1)
        }

        /// A block that goes past all chunks from `home` to the one before `chunk` comes or goes.
        @inline(__always)
        private func countPassing(_ home: Int, _ chunk: Int, _ change: Int8) {
            var passed = home
            while passed != chunk {
                let overflow = tags + (passed &* 16 &+ Self.overflow)
                if overflow.pointee != Self.mostOverflow { overflow.pointee &+= UInt8(bitPattern: change) }
                passed = next(passed)
            }
        }

        // MARK: All blocks. Complexity: the capacity.

        var count: Int {
            let chunks = UnsafeRawPointer(tags).assumingMemoryBound(to: SIMD16<UInt8>.self)
            var sums = SIMD16<UInt8>()
            for chunk in 0..<Self.chunkCount {
                let tags = chunks[chunk]
                // The upper bit of a number or of its negation, if it is not 0.
                sums &+= (tags | (SIMD16() &- tags)) &>> 7
            }
            sums[14] = 0
            sums[15] = 0
            return Int(SIMD16<UInt16>(truncatingIfNeeded: sums).wrappedSum())
        }

        func visit(_ body: (Block) -> Void) {
            for chunk in 0..<Self.chunkCount {
                var used = ~match(chunk, 0) & Self.slotMask
                while used != 0 {
                    body(blocks[slot(chunk, used)])
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
                for place in 0..<Self.size {
                    let isMoving: UInt32 = hash(blocks[chunk &* Self.size &+ place].address) &- first < width ? 1 : 0
                    moving |= isMoving &<< UInt32(truncatingIfNeeded: place)
                }
                moving &= ~match(chunk, 0)
                while moving != 0 {
                    let block = blocks[slot(chunk, moving)]
                    let hash = hash(block.address)
                    if !other.add(block, hash, reach: Self.chunkCount) { return false }
                    clear(chunk, moving.trailingZeroBitCount, hash)
                    moving &= moving &- 1
                }
            }
            return true
        }

        // MARK: Fetching

        @inline(__always)
        func fetchTags(_ hash: UInt64) { tm_prefetch(tags + home(hash) &* 16) }

        /// Where the block probably is or, when `isNew`, will be.
        @inline(__always)
        private func likelySlot(_ hash: UInt64, isNew: Bool) -> Int {
            // No match: the chunk's last slot, harmless.
            let home = home(hash)
            return slot(home, match(home, isNew ? 0 : tag(hash)) | 1 << 13)
        }

        @inline(__always)
        func fetchSlot(_ hash: UInt64, isNew: Bool) {
            let block = UnsafeRawPointer(blocks + likelySlot(hash, isNew: isNew))
            tm_prefetch(block)
            tm_prefetch(block + 23)
        }

        /// Reads a slot that `fetchSlot` fetched.
        @inline(__always)
        func likelyRow(_ hash: UInt64) -> Int { blocks[likelySlot(hash, isNew: false)].row }
    }
}
