// Unsafe+LiveTable.swift: the blocks that are alive and no longer young, by address.
import CRecording

extension Unsafe {
    /// A hash table that grows by a quarter at a load of 0.8, 31 to 39 bytes a block (while it is small by half, to 47), and never stands
    /// still to do so: while it grows there are two tables, and each block that is put in moves one chunk of the smaller one.
    ///
    ///     former  ░░░░░░░░░▓▓▓▓▓▓▓▓▓▓        ░ moved   ▓ still here: blocks with these hashes go here
    ///     table   ▓▓▓▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░           what is moved comes in order, memory is touched from its beginning to its end
    ///
    /// To move a million blocks at once takes 50 ms, in which the program fills its ring and waits.
    struct LiveTable {
        /// Where blocks are, and where they were before it.
        private(set) var table: Chunks
        private(set) var former: Chunks?
        /// How many chunks of `former` have been emptied, and how many blocks are left in it.
        private var moved = 0
        private var leftBehind = 0
        private var released = 0
        private var limit: Int
        private(set) var count = 0
        private let seed: UInt64

        init?(seed: UInt64, chunks: Int = 256) {
            guard let table = Chunks(number: chunks) else { return nil }
            self.table = table
            self.seed = seed
            limit = Self.limit(table)
        }

        /// 1.4 MiB.
        private static let smallChunks = 4096

        private static func limit(_ table: Chunks) -> Int { table.number * Chunks.size / 5 * 4 }

        /// While it grows, what has been touched of the one table and is left of the other.
        var byteCount: Int {
            guard let former else { return table.byteCount }
            return former.byteCount / former.number * (former.number - released) + table.byteCount / former.number
                * min(moved, former.number)
        }

        func free() {
            table.free()
            former?.free()
        }

        /// The seed keeps a program from choosing addresses that all meet in one chunk.
        @inline(__always)
        func hash(_ address: UInt64) -> UInt64 {
            var hash = (address ^ seed) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
            return hash &* 0xd6e8_feb8_6659_fd93
        }

        /// Where a block with this hash probably is, and where a new one goes.
        @inline(__always)
        func place(_ hash: UInt64) -> Chunks {
            if let former, former.home(hash) >= moved { return former }
            return table
        }

        // MARK: Changes

        /// Puts a block in. The block that had the address before, if any, is replaced and returned.
        /// Call `reserve` before, it makes the room.
        @inline(__always)
        mutating func insert(_ block: Block) -> Block? {
            let hash = hash(block.address)
            if former != nil { return insertWhileMoving(block, hash) }
            if let old = table.replace(block, hash) { return old }
            table.add(block, hash)
            count &+= 1
            return nil
        }

        /// Puts a block in whose address is not there.
        /// Call `reserve` before, it makes the room.
        @inline(__always)
        mutating func add(_ block: Block) {
            let hash = hash(block.address)
            if former != nil { return addWhileMoving(block, hash) }
            table.add(block, hash)
            count &+= 1
        }

        /// Takes a block out.
        @inline(__always)
        mutating func remove(_ address: UInt64) -> Block? {
            let hash = hash(address)
            if former != nil { return removeWhileMoving(address, hash) }
            guard let block = table.remove(address, hash) else { return nil }
            count &-= 1
            return block
        }

        func block(at address: UInt64) -> Block? {
            let hash = hash(address)
            return table.block(at: address, hash) ?? former?.block(at: address, hash)
        }

        /// False: it does not. Nearly always right when true.
        @inline(__always)
        func mayContain(_ address: UInt64) -> Bool {
            let hash = hash(address)
            return table.mayContain(hash) || former?.mayContain(hash) == true
        }

        func contains(_ address: UInt64) -> Bool { block(at: address) != nil }

        func visit(_ body: (Block) -> Void) {
            for chunk in 0..<table.number { table.visit(chunk, body) }
            guard let former else { return }
            for chunk in 0..<former.number { former.visit(chunk, body) }
        }

        // MARK: Growing

        @inline(__always)
        mutating func reserve() -> Bool { count < limit || grow() }

        @inline(never)
        private mutating func grow() -> Bool {
            while former != nil { move() }
            let isSmall = table.number < Self.smallChunks
            guard let larger = Chunks(number: isSmall ? table.number / 2 * 3 : table.number / 4 * 5) else { return false }
            former = table
            table = larger
            limit = Self.limit(larger)
            (moved, released, leftBehind) = (0, 0, count)
            return true
        }

        /// So many chunks are on their way when one is moved.
        private static let fetchedAhead = 12

        /// Moves a chunk. The load of what is left rises to 0.87 at most until all are moved, since each block that comes moves
        /// the blocks of 14 slots.
        private mutating func move() {
            guard let former else { return }
            // It comes in order, but between much else: the processor does not see it.
            let next = moved &+ Self.fetchedAhead
            if next < former.number {
                former.fetch(next)
                table.fetch(next &* table.number / former.number)
            }
            former.empty(moved) { block in
                table.add(block, hash(block.address))
                leftBehind &-= 1
            }
            moved &+= 1
            if leftBehind == 0 || moved == former.number {
                former.free()
                self.former = nil
            } else if moved &- released >= max(1024, former.number / 64) {
                former.release(released..<moved)
                released = moved
            }
        }

        @inline(never)
        private mutating func insertWhileMoving(_ block: Block, _ hash: UInt64) -> Block? {
            let old = removeWhileMoving(block.address, hash)
            addWhileMoving(block, hash)
            return old
        }

        @inline(never)
        private mutating func addWhileMoving(_ block: Block, _ hash: UInt64) {
            // Not into chunks that have been emptied: their memory is given back.
            if let former, former.home(hash) >= moved, former.add(block, hash, wraps: false) {
                leftBehind &+= 1
            } else {
                table.add(block, hash)
            }
            count &+= 1
            move()
        }

        @inline(never)
        private mutating func removeWhileMoving(_ address: UInt64, _ hash: UInt64) -> Block? {
            if let block = table.remove(address, hash) {
                count &-= 1
                return block
            }
            guard let former, let block = former.remove(address, hash) else { return nil }
            count &-= 1
            leftBehind &-= 1
            return block
        }
    }
}
