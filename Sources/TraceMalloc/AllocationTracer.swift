// AllocationTracer.swift: a program traces its own allocations: start, look, stop.
import CInterposer

/// Traces the memory that this program allocates: every `malloc` of it, in Swift, C and C++ code and all libraries.
///
///     try AllocationTracer.start()
///     work()
///     for line in try AllocationTracer.takeSnapshot().statistics(groupedBy: .line).prefix(10) { print(line) }
///     AllocationTracer.stop()
///
/// All members may be used from any thread and from async code. What the tracer itself allocates never shows. Before
/// `start()` and after `stop()` an allocation costs one predictable branch more than without the tracer.
///
/// A program that runs under `tracemalloc run` is recorded by that command: it counts as tracing, marks go into its
/// recording, and the figures are in its file, not here.
///
/// In a child made by fork() tracing is off.
public enum AllocationTracer {
    /// The number of frames of a stack that `start` keeps when none is given: enough for nearly every program.
    public static let defaultFrameLimit = 256

    /// Begins to trace.
    ///
    /// Blocks that exist already are not traced. When tracing is on already this changes nothing, not even the limit.
    ///
    /// - Parameter frames: how many innermost frames of each call stack to keep, 1...65535.
    /// - Throws: `TracingError.frameCount`, `.cannotStart`.
    public static func start(frames: Int = defaultFrameLimit) throws(TracingError) {
        guard (1...65535).contains(frames) else { throw .frameCount(frames) }
        try Tracer.shared.start(frames: frames)
    }

    /// Stops tracing and forgets all traces: traced memory is zero then. Snapshots that were taken stay valid.
    /// Does nothing when tracing is off, or when the recording belongs to `tracemalloc run`.
    public static func stop() { Tracer.shared.stop() }

    /// Whether allocations are being traced, by this program or by `tracemalloc run`.
    public static var isTracing: Bool { tm_tracing() != TM_TRACING_OFF }

    /// How many innermost frames of a stack are kept: the value of the last `start`.
    public static var frameLimit: Int { Tracer.shared.frameLimit }

    /// Bytes and blocks that are alive of what was traced, ranges of `track` included, and the highest number of bytes
    /// so far with the blocks of that moment. Exact: it includes every allocation and release that happened before the call, on any thread.
    ///
    /// Zero when tracing is off, and under `tracemalloc run`. Cost: about 0.1 ms.
    public static var tracedMemory: TracedMemory { Tracer.shared.tracedMemory() }

    /// Bytes of memory that the tracer itself uses at the moment: recording, tables, and what is kept while it is off.
    public static var tracerOverhead: Int { Tracer.shared.overhead() }

    /// Sets the peak to what is alive now. Does nothing when tracing is off.
    public static func resetPeak() { _ = tm_reset_peak() }

    /// Forgets all blocks and totals and goes on tracing. Releases of forgotten blocks are ignored.
    public static func clearTraces() { Tracer.shared.clear() }

    /// Begins a new generation: a snapshot tells for each generation what is still alive of what was allocated in it.
    /// Does nothing when tracing is off.
    public static func markGeneration(_ name: String = "") {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        _ = tm_mark(name)
    }
}

/// Memory that is traced at one moment.
public struct TracedMemory: Hashable, Sendable {
    /// Bytes and blocks that are alive.
    public var current: Tally
    /// Bytes at the highest point so far, and how many blocks were alive then.
    public var peak: Tally

    /// Memory with these figures.
    public init(current: Tally, peak: Tally) {
        self.current = current
        self.peak = peak
    }

    /// Nothing is alive and nothing was.
    public static let zero = TracedMemory(current: .zero, peak: .zero)
}
