// AllocationTracer+References.swift: how many references keep an object.

/// The references to one object.
public struct ReferenceCounts: Hashable, Sendable, CustomStringConvertible {
    /// Strong references: they keep the object alive.
    public let strong: Int
    /// Unowned references: they keep its memory, not the object.
    public let unowned: Int
    /// Weak references: they keep a small record beside it, not the object.
    public let weak: Int

    /// `strong=2, unowned=0, weak=1`
    public var description: String { "strong=\(strong), unowned=\(unowned), weak=\(weak)" }
}

extension AllocationTracer {
    /// How many references to an object exist at the moment, without the call's own. Needs no tracing.
    ///
    ///     let node = Node()
    ///     AllocationTracer.referenceCounts(of: node)   // strong=1, unowned=0, weak=0
    ///
    /// The figures are what the reference counts say. Where the compiler holds a reference of its own around the call, it is
    /// one more strong reference: for an object that is read from a property or a global variable, and for references that
    /// optimized code takes early or gives back late. An immortal object (the storage of a constant array) has a very large count.
    public static func referenceCounts<Object: AnyObject>(of object: borrowing Object) -> ReferenceCounts {
        let address = UnsafeRawPointer(Unmanaged.passUnretained(copy object).toOpaque())
        // All strong references together hold one unowned reference, and all unowned ones one weak reference.
        return ReferenceCounts(
            strong: Runtime.strong(address), unowned: Runtime.unowned(address) - 1, weak: Runtime.weak(address) - 1)
    }

    /// Functions of the Swift runtime.
    enum Runtime {
        @_silgen_name("swift_retainCount") static func strong(_ object: UnsafeRawPointer) -> Int
        @_silgen_name("swift_unownedRetainCount") static func unowned(_ object: UnsafeRawPointer) -> Int
        @_silgen_name("swift_weakRetainCount") static func weak(_ object: UnsafeRawPointer) -> Int
    }
}
