// NumberIndex.swift: finds the numbers of things by what they are, where there are hundreds of thousands of them.

/// A hash table of numbers: open addressing. The things themselves are the caller's.
package struct NumberIndex {
    /// Number in the low half, plus one; its hash in the high half, so that a thing is looked at only when it is very probably
    /// the right one.
    @usableFromInline package var slots = [UInt64](repeating: 0, count: 1 << 12)
    @usableFromInline package var count = 0

    @inlinable package init() {}

    /// The number that was added under this hash and is the right one.
    @inlinable @inline(__always) package func find(_ hash: UInt64, _ isRight: (Int32) -> Bool) -> Int32? {
        let mask = slots.count - 1
        var slot = Int(hash) & mask
        while slots[slot] != 0 {
            let number = Int32(truncatingIfNeeded: slots[slot] &- 1)
            if slots[slot] >> 32 == hash && isRight(number) { return number }
            slot = (slot + 1) & mask
        }
        return nil
    }

    @inlinable package mutating func add(_ number: Int32, _ hash: UInt64) {
        count += 1
        if count > slots.count / 2 { grow() }
        put(hash << 32 | UInt64(UInt32(bitPattern: number)) &+ 1)
    }

    @inlinable package mutating func put(_ entry: UInt64) {
        let mask = slots.count - 1
        var slot = Int(entry >> 32) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = entry
    }

    @inlinable package mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count * 4)
        for entry in old where entry != 0 { put(entry) }
    }

    /// 32 bits.
    @inlinable package static func hash(_ key: UInt64) -> UInt64 {
        let mixed = (key &* 0x9e37_79b9_7f4a_7c15).byteSwapped
        return (mixed &* 0xd6e8_feb8_6659_fd93) >> 32
    }
}
