// Unsafe+Sampling.swift: what a sampled block stands for.
import Glibc

extension Unsafe {
    /// The weights of a recording that holds a sample of the blocks.
    ///
    /// A block of s bytes is recorded with the probability p = 1 - exp(-s / interval), so it counts as 1 / p blocks of its size:
    /// then sums are right on average. The fraction is rounded up or down at random, once for each block, so that all sums
    /// stay whole and what was added for a block is what is subtracted.
    struct Sampling: BitwiseCopyable {
        /// Mean bytes between samples; 0: every block is recorded.
        private let interval: Double

        /// Every block stands for itself.
        let isWhole: Bool

        init(interval: UInt64) {
            self.interval = Double(min(interval, 1 << 40))
            isWhole = interval == 0
        }

        @inline(__always)
        func weight(_ block: Block) -> Int { isWhole ? 1 : estimate(block) }

        @inline(never)
        private func estimate(_ block: Block) -> Int {
            let probability = -expm1(-Double(max(block.size, 1)) / interval)
            // The same number whenever it is asked about this block.
            var random = (block.address ^ block.birth << 17) &* 0x9e37_79b9_7f4a_7c15
            random = (random ^ random >> 31) &* 0xd6e8_feb8_6659_fd93
            return Int(1 / probability + Double(random >> 11) * 0x1p-53)
        }
    }
}
