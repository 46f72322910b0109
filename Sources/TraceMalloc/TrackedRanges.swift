// TrackedRanges.swift: the ranges that a program tracks in one domain, so that overlapping ones are noticed at the call.
import AllocationProfile

/// Ranges of addresses, none of which overlaps another. A range of 0 bytes takes its address, as one of one byte would.
///
/// Sorted arrays of a few hundred elements each: a change moves one of them at most. About 20 bytes a range.
struct TrackedRanges {
    struct Range: Hashable {
        var start: UInt { UInt(hidden.value) }
        var size: UInt
        private var hidden: HiddenAddress
        fileprivate var last: UInt { start + Swift.max(size, 1) - 1 }

        init(start: UInt, size: UInt) {
            hidden = HiddenAddress(UInt64(start))
            self.size = size
        }
    }

    /// None is empty; all that is in one lies before what is in the next.
    private var chunks: [[Range]] = []
    private static let largestChunk = 512

    /// A range that part of this one is in; one with the same start would be replaced and does not count.
    func conflict(with range: Range) -> Range? {
        let (chunk, index, isFound) = place(of: range.start)
        let before = index > 0 ? chunks[chunk][index - 1] : chunk > 0 ? chunks[chunk - 1].last : nil
        if let before, before.last >= range.start { return before }
        let after = following(chunk, isFound ? index + 1 : index)
        if let after, after.start <= range.last { return after }
        return nil
    }

    mutating func insert(_ range: Range) {
        let (chunk, index, isFound) = place(of: range.start)
        if isFound {
            chunks[chunk][index] = range
        } else if chunks.isEmpty {
            chunks = [[range]]
        } else {
            chunks[chunk].insert(range, at: index)
            guard chunks[chunk].count > Self.largestChunk else { return }
            let half = Array(chunks[chunk][(Self.largestChunk / 2)...])
            chunks[chunk].removeSubrange((Self.largestChunk / 2)...)
            chunks.insert(half, at: chunk + 1)
        }
    }

    /// False: there is none that starts there.
    mutating func remove(_ start: UInt) -> Bool {
        let (chunk, index, isFound) = place(of: start)
        guard isFound else { return false }
        chunks[chunk].remove(at: index)
        if chunks[chunk].isEmpty { chunks.remove(at: chunk) }
        return true
    }

    private func following(_ chunk: Int, _ index: Int) -> Range? {
        guard chunk < chunks.count else { return nil }
        if index < chunks[chunk].count { return chunks[chunk][index] }
        return chunk + 1 < chunks.count ? chunks[chunk + 1].first : nil
    }

    /// Where the range with this start is or belongs.
    private func place(of start: UInt) -> (chunk: Int, index: Int, isFound: Bool) {
        guard !chunks.isEmpty else { return (0, 0, false) }
        let chunk = Swift.max(Self.firstIndex(chunks.count) { chunks[$0][0].start > start } - 1, 0)
        let index = Self.firstIndex(chunks[chunk].count) { chunks[chunk][$0].start >= start }
        return (chunk, index, index < chunks[chunk].count && chunks[chunk][index].start == start)
    }

    /// The first number for which a condition holds that, once it holds, holds for all larger ones.
    private static func firstIndex(_ count: Int, where holds: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
