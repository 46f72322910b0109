// PackedNodes.swift: nodes of call trees as bytes, 4096 to a row.
import AllocationProfile

/// A node in eight bytes: the number of its parent and that of its location plus 3, four bytes each, highest first.
enum PackedNodes {
    static let perRow = 4096
    /// What stands for no location is a number as well: -3 to -1.
    private static let bias = -Int(StackNode.lost)

    /// A node as it lies in memory. Numbers count through all processes.
    static func word(parent: Int, location: Int) -> UInt64 {
        (UInt64(UInt32(truncatingIfNeeded: parent)) << 32 | UInt64(UInt32(truncatingIfNeeded: location + bias))).bigEndian
    }

    static func node(_ word: UInt64) -> (parent: Int, location: Int) {
        let word = UInt64(bigEndian: word)
        return (Int(word >> 32), Int(word & 0xffff_ffff) - bias)
    }
}
