// TracingError.swift: what can go wrong when a program traces itself.

/// Why the tracer could not do what it was asked.
public enum TracingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A number of frames outside of 1...65535.
    case frameCount(Int)
    /// A snapshot was asked for while nothing is traced.
    case notTracing
    /// The program runs under `tracemalloc run`, or preloaded: another process has the figures.
    case recordedElsewhere
    /// The recording could not be made; the system's reason.
    case cannotStart(String)
    /// A range of memory that cannot be tracked: null, of negative size, or past the end of the address space.
    case invalidRange(address: UInt, size: Int)
    /// A file could not be written or read; the sentence says why.
    case file(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .frameCount: "the number of frames must be in range [1; 65535]"
        case .notTracing: "allocations must be traced to take a snapshot: call AllocationTracer.start() first"
        case .recordedElsewhere:
            "this program is being recorded by another process (tracemalloc run): its figures are in that recording's file"
        case .cannotStart(let reason): "tracing could not be started: \(reason)"
        case .invalidRange(let address, let size):
            "a range of \(size) bytes at 0x\(String(address, radix: 16)) cannot be tracked: it must not be null, negative or wrap around"
        case .file(let sentence): sentence
        }
    }
}
