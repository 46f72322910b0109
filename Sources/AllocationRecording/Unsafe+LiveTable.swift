// Unsafe+LiveTable.swift: the blocks that are alive, by address.
import CRecording

extension Unsafe {
    /// One live block in 24 bytes.
    struct Block: BitwiseCopyable {
        /// Address in the low 48 bits, generation above. 0: the slot is empty.
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

    /// Open addressing with linear probing; deletion shifts back, so there are no tombstones.
    ///
    /// The slot is the hash scaled to the capacity (a multiplication, not a mask): any capacity will do, the table grows by
    /// half at a load of 0.75, so that a block costs 32 to 48 bytes, and growing walks both tables in order.
    struct LiveTable {
        private var slots: Pages<Block>
        private var capacity: UInt64
        private var limit: Int
        private(set) var count = 0
        private let seed: UInt64

        init?(seed: UInt64) {
            guard let pages = Pages<Block>(capacity: 4096) else { return nil }
            slots = pages
            capacity = UInt64(pages.capacity)
            limit = pages.capacity / 4 * 3
            self.seed = seed
        }

        var byteCount: Int { slots.byteCount }
        func free() { slots.free() }

        /// The seed keeps a program from choosing addresses that all meet in one slot.
        @inline(__always)
        private func home(_ address: UInt64) -> Int {
            var hash = (address ^ seed) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
            hash = hash &* 0xd6e8_feb8_6659_fd93
            return Int(truncatingIfNeeded: hash.multipliedFullWidth(by: capacity).high)
        }

        @inline(__always)
        func prefetch(_ address: UInt64) { tm_prefetch(slots.base + home(address)) }

        /// The stack row of the block in the slot where `address` should be: a good guess for prefetching, nothing more.
        @inline(__always)
        func likelyRow(_ address: UInt64) -> Int { slots.base[home(address)].row }

        /// Puts a block in. The block that had the address before, if any, is replaced and returned.
        /// Call `reserve` before, it makes the room.
        @inline(__always)
        mutating func insert(_ block: Block) -> Block? {
            let end = Int(capacity)
            var index = home(block.address)
            while true {
                let slot = slots.base[index]
                if slot.addressGeneration == 0 { break }
                if slot.address == block.address {
                    slots.base[index] = block
                    return slot
                }
                index &+= 1
                if index == end { index = 0 }
            }
            slots.base[index] = block
            count &+= 1
            return nil
        }

        /// Takes a block out.
        @inline(__always)
        mutating func remove(_ address: UInt64) -> Block? {
            let end = Int(capacity)
            var index = home(address)
            while true {
                let slot = slots.base[index]
                if slot.addressGeneration == 0 { return nil }
                if slot.address == address {
                    count &-= 1
                    closeGap(at: index, end: end)
                    return slot
                }
                index &+= 1
                if index == end { index = 0 }
            }
        }

        func contains(_ address: UInt64) -> Bool {
            var index = home(address)
            while slots.base[index].addressGeneration != 0 {
                if slots.base[index].address == address { return true }
                index = index &+ 1 == Int(capacity) ? 0 : index &+ 1
            }
            return false
        }

        @inline(__always)
        private func closeGap(at start: Int, end: Int) {
            var gap = start
            var index = start
            while true {
                index &+= 1
                if index == end { index = 0 }
                let slot = slots.base[index]
                if slot.addressGeneration == 0 { break }
                // A block may move to the gap unless its home lies (cyclically) behind the gap.
                var distance = index &- home(slot.address)
                if distance < 0 { distance &+= end }
                var shift = index &- gap
                if shift < 0 { shift &+= end }
                if distance >= shift {
                    slots.base[gap] = slot
                    gap = index
                }
            }
            slots.base[gap] = .empty
        }

        @inline(__always)
        mutating func reserve() -> Bool { count < limit || grow() }

        private mutating func grow() -> Bool {
            guard let pages = Pages<Block>(capacity: slots.capacity / 2 * 3) else { return false }
            let old = slots
            slots = pages
            capacity = UInt64(pages.capacity)
            limit = pages.capacity / 4 * 3
            count = 0
            for index in 0..<old.capacity where old.base[index].addressGeneration != 0 { _ = insert(old.base[index]) }
            old.free()
            return true
        }

        mutating func removeAll() -> Bool {
            guard let empty = LiveTable(seed: seed) else { return false }
            free()
            self = empty
            return true
        }

        func forEach(_ body: (Block) -> Void) {
            for index in 0..<slots.capacity where slots.base[index].addressGeneration != 0 { body(slots.base[index]) }
        }
    }
}
