// GlibcHeap.swift: where glibc's allocator keeps its blocks, as far as the graph must know.
//
// A heap is not a root: pointers in free memory are what is left of the past. Memory that programs map themselves is one:
// it may be a pool or a stack of theirs. Both are anonymous, and neighbors become one mapping, so heaps are recognized by
// their contents.

struct GlibcHeap {
    let memory: FrozenMemory

    /// Heaps of other arenas than the main one begin at multiples of their largest size.
    private static let largestHeap: UInt64 = 64 << 20
    private static let page: UInt64 = 4096
    /// M_MMAP_THRESHOLD.
    private static let leastMapped: UInt64 = 128 << 10
    private static let inUse: UInt64 = 1
    private static let isMapped: UInt64 = 2

    /// A heap of an arena, and where the first chunk of it lies (nil: that cannot be told).
    struct Heap {
        var addresses: Range<UInt64>
        /// The end of what was handed out or can be.
        var end: UInt64
        var firstChunk: UInt64?
    }

    /// The heaps of arenas in a mapping: `struct heap_info { arena, previous, size, size that is accessible, … }`.
    func heaps(in mapping: Range<UInt64>) -> [Heap] {
        var heaps: [Heap] = []
        var at = (mapping.lowerBound &+ Self.largestHeap &- 1) & ~(Self.largestHeap &- 1)
        while at < mapping.upperBound {
            if let arena = memory.word(at: at), let size = memory.word(at: at + 16), let accessible = memory.word(at: at + 24),
                size > 0, size <= accessible, accessible <= Self.largestHeap, size % Self.page == 0, accessible % Self.page == 0,
                arena & 7 == 0, arena >= 1 << 16, at &+ accessible <= mapping.upperBound
            {
                heaps.append(
                    Heap(addresses: at..<at + accessible, end: at + size, firstChunk: firstChunk(heap: at, arena: arena, size: size)))
            }
            at &+= Self.largestHeap
        }
        return heaps
    }

    private func firstChunk(heap: UInt64, arena: UInt64, size: UInt64) -> UInt64? {
        let stateSize: UInt64 = 2200
        let candidates: [UInt64] =
            arena > heap && arena < heap + size ? [arena + stateSize] : [heap + 0x30, heap + 0x20]
        // The user's part, 16 bytes into the chunk, is aligned.
        return candidates.map { (($0 + 16 + 15) & ~15) - 16 }.first { isChunk($0, end: heap + size) }
    }

    private func isChunk(_ chunk: UInt64, end: UInt64) -> Bool {
        guard let head = memory.word(at: chunk + 8) else { return false }
        let size = head & ~15
        return size >= 32 && chunk &+ size <= end && head & Self.inUse != 0
    }

    /// A block with a mapping of its own: the addresses of its chunk.
    func mappedChunk(ofBlockAt address: UInt64, size: UInt64) -> Range<UInt64>? {
        guard address >= 4096, let head = memory.word(at: address - 8), let before = memory.word(at: address - 16),
            head & Self.isMapped != 0
        else { return nil }
        let chunk = head & ~7
        let start = address &- 16 &- before
        guard before < 1 << 30, chunk >= size, chunk < 1 << 46, (chunk &+ before) % Self.page == 0, start % Self.page == 0 else {
            return nil
        }
        return start..<start &+ chunk &+ before
    }

    /// The chunks with mappings of their own. The kernel makes one mapping of neighbors, so each page may begin one; its first two
    /// words are 0 and a size that others than the allocator do not write there. Smaller ones than it maps by itself are not looked for.
    func mappedChunks(in mapping: Range<UInt64>) -> [Range<UInt64>] {
        var chunks: [Range<UInt64>] = []
        memory.forEachPage(in: mapping) { page, before, head in
            let size = head & ~7
            guard before == 0, head & 7 == Self.isMapped, size >= Self.leastMapped, size % Self.page == 0,
                size <= mapping.upperBound &- page
            else { return page &+ Self.page }
            chunks.append(page..<page &+ size)
            return page &+ size
        }
        return chunks
    }

    /// The chunks of a heap that are in use, as the parts that users have. A chunk in a thread's cache looks as if it were in
    /// use; its second word is then one of `cacheKeys`, to which this adds what it comes across. Nil when the heap makes no sense.
    func usedChunks(from first: UInt64, to end: UInt64, cacheKeys: inout Set<UInt64>) -> [Range<UInt64>]? {
        var chunks: [Range<UInt64>] = []
        var chunk = first
        while chunk &+ 32 <= end {
            guard let head = memory.word(at: chunk + 8) else { return nil }
            let size = head & ~7
            let next = chunk &+ size
            // A full heap, after which the arena has begun another, ends with a chunk of 16 bytes and one of none.
            if size == 16, let last = memory.word(at: next &+ 8), last & ~7 == 0 { break }
            guard size >= 32, size % 16 == 0, size <= end &- chunk else { return nil }
            // The last one is the memory that was never handed out.
            if next &+ 16 > end { break }
            guard let following = memory.word(at: next + 8) else { return nil }
            if following & Self.inUse != 0 {
                if isThreadCache(chunk, size: size) {
                    noteKey(ofCache: chunk, &cacheKeys)
                } else {
                    chunks.append((chunk + 16)..<(next + 8))
                }
            }
            chunk = next
        }
        return chunks
    }

    /// A thread's list of cached chunks: 64 counts of 16 bits and 64 pointers. It refers to nothing but free memory.
    private func isThreadCache(_ chunk: UInt64, size: UInt64) -> Bool {
        guard size == 0x290 else { return false }
        for group in 0..<UInt64(16) {
            guard let counts = memory.word(at: chunk + 16 + group * 8) else { return false }
            for bin in 0..<UInt64(4) {
                let count = counts >> (bin * 16) & 0xffff
                guard let entry = memory.word(at: chunk + 16 + 128 + (group * 4 + bin) * 8) else { return false }
                if (count == 0) != (entry == 0) || count > 127 { return false }
            }
        }
        return true
    }

    /// All chunks in caches have the same second word (glibc 2.29 and 2.34 differ in whose word it is).
    private func noteKey(ofCache chunk: UInt64, _ keys: inout Set<UInt64>) {
        for bin in 0..<UInt64(64) {
            guard let entry = memory.word(at: chunk + 16 + 128 + bin * 8), entry != 0, let key = memory.word(at: entry &+ 8), key != 0
            else { continue }
            keys.insert(key)
            return
        }
    }

    /// Where a control block keeps the argument of the thread's function: behind the function, the first address of code behind
    /// the 32 + 32 words of pthread_setspecific (struct pthread in nptl/descr.h, 2.31 to 2.42).
    func threadArgument(inControlBlock block: Range<UInt64>, isCode: (UInt64) -> Bool) -> Range<UInt64>? {
        let start = block.lowerBound &+ 0x610
        for at in stride(from: start, to: min(start &+ 0x80, block.upperBound &- 16), by: 8) {
            if let word = memory.word(at: at), word > 0xffff, isCode(word) { return at &+ 8..<at &+ 16 }
        }
        return nil
    }

    /// The control block of a glibc thread in the last page of its stack: it points to itself twice.
    func threadControlBlock(atEndOf mapping: Range<UInt64>) -> UInt64? {
        var at = (mapping.upperBound &- 256) & ~63
        let start = max(mapping.lowerBound, mapping.upperBound &- Self.page * 2)
        while at >= start {
            if memory.word(at: at) == at, memory.word(at: at + 16) == at { return at }
            at &-= 64
        }
        return nil
    }
}
