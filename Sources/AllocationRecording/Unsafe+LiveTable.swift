// Unsafe+LiveTable.swift: the blocks that are alive, by address.
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

    /// A hash table of chunks: 14 blocks each, with 16 bytes of tags apart.
    ///
    ///     tags    ┌ 7 bits of each block's hash, or 0 ─┬ overflow ┐     1.1 bytes a slot: stays in the cache
    ///     blocks  └ 14 blocks of 24 bytes ─────────────┴──────────┘
    ///
    /// One comparison of 16 tags finds a block or its absence, without a branch for each slot: with random addresses it is
    /// mispredicted branches that cost most. A chunk counts the blocks that had to go past it to the next, so a search knows
    /// when to stop and deletion leaves no tombstones. The table grows by half at a load of 0.8: 31 to 47 bytes a block.
    struct LiveTable {
        private var tags: Pages<UInt8>
        private var blocks: Pages<Block>
        private var chunks: UInt64
        private var limit: Int
        private(set) var count = 0
        private let seed: UInt64

        private static let perChunk = 14
        private static let slotMask: UInt32 = (1 << 14) - 1
        /// Place of the overflow count among a chunk's tags. A count that reached the most stays there.
        private static let overflow = 14
        private static let mostOverflow: UInt8 = 255

        init?(seed: UInt64) { self.init(seed: seed, chunks: 256) }

        init?(seed: UInt64, chunks: Int) {
            guard let tags = Pages<UInt8>(capacity: chunks * 16) else { return nil }
            guard let blocks = Pages<Block>(capacity: chunks * Self.perChunk) else {
                tags.free()
                return nil
            }
            self.tags = tags
            self.blocks = blocks
            self.chunks = UInt64(chunks)
            self.seed = seed
            limit = chunks * Self.perChunk / 5 * 4
        }

        var byteCount: Int { tags.byteCount + blocks.byteCount }

        func free() {
            tags.free()
            blocks.free()
        }

        /// The seed keeps a program from choosing addresses that all meet in one chunk.
        @inline(__always)
        private func hash(_ address: UInt64) -> UInt64 {
            var hash = (address ^ seed) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
            return hash &* 0xd6e8_feb8_6659_fd93
        }

        /// The hash scaled to the number of chunks, which may be any.
        @inline(__always)
        private func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash.multipliedFullWidth(by: chunks).high) }

        @inline(__always)
        private func tag(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash >> 8) | 0x80 }

        @inline(__always)
        private func match(_ chunk: Int, _ tag: UInt8) -> UInt32 { tm_match_tags(tags.base + chunk &* 16, tag) & Self.slotMask }

        @inline(__always)
        private func slot(_ chunk: Int, _ matches: UInt32) -> Int { chunk &* Self.perChunk &+ matches.trailingZeroBitCount }

        @inline(__always)
        private func next(_ chunk: Int) -> Int { chunk &+ 1 == Int(chunks) ? 0 : chunk &+ 1 }

        @inline(__always)
        private func find(_ address: UInt64, _ home: Int, _ tag: UInt8) -> (chunk: Int, slot: Int)? {
            var chunk = home
            var left = chunks
            while true {
                var matches = match(chunk, tag)
                while matches != 0 {
                    let slot = slot(chunk, matches)
                    if blocks.base[slot].address == address { return (chunk, slot) }
                    matches &= matches &- 1
                }
                left &-= 1
                if tags.base[chunk &* 16 &+ Self.overflow] == 0 || left == 0 { return nil }
                chunk = next(chunk)
            }
        }

        // MARK: Prefetching, in three steps some events apart: the tags, the slot, the stack row that the slot names.

        @inline(__always)
        func prefetchTags(_ address: UInt64) { tm_prefetch(tags.base + home(hash(address)) &* 16) }

        /// Where the block probably is or, when `isNew`, will be.
        @inline(__always)
        private func likelySlot(_ address: UInt64, isNew: Bool) -> Int {
            let hash = hash(address)
            let chunk = home(hash)
            // No match: the chunk's last slot, harmless.
            return slot(chunk, match(chunk, isNew ? 0 : tag(hash)) | 1 << 13)
        }

        @inline(__always)
        func prefetchSlot(_ address: UInt64, isNew: Bool) {
            let block = UnsafeRawPointer(blocks.base + likelySlot(address, isNew: isNew))
            tm_prefetch(block)
            tm_prefetch(block + 23)
        }

        /// Reads the slot that `prefetchSlot` fetched, of new blocks also: any other would be a cache miss.
        @inline(__always)
        func likelyRow(_ address: UInt64, isNew: Bool) -> Int { blocks.base[likelySlot(address, isNew: isNew)].row }

        // MARK: Changes

        /// Puts a block in. The block that had the address before, if any, is replaced and returned.
        /// Call `reserve` before, it makes the room.
        @inline(__always)
        mutating func insert(_ block: Block) -> Block? {
            let hash = hash(block.address)
            let home = home(hash)
            let tag = tag(hash)
            if let (_, slot) = find(block.address, home, tag) {
                let old = blocks.base[slot]
                blocks.base[slot] = block
                return old
            }
            add(block, home, tag)
            return nil
        }

        @inline(__always)
        private mutating func add(_ block: Block, _ home: Int, _ tag: UInt8) {
            var chunk = home
            var free = match(chunk, 0)
            while free == 0 {
                let overflow = tags.base + (chunk &* 16 &+ Self.overflow)
                if overflow.pointee != Self.mostOverflow { overflow.pointee &+= 1 }
                chunk = next(chunk)
                free = match(chunk, 0)
            }
            tags.base[chunk &* 16 &+ free.trailingZeroBitCount] = tag
            blocks.base[slot(chunk, free)] = block
            count &+= 1
        }

        /// Takes a block out.
        @inline(__always)
        mutating func remove(_ address: UInt64) -> Block? {
            let hash = hash(address)
            let home = home(hash)
            guard let (chunk, slot) = find(address, home, tag(hash)) else { return nil }
            tags.base[chunk &* 16 &+ (slot &- chunk &* Self.perChunk)] = 0
            var passed = home
            while passed != chunk {
                let overflow = tags.base + (passed &* 16 &+ Self.overflow)
                if overflow.pointee != Self.mostOverflow { overflow.pointee &-= 1 }
                passed = next(passed)
            }
            count &-= 1
            return blocks.base[slot]
        }

        func block(at address: UInt64) -> Block? {
            let hash = hash(address)
            return find(address, home(hash), tag(hash)).map { blocks.base[$0.slot] }
        }

        func contains(_ address: UInt64) -> Bool { find(address, home(hash(address)), tag(hash(address))) != nil }

        @inline(__always)
        mutating func reserve() -> Bool { count < limit || grow() }

        /// The order of chunks is the order of hashes: growing walks both tables from their beginning to their end.
        @inline(never)
        private mutating func grow() -> Bool {
            guard var larger = LiveTable(seed: seed, chunks: Int(chunks) / 2 * 3) else { return false }
            visit { block in
                let hash = hash(block.address)
                larger.add(block, larger.home(hash), tag(hash))
            }
            free()
            self = larger
            return true
        }

        mutating func removeAll() -> Bool {
            guard let empty = LiveTable(seed: seed) else { return false }
            free()
            self = empty
            return true
        }

        func visit(_ body: (Block) -> Void) {
            for chunk in 0..<Int(chunks) {
                var used = ~match(chunk, 0) & Self.slotMask
                while used != 0 {
                    body(blocks.base[slot(chunk, used)])
                    used &= used &- 1
                }
            }
        }
    }
}
