// Unsafe+Totals.swift: the figures of a whole program, or of one of its domains.

extension Unsafe {
    struct Totals: BitwiseCopyable {
        var allocations = 0
        var frees = 0
        var bytesAllocated = 0
        var bytesFreed = 0
        var currentBytes = 0
        var peakBytes = 0
        var peakCount = 0
        var peakNumber: UInt64 = 1
        /// Clock at the peak.
        var peakClock: UInt64 = 0
        var temporaryCount = 0
        var temporaryBytes = 0
        var unknownFrees = 0
        /// Live blocks that the program told to forget: they were neither freed nor are they alive.
        var forgotten = 0
        var events = 0

        /// A block of a domain.
        mutating func allocate(_ bytes: Int, count: Int, clock: UInt64) {
            allocations &+= 1
            bytesAllocated &+= bytes
            currentBytes &+= bytes
            if currentBytes > peakBytes { resetPeak(count: count, clock: clock) }
        }

        mutating func free(_ bytes: Int) {
            frees &+= 1
            bytesFreed &+= bytes
            currentBytes &-= bytes
        }

        /// Now is the peak.
        @inline(__always)
        mutating func resetPeak(count: Int, clock: UInt64) {
            peakBytes = currentBytes
            peakCount = count
            peakClock = clock
            peakNumber &+= 1
        }
    }
}
