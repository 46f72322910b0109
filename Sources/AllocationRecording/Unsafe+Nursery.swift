// Unsafe+Nursery.swift: the blocks that were allocated last; most blocks are freed while they are among them.
import CRecording

extension Unsafe {
    /// Young blocks, each at the place that its address names: a few instructions find one, and all of them stay in the nearest cache.
    /// A block whose place is wanted for another one moves on to the live table.
    ///
    ///     allocate ─► nursery ─┬─ freed: into the sums of its stack, all at once           45 to 99 % of the blocks of real programs
    ///                          └─ its place is wanted, or it is part of a peak ─► charged to its stack ─► live table
    ///
    /// A block need not be *charged* to its stack, counted among what the stack has alive, as long as nobody asks: when live bytes
    /// pass their maximum, and when the event loop stops.
    struct Nursery {
        /// A dead block has row 0, which no stack has. Its address stays: as long as it does, the live table has no block there.
        let blocks: Pages<Block>
        /// A bit for each place whose block may be uncharged.
        private let uncharged: Pages<UInt64>
        /// False: all blocks are charged.
        private(set) var mayHaveUncharged = false
        /// False: blocks go straight to the live table, because too few of them died here.
        private(set) var isInUse = true
        /// Blocks that died here, and that moved on, since it was last judged.
        var died = 0
        var movedOn = 0
        private var resumes = 0

        /// 12 KiB: with half as many places some percent fewer blocks would die here, with twice as many one percent more.
        static let size = 512
        /// In the row of a block: it is not charged. Rows are fewer.
        static let unchargedBit: UInt64 = 1 << 31

        init?() {
            guard let blocks = Pages<Block>(capacity: Self.size) else { return nil }
            guard let uncharged = Pages<UInt64>(capacity: Self.size / 64) else {
                blocks.free()
                return nil
            }
            self.blocks = blocks
            self.uncharged = uncharged
        }

        func free() {
            blocks.free()
            uncharged.free()
        }

        var byteCount: Int { blocks.byteCount + uncharged.byteCount }

        /// Where a block is if it is here. Allocators hand out multiples of 16.
        @inline(__always)
        func place(_ address: UInt64) -> Int {
            Int(truncatingIfNeeded: (address &>> 4 ^ address &>> 13) & UInt64(truncatingIfNeeded: Self.size &- 1))
        }

        /// The block of a place, alive or not.
        @inline(__always)
        func block(_ place: Int) -> Block {
            var block = blocks.base[place]
            block.rowBirth &= ~Self.unchargedBit
            return block
        }

        @inline(__always)
        func isAlive(_ place: Int) -> Bool { UInt32(truncatingIfNeeded: blocks.base[place].rowBirth) != 0 }

        @inline(__always)
        func contains(_ address: UInt64) -> Bool {
            let place = place(address)
            return blocks.base[place].address == address && isAlive(place)
        }

        /// The place held a block with this address last, and it is dead: nobody has one there.
        @inline(__always)
        func isKnownDead(_ address: UInt64, _ place: Int) -> Bool { blocks.base[place].address == address && !isAlive(place) }

        /// Nobody has a block with this address.
        func noteDead(_ address: UInt64, _ place: Int) {
            if !isAlive(place) { blocks.base[place].addressGeneration = address }
        }

        /// Where there is no living one. It is charged.
        @inline(__always)
        func put(_ block: Block, _ place: Int) { blocks.base[place] = block }

        @inline(__always)
        func isCharged(_ place: Int) -> Bool { blocks.base[place].rowBirth & Self.unchargedBit == 0 }

        /// The place holds a block with this address, and it is alive and not charged.
        @inline(__always)
        func isUncharged(_ address: UInt64, _ place: Int) -> Bool { blocks.base[place].address == address && !isCharged(place) }

        @inline(__always)
        mutating func putUncharged(_ block: Block, _ place: Int) {
            blocks.base[place] = block
            blocks.base[place].rowBirth |= Self.unchargedBit
            uncharged.base[place &>> 6] |= 1 &<< UInt64(truncatingIfNeeded: place & 63)
            mayHaveUncharged = true
        }

        @inline(__always)
        func remove(_ place: Int) { blocks.base[place].rowBirth = 0 }

        /// A block with the address of a dead one goes to the live table.
        @inline(__always)
        func forget(_ place: Int) { blocks.base[place] = .empty }

        /// Whether blocks are worth to be kept here: to move one on takes as long as a death here saves. `allocations`: so far.
        mutating func judge(allocations: Int) {
            if isInUse {
                if died &+ movedOn < Self.trial { return }
                isInUse = died >= movedOn
                resumes = allocations &+ 16 &* Self.trial
                (died, movedOn) = (0, 0)
            } else if allocations >= resumes {
                isInUse = true
            }
        }

        private static let trial = 4096

        /// The next place whose block is not charged; from now on it is. Nil: all are.
        mutating func takeUncharged() -> Int? {
            if !mayHaveUncharged { return nil }
            var word = 0
            while word < Self.size / 64 {
                let bits = uncharged.base[word]
                if bits == 0 {
                    word &+= 1
                    continue
                }
                uncharged.base[word] = bits & (bits &- 1)
                let place = word &* 64 &+ bits.trailingZeroBitCount
                if !isCharged(place) {
                    blocks.base[place].rowBirth &= ~Self.unchargedBit
                    return place
                }
            }
            mayHaveUncharged = false
            return nil
        }

        func visit(_ body: (Block) -> Void) {
            for place in 0..<Self.size where isAlive(place) { body(block(place)) }
        }
    }

    /// All blocks that are alive: each is either in the nursery or in the live table.
    struct LiveBlocks {
        var young: Nursery
        var table: LiveTable

        init?(seed: UInt64) {
            guard let young = Nursery() else { return nil }
            guard let table = LiveTable(seed: seed) else {
                young.free()
                return nil
            }
            self.young = young
            self.table = table
        }

        func free() {
            young.free()
            table.free()
        }

        var byteCount: Int { young.byteCount + table.byteCount }

        /// Complexity: the size of the nursery.
        var count: Int { (0..<Nursery.size).count(where: young.isAlive) + table.count }

        func block(at address: UInt64) -> Block? {
            young.contains(address) ? young.block(young.place(address)) : table.block(at: address)
        }

        func contains(_ address: UInt64) -> Bool { block(at: address) != nil }

        /// False: no block is alive at an address. Nearly always right when true.
        @inline(__always)
        func mayContain(_ address: UInt64) -> Bool { young.contains(address) || table.mayContain(address) }

        func visit(_ body: (Block) -> Void) {
            young.visit(body)
            table.visit(body)
        }

        /// False: memory is short.
        mutating func removeAll(seed: UInt64) -> Bool {
            guard let empty = LiveBlocks(seed: seed) else { return false }
            free()
            self = empty
            return true
        }
    }
}
