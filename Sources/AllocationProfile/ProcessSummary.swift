// ProcessSummary.swift: who was traced, and the figures of the whole process.

/// How a process ended.
package enum ProcessExit: Hashable, Sendable {
    case code(Int32)
    case signal(Int32)
    /// It is still running, or nobody who knows could be asked.
    case unknown
}

/// The traced process image and its totals. The field names are those of `stats --format json`.
package struct ProcessSummary: Hashable, Sendable {
    package var pid: Int32 = 0
    /// Pid of the parent when that is traced too.
    package var parent: Int32?
    package var executable = ""
    package var command: [String] = []
    package var exit = ProcessExit.unknown
    /// Seconds since 1970 at which the recording started.
    package var started = 0.0
    /// Seconds from the start of the recording to its end or to the snapshot.
    package var duration = 0.0
    /// Threads that allocated.
    package var threads = 0

    package var allocations = 0
    package var frees = 0
    package var bytesAllocated = 0
    package var bytesFreed = 0
    package var current = Tally.zero
    package var peak = Tally.zero
    /// Seconds since the start of the recording at which the peak was reached.
    package var peakTime = 0.0
    package var temporaryAllocations = 0
    package var temporaryBytes = 0

    package var unknownFrees = 0
    package var reentrantEvents = 0
    package var lostEvents = 0
    /// Stacks charged to an ancestor because the table was full.
    package var lostStacks = 0
    /// Distinct stacks that were cut at the depth limit.
    package var truncatedStacks = 0
    /// Distinct stacks whose walk ended before a start frame.
    package var incompleteStacks = 0
    /// Verify mode: stacks compared with libunwind's, differences, and stacks that libunwind itself walked.
    package var walks = 0
    package var walkDifferences = 0
    package var walkFallbacks = 0

    /// Highest resident set size seen, in bytes.
    package var peakRSS = 0
    /// Events that the collector read.
    package var collectorEvents = 0
    /// Highest memory use of the collector for this process, in bytes.
    package var collectorMemory = 0
    /// Innermost frames kept.
    package var frameLimit = 256
    /// Sentences for the user: allocator inside the executable, recording full, collector abandoned …
    package var warnings: [String] = []

    package init() {}
}
