// TracingError.swift: what can go wrong when a program traces itself.

/// Why the tracer could not do what it was asked.
public enum TracingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A number of frames outside of 1...65535.
    case frameCount(Int)
    /// A snapshot was asked for, or memory tracked, while nothing is traced.
    case notTracing
    /// The program runs under `tracemalloc run`, or preloaded: another process has the figures.
    case recordedElsewhere
    /// The recording could not be made; the system's reason.
    case cannotStart(String)
    /// A range of memory that cannot be tracked: null, of negative size, or past the end of the address space.
    case invalidRange(address: UInt, size: Int)
    /// Part of the range is tracked in the domain already, under another address.
    case overlappingRange(address: UInt, size: Int, trackedAddress: UInt, trackedSize: Int, domain: Int)
    /// A domain outside of 1...4294967295.
    case domain(Int)
    /// The program could not be stopped to look at its memory; the sentence says why.
    case cannotLook(String)
    /// A file could not be written or read; the sentence says why.
    case file(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .frameCount: "the number of frames must be in range [1; 65535]"
        case .notTracing: "allocations must be traced to take a snapshot or to track memory: call AllocationTracer.start() first"
        case .recordedElsewhere:
            "this program is being recorded by another process (tracemalloc run): its figures are in that recording's file"
        case .cannotStart(let reason): "tracing could not be started: \(reason)"
        case .invalidRange(let address, let size):
            "a range of \(size) bytes at 0x\(String(address, radix: 16)) cannot be tracked: it must not be null, negative or wrap around"
        case .overlappingRange(let address, let size, let trackedAddress, let trackedSize, let domain):
            "a range of \(size) bytes at 0x\(String(address, radix: 16)) overlaps one of \(trackedSize) bytes at "
                + "0x\(String(trackedAddress, radix: 16)), which is tracked in domain \(domain): untrack that first, or use another domain"
        case .domain(let domain):
            "\(domain) cannot be a domain: it must be in range [1; 4294967295]; 0 is the domain of malloc's own blocks"
        case .file(let sentence), .cannotLook(let sentence): sentence
        }
    }
}
