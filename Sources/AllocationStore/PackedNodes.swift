// PackedNodes.swift: nodes of call trees as bytes, 4096 to a row.
import AllocationProfile

/// A node in eight bytes: the number of its parent and that of its location plus 3, four bytes each, highest first.
enum PackedNodes {
    static let perRow = 4096
    static let size = 8
    /// What stands for no location is a number as well: -3 to -1.
    private static let bias = -Int(StackNode.lost)

    /// Numbers count through all processes.
    static func append(parent: Int, location: Int, to bytes: inout [UInt8]) {
        let word = UInt64(UInt32(truncatingIfNeeded: parent)) << 32 | UInt64(UInt32(truncatingIfNeeded: location + bias))
        withUnsafeBytes(of: word.bigEndian) { bytes.append(contentsOf: $0) }
    }

    static func node(_ index: Int, of bytes: [UInt8]) -> (parent: Int, location: Int) {
        var word: UInt64 = 0
        for byte in bytes[index * size..<(index + 1) * size] { word = word << 8 | UInt64(byte) }
        return (Int(word >> 32), Int(word & 0xffff_ffff) - bias)
    }
}
