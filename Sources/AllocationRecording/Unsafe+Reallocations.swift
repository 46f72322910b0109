// Unsafe+Reallocations.swift: a realloc is a release of the old block and a result, and between the two the block is nowhere.
import AllocationProfile
import CRecording

extension Unsafe {
    /// A block between its reallocation's release and result.
    struct Release: BitwiseCopyable {
        var ring: Int
        var address: UInt64
        var block: Block
        /// False: the block is older than the recording.
        var isKnown: Bool
    }
}

extension Unsafe.Ledger {
    /// A hostile ring 0 can begin any number of reallocations; real threads begin one at a time.
    private static let mostReleases = 4096

    mutating func release(address: UInt64, ring: Int, clock: UInt64) -> Bool {
        // Only ring 0 serves several threads, which may all be in a realloc.
        if ring != 0 || releaseCount >= Self.mostReleases {
            if let older = takeRelease(ring: ring) { settle(older, clock: clock) }
        }
        guard releases.grow(to: releaseCount + 1) else { return false }
        let block = remove(address)
        if let block { subtract(block) }
        releases[releaseCount] = Unsafe.Release(ring: ring, address: address, block: block ?? .empty, isKnown: block != nil)
        releaseCount += 1
        return true
    }

    mutating func result(
        address: UInt64, size: UInt64, stack: UInt32, ring: Int, clock: UInt64, last: inout Unsafe.LastBlock
    ) -> Bool {
        let release = takeRelease(ring: ring)
        if let release { settle(release, clock: clock) }
        if address == 0 { return true }
        guard allocate(address: address, size: size, stack: stack, clock: clock, last: &last) else { return false }
        if let release, release.isKnown, Int(size) > release.block.size {
            let detail = rows.details.base + rows.find(stack)
            detail.pointee.growthBytes &+= Int(size) &- release.block.size
            detail.pointee.growthCount &+= 1
        }
        return true
    }

    /// The realloc failed: the block lives on as what it was.
    mutating func fail(address: UInt64, ring: Int) -> Bool {
        guard let release = takeRelease(ring: ring, address: address) else { return true }
        return restore(release)
    }

    /// The blocks that threads are reallocating; nil: one that is not known.
    func visitReleases(_ body: (Unsafe.Block?) -> Void) {
        for index in 0..<releaseCount { body(releases[index].isKnown ? releases[index].block : nil) }
    }

    /// A ring ended: its thread will not finish the realloc that it had begun.
    mutating func dropReleases(ring: Int) {
        while let release = takeRelease(ring: ring) { _ = restore(release) }
    }

    private mutating func restore(_ release: Unsafe.Release) -> Bool {
        guard release.isKnown else { return true }
        if live.contains(release.address) {
            // Another block has the address: the realloc did let go of this one.
            totals.frees &+= sampling.weight(release.block)
            totals.bytesFreed &+= release.block.size &* sampling.weight(release.block)
            return true
        }
        guard makeRoom(live.young.place(release.address), for: release.address) else { return false }
        live.young.put(release.block, live.young.place(release.address))
        let count = sampling.weight(release.block)
        add(release.block.row, release.block.size &* count, count)
        totals.currentBytes &+= release.block.size &* count
        liveCount &+= count
        if release.block.generation == window.generation { window.live(size: release.block.size) }
        return true
    }

    /// Blocks that are in the middle of a reallocation: not in the live table, and not freed.
    var knownReleases: Int {
        (0..<releaseCount).reduce(0) { $0 &+ (releases[$1].isKnown ? sampling.weight(releases[$1].block) : 0) }
    }

    private mutating func settle(_ release: Unsafe.Release, clock: UInt64) {
        if release.isKnown {
            countFree(release.block, clock: clock, count: sampling.weight(release.block))
        } else {
            totals.unknownFrees &+= 1
        }
    }

    /// The release that a ring began last, of `address` if given.
    private mutating func takeRelease(ring: Int, address: UInt64? = nil) -> Unsafe.Release? {
        var index = releaseCount
        while index > 0 {
            index &-= 1
            let release = releases[index]
            if release.ring == ring && (address == nil || release.address == address) {
                releaseCount -= 1
                releases[index] = releases[releaseCount]
                return release
            }
        }
        return nil
    }
}
