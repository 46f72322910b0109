// HeapRoots.swift: what a program reaches without going through a block.
//
//     registers                of every thread
//     stacks                   of every thread, from its stack pointer outward; thread-locals lie at their ends
//     writable private memory  of modules (globals), and what the program mapped itself (pools, stacks of fibers)
//
// Not a root: free memory of the heap, what lies below a stack pointer, stacks of threads that have ended and what these threads
// were given, blocks that the recording does not know, shared memory, and the tracer's own.
import AllocationProfile

/// Where a root lies.
package enum RootKind: Sendable, Hashable {
    case register(thread: Int32)
    case stack(thread: Int32)
    case global(module: String)
    /// Anonymous memory: thread-locals of the main thread, pools that the program mapped.
    case memory
    /// Blocks that the program wants to be taken as reachable.
    case suppressed
}

struct HeapRoots {
    struct Area {
        var addresses: Range<UInt64>
        var kind: RootKind
    }

    private(set) var areas: [Area] = []
    private(set) var registers: [(thread: Int32, words: [UInt64])] = []
    /// Blocks in use that the recording does not know: they lead to others when they are reached.
    private(set) var unknownBlocks: [Range<UInt64>] = []
    private var left: [Range<UInt64>] = []
    private var cacheKeys: Set<UInt64> = []

    private static let redZone: UInt64 = 128

    init(_ program: FrozenProgram) {
        let heap = GlibcHeap(memory: program.memory)
        left = program.process.ownMemory
        for thread in program.process.threads where !program.process.ownThreads.contains(thread.id) {
            // Whoever ends the program is inside of our own code.
            if thread.id != program.process.exit?.thread { registers.append((thread.id, thread.registers)) }
        }
        var previous: FrozenProcess.Mapping?
        for mapping in program.process.mappings {
            defer { previous = mapping }
            guard mapping.isReadable, mapping.isWritable, !mapping.isShared, !mapping.name.hasPrefix("[v") else { continue }
            if mapping.name == "[heap]" {
                addUnknownChunks(
                    program, heap, first: mapping.addresses.lowerBound, end: mapping.addresses.upperBound, in: mapping.addresses)
                continue
            }
            var holes = stackHoles(program, heap, mapping, previous)
            guard let more = heapHoles(program, heap, mapping) else { continue }
            holes += more + left.filter { $0.overlaps(mapping.addresses) }
            add(mapping, kind: kind(of: mapping, program), without: holes)
        }
        unknownBlocks.removeAll { program.memory.word(at: $0.lowerBound &+ 8).map(cacheKeys.contains) ?? false }
        unknownBlocks.sort { $0.lowerBound < $1.lowerBound }
    }

    private func kind(of mapping: FrozenProcess.Mapping, _ program: FrozenProgram) -> RootKind {
        if mapping.isFile { return .global(module: mapping.name) }
        if let thread = program.process.threads.first(where: { mapping.addresses.contains($0.stackPointer) }) {
            return .stack(thread: thread.id)
        }
        // Zero-initialized globals lie behind the module's data.
        let end = mapping.addresses.lowerBound
        if let module = program.process.mappings.first(where: { $0.addresses.upperBound == end && $0.isFile && $0.isWritable }) {
            return .global(module: module.name)
        }
        return .memory
    }

    private mutating func add(_ mapping: FrozenProcess.Mapping, kind: RootKind, without holes: [Range<UInt64>]) {
        var at = mapping.addresses.lowerBound
        for hole in holes.sorted(by: { $0.lowerBound < $1.lowerBound }) where hole.upperBound > at {
            let stop = min(hole.lowerBound, mapping.addresses.upperBound)
            if at < stop { areas.append(Area(addresses: at..<stop, kind: kind)) }
            at = hole.upperBound
            if at >= mapping.addresses.upperBound { return }
        }
        areas.append(Area(addresses: at..<mapping.addresses.upperBound, kind: kind))
    }

    /// The parts of a mapping that are stacks without a meaning.
    private func stackHoles(
        _ program: FrozenProgram, _ heap: GlibcHeap, _ mapping: FrozenProcess.Mapping, _ previous: FrozenProcess.Mapping?
    ) -> [Range<UInt64>] {
        let (start, end) = (mapping.addresses.lowerBound, mapping.addresses.upperBound)
        let isMain = mapping.name == "[stack]"
        // A stack that the C library made has pages in front of it that cannot be read.
        let hasGuard = previous.map { $0.addresses.upperBound == start && !$0.isReadable } ?? false
        guard isMain || (mapping.name.isEmpty && hasGuard) else { return [] }
        let within = program.process.threads.filter { mapping.addresses.contains($0.stackPointer) }
        let owner = program.process.threads.first { mapping.addresses.contains($0.threadPointer) }
        if let exit = program.process.exit, isMain, let thread = within.first(where: { $0.id == exit.thread }) {
            // It returned from main, or called exit from a frame above this.
            if exit.stack == 0 { return [start..<end] }
            return [start..<max(start, min(max(exit.stack, thread.stackPointer), end))]
        }
        if let owner, program.process.ownThreads.contains(owner.id) { return [start..<owner.threadPointer] }
        if !isMain && owner == nil {
            // The C library keeps stacks of threads that have ended for the next ones. What a thread returned is in its control block;
            // what it was given still is, too, though its memory may be another block by now.
            guard within.isEmpty, let block = heap.threadControlBlock(atEndOf: mapping.addresses) else { return [] }
            let argument = heap.threadArgument(inControlBlock: block..<end) { word in
                program.process.mappings.contains { $0.isExecutable && $0.addresses.contains(word) }
            }
            return [start..<block] + (argument.map { [$0] } ?? [])
        }
        var lowest = within.map(\.stackPointer).min() ?? start
        if let exit = program.process.exit, exit.thread == owner?.id, mapping.addresses.contains(exit.stack) {
            lowest = max(lowest, exit.stack)
        }
        let stop = lowest >= start + Self.redZone ? lowest - Self.redZone : start
        return start < stop ? [start..<stop] : []
    }

    /// The parts of a mapping that belong to the allocator; nil: all of it.
    private mutating func heapHoles(
        _ program: FrozenProgram, _ heap: GlibcHeap, _ whole: FrozenProcess.Mapping
    ) -> [Range<UInt64>]? {
        let mapping = whole.addresses
        var holes: [Range<UInt64>] = []
        for one in heap.heaps(in: mapping) {
            holes.append(one.addresses)
            addUnknownChunks(program, heap, first: one.firstChunk, end: one.end, in: one.addresses)
        }
        var index = program.firstBlock(from: mapping.lowerBound)
        let heaps = holes
        var inOtherHeap: [Range<UInt64>] = []
        while index < program.blocks.count, program.blocks[index].address < mapping.upperBound {
            let block = program.blocks[index]
            if let one = heaps.first(where: { $0.contains(block.address) }) {
                index = program.firstBlock(from: one.upperBound)
                continue
            }
            index += 1
            if let chunk = heap.mappedChunk(ofBlockAt: block.address, size: block.size) {
                holes.append(chunk)
            } else {
                inOtherHeap.append(block.address..<block.address &+ max(block.size, 1))
            }
        }
        if !program.process.knowsAllBlocks && !whole.isFile {
            for chunk in heap.mappedChunks(in: mapping) where !holes.contains(where: { $0.overlaps(chunk) }) {
                holes.append(chunk)
                unknownBlocks.append(chunk.lowerBound &+ 16..<chunk.upperBound)
            }
        }
        if inOtherHeap.isEmpty { return holes }
        // Another allocator's heap: what lies between its blocks is free, unless some blocks are not known.
        return program.process.knowsAllBlocks ? nil : holes + inOtherHeap
    }

    private mutating func addUnknownChunks(
        _ program: FrozenProgram, _ heap: GlibcHeap, first: UInt64?, end: UInt64, in addresses: Range<UInt64>
    ) {
        guard !program.process.knowsAllBlocks else { return }
        guard let first, let chunks = heap.usedChunks(from: first, to: end, cacheKeys: &cacheKeys) else {
            // Better all of it than a wrong leak.
            var at = addresses.lowerBound
            var index = program.firstBlock(from: at)
            while at < addresses.upperBound {
                let block = index < program.blocks.count ? program.blocks[index] : nil
                let stop = min(block?.address ?? .max, addresses.upperBound)
                if at < stop { areas.append(Area(addresses: at..<stop, kind: .memory)) }
                at = block.map { $0.address &+ $0.size } ?? .max
                index += 1
            }
            return
        }
        var index = program.firstBlock(from: addresses.lowerBound)
        for chunk in chunks {
            while index < program.blocks.count, program.blocks[index].address < chunk.lowerBound { index += 1 }
            if index < program.blocks.count, program.blocks[index].address < chunk.upperBound { continue }
            unknownBlocks.append(chunk)
        }
    }
}

extension FrozenProgram {
    /// Index of the first block at or behind an address.
    func firstBlock(from address: UInt64) -> Int {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].address < address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
