// BlockTable.swift: which block an address lies in, in a few nanoseconds.

/// The blocks in the order of their addresses, with an index over pieces of 256 bytes.
///
/// Blocks that lie close together form a region; a region's index says for each of its pieces which block is the last one
/// that begins before or at the piece. From there at most a few steps lead to the block.
final class BlockTable: @unchecked Sendable {
    private struct Region {
        var start: UInt64
        var end: UInt64
        var firstPiece: Int
        var firstBlock: Int32
        var shift: UInt64
    }

    let count: Int
    /// Beginning and end of each block; a block of no bytes has one.
    private let starts: UnsafeMutablePointer<UInt64>
    private let ends: UnsafeMutablePointer<UInt64>
    private let pieces: UnsafeMutablePointer<Int32>
    private let regions: UnsafeMutablePointer<Region>
    private let regionCount: Int
    let low: UInt64
    let high: UInt64

    /// A larger gap begins a new region, and so does a larger block.
    private static let largestGap: UInt64 = 1 << 16
    private static let largestBlock: UInt64 = 1 << 16

    /// - Parameter blocks: ascending by address, fewer than 2^31.
    init(_ blocks: [HeapBlock]) {
        count = blocks.count
        starts = .allocate(capacity: max(count, 1))
        ends = .allocate(capacity: max(count, 1))
        var regions: [Region] = []
        var pieceCount = 0
        var end: UInt64 = 0
        for (index, block) in blocks.enumerated() {
            let size = min(max(block.size, 1), 1 << 47)
            let stop = block.address &+ size
            starts[index] = block.address
            ends[index] = stop
            if regions.isEmpty || block.address > end &+ Self.largestGap || size > Self.largestBlock
                || regions[regions.count - 1].shift != 8
            {
                if !regions.isEmpty { Self.close(&regions[regions.count - 1], &pieceCount) }
                let shift: UInt64 = size > Self.largestBlock ? 63 : 8
                regions.append(Region(start: block.address & ~255, end: 0, firstPiece: pieceCount, firstBlock: Int32(index), shift: shift))
            }
            end = max(end, stop)
            regions[regions.count - 1].end = max(regions[regions.count - 1].end, stop)
        }
        if !regions.isEmpty { Self.close(&regions[regions.count - 1], &pieceCount) }
        pieces = .allocate(capacity: max(pieceCount, 1))
        regionCount = regions.count
        self.regions = .allocate(capacity: max(regionCount, 1))
        for (index, region) in regions.enumerated() {
            self.regions[index] = region
            let last = index + 1 < regions.count ? Int(regions[index + 1].firstBlock) : count
            var block = Int(region.firstBlock)
            for piece in 0..<Self.pieceCount(region) {
                let at = region.start &+ UInt64(piece) << region.shift
                while block + 1 < last, starts[block + 1] <= at { block += 1 }
                pieces[region.firstPiece + piece] = Int32(block)
            }
        }
        low = regions.first?.start ?? 0
        high = end
    }

    private static func pieceCount(_ region: Region) -> Int {
        region.shift == 63 ? 1 : Int((region.end &- region.start) >> region.shift) + 1
    }

    private static func close(_ region: inout Region, _ pieceCount: inout Int) { pieceCount += Self.pieceCount(region) }

    deinit {
        starts.deallocate()
        ends.deallocate()
        pieces.deallocate()
        regions.deallocate()
    }

    func addresses(of block: Int32) -> Range<UInt64> { starts[Int(block)]..<ends[Int(block)] }
    @inline(__always) func start(of block: Int32) -> UInt64 { starts[Int(block)] }

    /// The block that an address lies in; -1: none.
    @inline(__always)
    func find(_ address: UInt64) -> Int32 {
        if address < low || address >= high { return -1 }
        return findInRegions(address)
    }

    private func findInRegions(_ address: UInt64) -> Int32 {
        var from = 0
        var to = regionCount
        while from < to {
            let middle = (from &+ to) / 2
            if regions[middle].end <= address { from = middle &+ 1 } else { to = middle }
        }
        guard from < regionCount, regions[from].start <= address else { return -1 }
        let region = regions[from]
        let limit = from &+ 1 < regionCount ? Int(regions[from &+ 1].firstBlock) : count
        var block = Int(pieces[region.firstPiece &+ Int((address &- region.start) >> region.shift)])
        while block &+ 1 < limit, starts[block &+ 1] <= address { block &+= 1 }
        return starts[block] <= address && address < ends[block] ? Int32(truncatingIfNeeded: block) : -1
    }

    /// Index of the first block that begins at or behind an address.
    func firstBlock(from address: UInt64) -> Int {
        var from = 0
        var to = count
        while from < to {
            let middle = (from &+ to) / 2
            if starts[middle] < address { from = middle &+ 1 } else { to = middle }
        }
        return from
    }
}
