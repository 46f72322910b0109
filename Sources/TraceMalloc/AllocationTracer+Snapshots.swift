// AllocationTracer+Snapshots.swift: pictures of the traced memory, and where a single block came from.

extension AllocationTracer {
    /// A picture of all traces, with names, files and lines: exact at the call, on all threads.
    ///
    /// Cost: names are looked up in debug information, tens of milliseconds for a small program the first time, more for
    /// large ones; allocating threads go on meanwhile.
    ///
    /// - Throws: `TracingError.notTracing`, `.recordedElsewhere`.
    public static func takeSnapshot() throws(TracingError) -> Snapshot { try Tracer.shared.takeSnapshot() }

    /// The call stack that allocated an object; nil when it is not known: not traced, allocated before `start`, or not on
    /// the heap at all.
    public static func traceback(of object: AnyObject) -> CallStack? {
        withExtendedLifetime(object) {
            traceback(containing: UnsafeRawPointer(Unmanaged.passUnretained(object).toOpaque()))
        }
    }

    /// The call stack that allocated the block that an address lies in; nil when none is known.
    ///
    /// - Parameter domain: 0 for blocks of malloc, else that of a range that was given to `track`.
    ///
    /// Cost: one pass over all live blocks.
    public static func traceback(containing address: UnsafeRawPointer, domain: Int = 0) -> CallStack? {
        Tracer.shared.callStack(containing: UInt64(UInt(bitPattern: address)), domain: domain)
    }
}
