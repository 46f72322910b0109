// Unsafe+Chunks.swift: a hash table of live blocks that does not grow.
import CRecording
import Glibc

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
    /// when to stop and deletion leaves no tombstones.
    struct Chunks: BitwiseCopyable {
        private let tags: Pages<UInt8>
        private let blocks: Pages<Block>
        let number: Int

        static let size = 14
        private static let slotMask: UInt32 = (1 << 14) - 1
        /// Place of the overflow count among a chunk's tags. A count that reached the most stays there.
        private static let overflow = 14
        private static let mostOverflow: UInt8 = 255

        /// Nil when memory is short.
        init?(number: Int) {
            guard let tags = Pages<UInt8>(capacity: number * 16) else { return nil }
            guard let blocks = Pages<Block>(capacity: number * Self.size) else {
                tags.free()
                return nil
            }
            self.tags = tags
            self.blocks = blocks
            self.number = number
        }

        var byteCount: Int { tags.byteCount + blocks.byteCount }

        func free() {
            tags.free()
            blocks.free()
        }

        /// The hash scaled to the number of chunks, which may be any: their order is the order of hashes.
        @inline(__always)
        func home(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash.multipliedFullWidth(by: UInt64(truncatingIfNeeded: number)).high) }

        @inline(__always)
        private func tag(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash >> 8) | 0x80 }

        @inline(__always)
        private func match(_ chunk: Int, _ tag: UInt8) -> UInt32 { tm_match_tags(tags.base + chunk &* 16, tag) & Self.slotMask }

        @inline(__always)
        private func slot(_ chunk: Int, _ matches: UInt32) -> Int { chunk &* Self.size &+ matches.trailingZeroBitCount }

        @inline(__always)
        private func next(_ chunk: Int) -> Int { chunk &+ 1 == number ? 0 : chunk &+ 1 }

        @inline(__always)
        private func find(_ address: UInt64, _ hash: UInt64) -> (chunk: Int, slot: Int)? {
            var chunk = home(hash)
            let tag = tag(hash)
            var left = number
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

        @inline(__always)
        func block(at address: UInt64, _ hash: UInt64) -> Block? { find(address, hash).map { blocks.base[$0.slot] } }

        /// False: no block has this hash.
        @inline(__always)
        func mayContain(_ hash: UInt64) -> Bool {
            let chunk = home(hash)
            return match(chunk, tag(hash)) != 0 || tags.base[chunk &* 16 &+ Self.overflow] != 0
        }

        /// Puts another block in the place of the one that has its address, which is returned; nil: there is none.
        @inline(__always)
        func replace(_ block: Block, _ hash: UInt64) -> Block? {
            guard let (_, slot) = find(block.address, hash) else { return nil }
            let old = blocks.base[slot]
            blocks.base[slot] = block
            return old
        }

        /// Puts a block in whose address is not there. There must be a free slot. False: none before the last chunk's end, and the
        /// block was not to go past it, into the first chunk.
        @inline(__always)
        @discardableResult
        func add(_ block: Block, _ hash: UInt64, wraps: Bool = true) -> Bool {
            var chunk = home(hash)
            var free = match(chunk, 0)
            while free == 0 {
                let overflow = tags.base + (chunk &* 16 &+ Self.overflow)
                if overflow.pointee != Self.mostOverflow { overflow.pointee &+= 1 }
                chunk = next(chunk)
                if !wraps && chunk == 0 { return false }
                free = match(chunk, 0)
            }
            tags.base[chunk &* 16 &+ free.trailingZeroBitCount] = tag(hash)
            blocks.base[slot(chunk, free)] = block
            return true
        }

        /// Takes a block out.
        @inline(__always)
        func remove(_ address: UInt64, _ hash: UInt64) -> Block? {
            guard let (chunk, slot) = find(address, hash) else { return nil }
            tags.base[chunk &* 16 &+ (slot &- chunk &* Self.size)] = 0
            var passed = home(hash)
            while passed != chunk {
                let overflow = tags.base + (passed &* 16 &+ Self.overflow)
                if overflow.pointee != Self.mostOverflow { overflow.pointee &-= 1 }
                passed = next(passed)
            }
            return blocks.base[slot]
        }

        /// Takes out all blocks of a chunk. Searches go on past it where they did.
        @inline(__always)
        func empty(_ chunk: Int, _ body: (Block) -> Void) {
            visit(chunk, body)
            let tags = UnsafeMutableRawPointer(tags.base + chunk &* 16)
            tags.storeBytes(of: 0, as: UInt64.self)
            tags.storeBytes(of: 0, toByteOffset: 8, as: UInt32.self)
            tags.storeBytes(of: 0, toByteOffset: 12, as: UInt16.self)
        }

        @inline(__always)
        func visit(_ chunk: Int, _ body: (Block) -> Void) {
            var used = ~match(chunk, 0) & Self.slotMask
            while used != 0 {
                body(blocks.base[slot(chunk, used)])
                used &= used &- 1
            }
        }

        /// Gives the kernel back the pages of a range of empty chunks.
        func release(_ range: Range<Int>) {
            let (first, end) = (
                UInt(bitPattern: blocks.base + range.lowerBound * Self.size), UInt(bitPattern: blocks.base + range.upperBound * Self.size)
            )
            let start = (first + 4095) & ~4095
            if end & ~4095 > start { madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end & ~4095 - start), MADV_DONTNEED) }
        }

        // MARK: Fetching

        @inline(__always)
        func fetchTags(_ hash: UInt64) { tm_prefetch(tags.base + home(hash) &* 16) }

        /// All of a chunk.
        @inline(__always)
        func fetch(_ chunk: Int) {
            tm_prefetch(tags.base + chunk &* 16)
            let blocks = UnsafeRawPointer(blocks.base + chunk &* Self.size)
            var offset = 0
            while offset < Self.size &* MemoryLayout<Block>.stride {
                tm_prefetch(blocks + offset)
                offset &+= 64
            }
        }

        /// Where the block probably is or, when `isNew`, will be.
        @inline(__always)
        private func likelySlot(_ hash: UInt64, isNew: Bool) -> Int {
            // No match: the chunk's last slot, harmless.
            let home = home(hash)
            return slot(home, match(home, isNew ? 0 : tag(hash)) | 1 << 13)
        }

        @inline(__always)
        func fetchSlot(_ hash: UInt64, isNew: Bool) {
            let block = UnsafeRawPointer(blocks.base + likelySlot(hash, isNew: isNew))
            tm_prefetch(block)
            tm_prefetch(block + 23)
        }

        /// Reads a slot that `fetchSlot` fetched.
        @inline(__always)
        func likelyRow(_ hash: UInt64) -> Int { blocks.base[likelySlot(hash, isNew: false)].row }
    }
}
