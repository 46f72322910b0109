// ReferenceGraph.swift: who points to whom, and what the roots reach.
//
// Conservative: a word that could be the address of a block, or of a place inside of one, is a reference to it. What is
// called a leak is one then; a leak may be missed when a number happens to look like its address.

/// The blocks of a frozen program as a graph whose edges are read from memory when they are asked for.
package final class ReferenceGraph: @unchecked Sendable {
    package let program: FrozenProgram
    /// The program's blocks, and those that the recording does not know (their stack is -1). Ascending by address.
    package let blocks: [HeapBlock]
    let roots: HeapRoots
    let table: BlockTable
    /// Block that leads to a block on a shortest way from the roots, or -2 - index into `rootHits`; -1: not reached.
    let parents: UnsafeMutablePointer<Int32>
    package private(set) var rootHits: [RootHit] = []
    /// Blocks whose contents were not readable as a whole.
    package private(set) var unreadableBlocks = 0
    /// Records that Dispatch keeps for later work: only their links mean something.
    private let keptRecords: Set<Int32>
    private var queue: [Int32] = []

    /// A word of a root that refers to a block.
    package struct RootHit: Sendable, Hashable {
        package var kind: RootKind
        /// 0 for registers.
        package var address: UInt64
    }

    private static let addressMask: UInt64 = 0x0000_ffff_ffff_fff8
    static let unknownStack: Int32 = -1

    /// Finds what the roots reach. Cost: about a second for ten million words.
    package init(_ program: FrozenProgram) {
        self.program = program
        roots = HeapRoots(program)
        // What lies outside of what a program can have was never a block.
        let sound = program.blocks.filter { $0.address > 0 && $0.address < 1 << 47 && $0.size < 1 << 47 }
        blocks = Self.merged(sound, roots.unknownBlocks)
        table = BlockTable(blocks)
        keptRecords = KeptRecords(program, table).blocks
        parents = .allocate(capacity: max(blocks.count, 1))
        parents.initialize(repeating: -1, count: max(blocks.count, 1))
        queue.reserveCapacity(blocks.count)
        reachReleased()
        forEachRootWord { word, kind, address in reachRoot(word, kind, at: address) }
        spread()
    }

    deinit { parents.deallocate() }

    private static func merged(_ blocks: [HeapBlock], _ unknown: [Range<UInt64>]) -> [HeapBlock] {
        if unknown.isEmpty { return blocks }
        let more = unknown.map {
            HeapBlock(address: $0.lowerBound, size: UInt64($0.count), stack: unknownStack)
        }
        return (blocks + more).sorted { $0.address < $1.address }
    }

    package func isReached(_ block: Int32) -> Bool { parents[Int(block)] != -1 }
    /// The program's blocks that nothing reaches, ascending by address.
    var unreached: [Int32] {
        (0..<Int32(blocks.count)).filter { !isReached($0) && blocks[Int($0)].stack != Self.unknownStack }
    }
    package func block(at address: UInt64) -> Int32? {
        let block = table.find(address)
        return block >= 0 ? block : nil
    }

    @inline(__always)
    private func reachRoot(_ word: UInt64, _ kind: RootKind, at address: UInt64) {
        let block = table.find(word & Self.addressMask)
        guard block >= 0, parents[Int(block)] == -1 else { return }
        rootHits.append(RootHit(kind: kind, address: address))
        parents[Int(block)] = Int32(truncatingIfNeeded: -2 - (rootHits.count - 1))
        queue.append(block)
    }

    /// A record of weak references keeps no object, but while the runtime counts down in it nothing else may know the object: a thread
    /// that releases one has only the record in its registers until it finds that it was the last one.
    private func reachReleased() {
        for (thread, words) in roots.registers {
            for word in words {
                let block = table.find(word & Self.addressMask)
                guard block >= 0, isSideTable(table.addresses(of: block)), let object = program.memory.word(at: table.start(of: block))
                else { continue }
                reachRoot(object, .register(thread: thread), at: 0)
            }
        }
    }

    @inline(__always)
    private func forEachRootWord(_ body: (_ word: UInt64, _ kind: RootKind, _ address: UInt64) -> Void) {
        for (thread, words) in roots.registers {
            for word in words { body(word, .register(thread: thread), 0) }
        }
        for area in roots.areas {
            _ = program.memory.forEachWord(in: area.addresses) { address, word in body(word, area.kind, address) }
        }
    }

    /// Every reference of the roots, also to blocks that are reached in another way, too.
    func forEachRootReference(_ body: (_ block: Int32, _ root: RootHit) -> Void) {
        forEachRootWord { word, kind, address in
            let block = table.find(word & Self.addressMask)
            if block >= 0 { body(block, RootHit(kind: kind, address: address)) }
        }
    }

    /// Takes further blocks as reachable, with all that they lead to.
    package func reach(_ more: [Int32]) {
        for block in more where parents[Int(block)] == -1 {
            rootHits.append(RootHit(kind: .suppressed, address: 0))
            parents[Int(block)] = Int32(truncatingIfNeeded: -2 - (rootHits.count - 1))
            queue.append(block)
        }
        spread()
    }

    /// Breadth first, so that each block is reached on a shortest way; a list of any length needs no deeper a stack.
    private func spread() {
        var next = 0
        while next < queue.count {
            let block = queue[next]
            next += 1
            let isWhole = forEachReference(of: block) { _, target in
                if parents[Int(target)] == -1 {
                    parents[Int(target)] = block
                    queue.append(target)
                }
            }
            if !isWhole && isProtected(table.addresses(of: block)) { unreadableBlocks += 1 }
        }
        queue.removeAll(keepingCapacity: false)
    }

    /// Pages that were never written are not copied, and hold nothing; what may not be read may hold anything.
    private func isProtected(_ range: Range<UInt64>) -> Bool {
        let mappings = program.process.mappings
        var low = 0
        var high = mappings.count
        while low < high {
            let middle = (low + high) / 2
            if mappings[middle].addresses.upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        while low < mappings.count, mappings[low].addresses.lowerBound < range.upperBound {
            if !mappings[low].isReadable { return true }
            low += 1
        }
        return false
    }

    /// Calls `body` for each word of a block that refers to a block. False: not all of it is readable.
    @inline(__always)
    func forEachReference(of block: Int32, _ body: (_ offset: UInt64, _ target: Int32) -> Void) -> Bool {
        let range = table.addresses(of: block)
        let start = range.lowerBound
        let skipsFirst = isSideTable(range)
        let isKept = !keptRecords.isEmpty && keptRecords.contains(block)
        return program.memory.forEachWord(in: start..<usableEnd(of: block, range)) { address, word in
            let offset = address &- start
            if offset == 0 && skipsFirst || isKept && offset != KeptRecords.next { return }
            var value = word & Self.addressMask
            // The second word of a Swift object: the address of its record of weak references, three bits to the right.
            if offset == 8 && word >> 62 == 3 { value = word << 3 & 0x0000_ffff_ffff_fff8 }
            let target = table.find(value)
            if target >= 0 && target != block { body(offset, target) }
        }
    }

    /// Bytes that a block's owner may use: more than were asked for.
    package func usableSize(of block: Int32) -> UInt64 {
        let range = table.addresses(of: block)
        return usableEnd(of: block, range) &- range.lowerBound
    }

    /// Allocators round up, and Swift's arrays and tables ask for how much (malloc_usable_size) and use it all.
    private func usableEnd(of block: Int32, _ range: Range<UInt64>) -> UInt64 {
        let size = range.upperBound &- range.lowerBound
        var usable = (size &+ 15) & ~15
        if let head = program.memory.word(at: range.lowerBound &- 8) {
            let isMapped = head & 2 != 0
            // The chunk without its own header; a mapped one has no next chunk to share a word with.
            let room = (head & ~7) &- (isMapped ? 16 : 8)
            if room >= size && room &- size <= (isMapped ? 8192 : 64) { usable = max(room, size) }
        }
        let end = range.lowerBound &+ usable
        return Int(block) + 1 < table.count ? max(min(end, table.start(of: block + 1)), range.upperBound) : end
    }

    /// A record of weak references: it knows its object, and does not keep it.
    private func isSideTable(_ range: Range<UInt64>) -> Bool {
        guard range.count >= 24, range.count <= 48, let object = program.memory.word(at: range.lowerBound), table.find(object) >= 0,
            let counts = program.memory.word(at: object &+ 8)
        else { return false }
        return counts >> 62 == 3 && counts << 3 & 0x0000_ffff_ffff_fff8 == range.lowerBound
    }
}
