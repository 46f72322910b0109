// Tracer+Track.swift: ranges that the program tracks by itself.
import CInterposer
import Glibc
import Synchronization

/// The ranges of all domains, as they are now in this process.
struct TrackedDomains {
    /// After fork the ranges are the parent's.
    private var pid: Int32 = 0
    private var ranges: [UInt32: TrackedRanges] = [:]

    mutating func removeAll() { ranges = [:] }

    /// Addresses and sizes have 48 bits in a recording, as they have in the CPU.
    private static let end: UInt = 1 << 48

    mutating func track(_ address: UnsafeRawPointer?, _ size: Int, _ domain: Int, stack: UInt32) -> TracingError? {
        guard let domainNumber = UInt32(exactly: domain), domain > 0 else { return .domain(domain) }
        let start = UInt(bitPattern: address)
        guard start > 0, start < Self.end, size >= 0, UInt(size) <= Self.end - start else {
            return .invalidRange(address: start, size: size)
        }
        if tm_tracing() == TM_TRACING_OFF { return .notTracing }
        keepOwn()
        let range = TrackedRanges.Range(start: start, size: UInt(size))
        if let other = ranges[domainNumber]?.conflict(with: range) {
            return .overlappingRange(address: start, size: size, trackedAddress: other.start, trackedSize: Int(other.size), domain: domain)
        }
        guard tm_track(domainNumber, address, UInt64(size), stack) else { return .notTracing }
        ranges[domainNumber, default: TrackedRanges()].insert(range)
        return nil
    }

    mutating func untrack(_ address: UnsafeRawPointer?, _ domain: Int) -> TracingError? {
        guard let domainNumber = UInt32(exactly: domain), domain > 0 else { return .domain(domain) }
        if tm_tracing() == TM_TRACING_OFF { return .notTracing }
        keepOwn()
        guard ranges[domainNumber]?.remove(UInt(bitPattern: address)) == true else { return nil }
        return tm_untrack(domainNumber, address) ? nil : .notTracing
    }

    private mutating func keepOwn() {
        if pid == getpid() { return }
        pid = getpid()
        removeAll()
    }
}

extension Tracer {
    /// The event is written under the lock: the recording has the order of the calls.
    func track(_ address: UnsafeRawPointer?, _ size: Int, _ domain: Int, stack: UInt32) throws(TracingError) {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        nonisolated(unsafe) let address = address
        let failure = tracked.withLock { $0.track(address, size, domain, stack: stack) }
        if let failure { throw failure }
    }

    func untrack(_ address: UnsafeRawPointer?, _ domain: Int) throws(TracingError) {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        nonisolated(unsafe) let address = address
        let failure = tracked.withLock { $0.untrack(address, domain) }
        if let failure { throw failure }
    }

    func clear() {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        tracked.withLock { domains in
            if tm_clear() { domains.removeAll() }
        }
    }
}
