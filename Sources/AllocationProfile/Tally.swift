// Tally.swift: bytes and blocks, the two numbers that every figure of a profile is made of.

/// An amount of memory: how many bytes in how many blocks.
///
/// A tally is also the difference of two tallies, so both numbers can be negative.
public struct Tally: Hashable, Sendable, Codable, AdditiveArithmetic {
    /// Requested bytes: what the program asked for, without the allocator's overhead.
    public var bytes: Int
    /// Number of blocks or, for totals, of allocations.
    public var count: Int

    /// So many bytes in so many blocks.
    public init(bytes: Int, count: Int) {
        self.bytes = bytes
        self.count = count
    }

    /// No block.
    public static let zero = Tally(bytes: 0, count: 0)

    // Sums wrap instead of trapping: figures of a damaged or hostile file must not stop a report.
    /// Sums wrap around.
    public static func + (left: Tally, right: Tally) -> Tally {
        Tally(bytes: left.bytes &+ right.bytes, count: left.count &+ right.count)
    }

    /// Differences wrap around.
    public static func - (left: Tally, right: Tally) -> Tally {
        Tally(bytes: left.bytes &- right.bytes, count: left.count &- right.count)
    }
}
