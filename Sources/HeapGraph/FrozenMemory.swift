// FrozenMemory.swift: the contents of a frozen program's memory, by address.
package import AllocationProfile
import Glibc

/// Memory at one moment: pieces that were copied, and files where nothing was.
///
/// Pages that a program never wrote are not copied: they are what the mapped file says.
package final class FrozenMemory: MemoryReader, @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer
    private let owner: AnyObject?
    /// Ascending, without overlaps, all within `bytes`.
    private let pieces: [FrozenProcess.Piece]
    private let otherwise: (any MemoryReader)?

    /// - Parameters:
    ///   - owner: keeps `bytes` valid.
    ///   - otherwise: asked for addresses that no piece holds.
    package init(bytes: UnsafeRawBufferPointer, owner: AnyObject?, pieces: [FrozenProcess.Piece], otherwise: (any MemoryReader)? = nil) {
        self.bytes = bytes
        self.owner = owner
        self.otherwise = otherwise
        var end: UInt64 = 0
        self.pieces = pieces.filter { piece in
            let isSound =
                piece.address >= end && piece.size > 0 && piece.size < 1 << 46 && piece.address < 1 << 56 && piece.offset >= 0
                && piece.offset <= bytes.count && piece.size <= UInt64(bytes.count - piece.offset) && piece.address % 8 == 0
            if isSound { end = piece.address + piece.size }
            return isSound
        }
    }

    /// Index of the first piece that ends behind `address`.
    private func index(at address: UInt64) -> Int {
        var low = 0
        var high = pieces.count
        while low < high {
            let middle = (low &+ high) / 2
            if pieces[middle].address &+ pieces[middle].size <= address { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    package func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var done = 0
        var index = index(at: address)
        while done < buffer.count {
            let at = address &+ UInt64(done)
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            if index < pieces.count, pieces[index].address <= at {
                let piece = pieces[index]
                let skip = Int(at - piece.address)
                let count = min(rest.count, Int(piece.size) - skip)
                rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[(piece.offset + skip)..<(piece.offset + skip + count)]))
                done += count
                index += 1
            } else {
                let limit = index < pieces.count ? Int(min(pieces[index].address - at, UInt64(rest.count))) : rest.count
                let got = otherwise?.read(at: at, into: UnsafeMutableRawBufferPointer(rebasing: rest[..<limit])) ?? 0
                done += got
                if got < limit { break }
            }
        }
        return done
    }

    /// Calls `body` with each aligned word of a range that was copied.
    /// - Returns: false when a part of the range was not there.
    @inline(__always)
    func forEachWord(in range: Range<UInt64>, _ body: (_ address: UInt64, _ word: UInt64) -> Void) -> Bool {
        var at = (range.lowerBound &+ 7) & ~7
        let end = range.upperBound & ~7
        guard at < end else { return true }
        var index = index(at: at)
        var isWhole = true
        while at < end {
            guard index < pieces.count else { return false }
            let piece = pieces[index]
            if piece.address > at {
                isWhole = false
                at = piece.address
                if at >= end { break }
            }
            let stop = min(end, piece.address &+ piece.size)
            var pointer = bytes.baseAddress! + (piece.offset &+ Int(at &- piece.address))
            while at < stop {
                body(at, pointer.load(as: UInt64.self))
                pointer += 8
                at &+= 8
            }
            index &+= 1
        }
        return isWhole
    }

    /// Calls `body` with the first two words of pages of a range, as far as they were copied. It returns where to look for the next page.
    func forEachPage(in range: Range<UInt64>, _ body: (_ address: UInt64, _ first: UInt64, _ second: UInt64) -> UInt64) {
        var at = (range.lowerBound &+ 4095) & ~4095
        var index = index(at: at)
        while index < pieces.count {
            let piece = pieces[index]
            let stop = min(range.upperBound, piece.address &+ piece.size)
            at = max(at, (piece.address &+ 4095) & ~4095)
            while at &+ 16 <= stop {
                let words = bytes.baseAddress! + (piece.offset &+ Int(at &- piece.address))
                at = (body(at, words.load(as: UInt64.self), words.load(fromByteOffset: 8, as: UInt64.self)) &+ 4095) & ~4095
            }
            if stop == range.upperBound { return }
            index &+= 1
        }
    }

    /// The word at an aligned address, if it was copied.
    @inline(__always)
    func word(at address: UInt64) -> UInt64? {
        let index = index(at: address)
        guard index < pieces.count, pieces[index].address <= address, address & 7 == 0,
            address &+ 8 <= pieces[index].address &+ pieces[index].size
        else { return nil }
        return bytes.loadUnaligned(fromByteOffset: pieces[index].offset &+ Int(address &- pieces[index].address), as: UInt64.self)
    }
}
