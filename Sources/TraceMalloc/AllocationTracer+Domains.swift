// AllocationTracer+Domains.swift: memory that does not come from malloc one block at a time: pools, arenas, mappings.
import CInterposer

extension AllocationTracer {
    /// Says that a range of memory is in use as a block of its own, for pools and arenas that hand out parts of what they got from
    /// malloc or mmap.
    ///
    ///     let slot = pool.take()
    ///     try AllocationTracer.track(slot, size: 64, domain: 7)
    ///     …
    ///     try AllocationTracer.untrack(slot, domain: 7)
    ///
    /// The range counts in ``tracedMemory`` and in snapshots, with the call's stack, until it is untracked. A range that was tracked
    /// at the same address of the domain is replaced. The figures of malloc's blocks stay what they are: each domain has its own in
    /// `snapshot.process.domains`, and filters tell domains apart.
    ///
    /// - Parameters:
    ///   - address: the first byte.
    ///   - size: bytes; a range of 0 bytes takes its address.
    ///   - domain: 1...4294967295, a number of your own for each kind of memory: ranges of different domains may overlap, as may a
    ///     range and the block of malloc that it lies in. 0 is malloc's own.
    /// - Throws: `TracingError.notTracing`, `.domain`, `.invalidRange`, `.overlappingRange`; then nothing is changed.
    ///
    /// Cost: about as much as tracing an allocation, and a lock that all calls share.
    @inline(never)
    public static func track(_ address: UnsafeRawPointer?, size: Int, domain: Int) throws(TracingError) {
        // Without this function's own frame.
        let stack = tm_stack_here(1)
        try Tracer.shared.track(address, size, domain, stack: stack)
    }

    /// Says that the range at an address is not in use any more. Does nothing when none is tracked there.
    ///
    /// - Throws: `TracingError.notTracing`, `.domain`.
    public static func untrack(_ address: UnsafeRawPointer?, domain: Int) throws(TracingError) {
        try Tracer.shared.untrack(address, domain)
    }
}
