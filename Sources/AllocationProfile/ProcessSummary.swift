// ProcessSummary.swift: who was traced, and the figures of the whole process.

/// How a process ended.
public enum ProcessExit: Hashable, Sendable {
    /// It returned from `main` or called `exit`.
    case code(Int32)
    /// A signal killed it.
    case signal(Int32)
    /// It is still running, or nobody who knows could be asked.
    case unknown
}

/// The figures of one domain: ranges of memory that the program tracks by itself.
public struct DomainSummary: Hashable, Sendable {
    /// The number that the program gave it, from 1 on.
    public let domain: Int
    /// Ranges that were tracked, each replacement included.
    public package(set) var allocations: Int
    /// Ranges that were untracked or replaced.
    public package(set) var frees: Int
    /// Bytes of all ranges that were tracked.
    public package(set) var bytesAllocated: Int
    /// Bytes of all ranges that were untracked or replaced.
    public package(set) var bytesFreed: Int
    /// Ranges that are tracked.
    public package(set) var current: Tally
    /// Ranges that were tracked when the bytes of the domain were at their maximum.
    public package(set) var peak: Tally

    package init(
        domain: Int, allocations: Int, frees: Int, bytesAllocated: Int, bytesFreed: Int, current: Tally, peak: Tally
    ) {
        self.domain = domain
        self.allocations = allocations
        self.frees = frees
        self.bytesAllocated = bytesAllocated
        self.bytesFreed = bytesFreed
        self.current = current
        self.peak = peak
    }
}

/// The traced process image and its totals. The names are those of `tracemalloc stats --format json`.
///
/// An allocation is a call that returned a block; a `realloc` of a block is one free and one allocation. Bytes are
/// requested sizes.
public struct ProcessSummary: Hashable, Sendable {
    /// The process's number.
    public package(set) var pid: Int32 = 0
    /// Number of the parent when that is traced too.
    public package(set) var parent: Int32?
    /// Path of the executable.
    public package(set) var executable = ""
    /// The program's arguments, the first of which is its name.
    public package(set) var command: [String] = []
    /// How it ended.
    public package(set) var exit = ProcessExit.unknown
    /// Seconds since 1970 at which the recording started.
    public package(set) var started = 0.0
    /// Seconds from the start of the recording to its end or to the snapshot.
    public package(set) var duration = 0.0
    /// Threads that allocated.
    public package(set) var threads = 0

    /// Calls that returned a block.
    public package(set) var allocations = 0
    /// Blocks that were freed.
    public package(set) var frees = 0
    /// Bytes of all blocks that were allocated.
    public package(set) var bytesAllocated = 0
    /// Bytes of all blocks that were freed.
    public package(set) var bytesFreed = 0
    /// Blocks that are alive.
    public package(set) var current = Tally.zero
    /// Blocks that were alive when their bytes were at the maximum.
    public package(set) var peak = Tally.zero
    /// Seconds since the start of the recording at which the peak was reached.
    public package(set) var peakTime = 0.0
    /// Blocks that were freed before their thread allocated anything else.
    public package(set) var temporaryAllocations = 0
    /// Bytes of these blocks.
    public package(set) var temporaryBytes = 0
    /// Ranges that the program tracks by itself (`AllocationTracer.track`), ascending by domain. They are in none of the other figures.
    public package(set) var domains: [DomainSummary] = []

    /// Frees of blocks that are not known: older than the recording, or forgotten by `clearTraces`.
    public package(set) var unknownFrees = 0
    /// Calls from a signal handler that interrupted the tracer: counted here and nowhere else.
    public package(set) var reentrantEvents = 0
    /// Events that could not be recorded.
    public package(set) var lostEvents = 0
    /// Stacks charged to an ancestor because the table was full.
    public package(set) var lostStacks = 0
    /// Distinct stacks that were cut at the frame limit.
    public package(set) var truncatedStacks = 0
    /// Distinct stacks whose walk ended before a start frame.
    public package(set) var incompleteStacks = 0
    /// Verify mode: stacks compared with libunwind's, differences, and stacks that libunwind itself walked.
    package var walks = 0
    package var walkDifferences = 0
    package var walkFallbacks = 0

    /// Highest resident set size seen, in bytes.
    public package(set) var peakRSS = 0
    /// Events that the collector read.
    public package(set) var collectorEvents = 0
    /// Highest memory use of the collector for this process, in bytes.
    public package(set) var collectorMemory = 0
    /// Innermost frames kept.
    public package(set) var frameLimit = 256
    /// 0: all figures are exact. Else they are estimates from a sample of the blocks: bytes from one sample to the next, on average.
    public package(set) var sampledEvery = 0
    /// Sentences for people: what limits the figures.
    public package(set) var warnings: [String] = []

    package init() {}
}
