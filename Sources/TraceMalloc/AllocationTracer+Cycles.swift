// AllocationTracer+Cycles.swift: frees retain cycles that nothing reaches. An experiment.
public import AllocationProfile
import AllocationRecording
import CInterposer
import HeapGraph
import Synchronization

extension AllocationTracer {
    /// Frees Swift objects that keep each other alive and that the program cannot reach: sets the optional references to one object
    /// of each such cycle to nil, so that its reference count, and then those of the others, fall to zero and their `deinit`s run, on
    /// the calling thread.
    ///
    ///     let collection = try AllocationTracer.collectCycles()
    ///     for refusal in collection.refused { print(refusal) }
    ///
    /// - Warning: An experiment, to learn what a program would be without its cycles; mend those that ``findLeaks()`` names. A `deinit`
    ///   sees a reference that is nil which never was, and a `let` that has changed.
    ///
    /// A cycle is left alone unless it is proved that nobody but its own objects can come by it: the metadata must describe all of
    /// their fields, and account for every strong, unowned and weak reference that their counts tell. So what a task is part of stays,
    /// what a weak reference outside still leads to, and what no optional references hold. ``CycleCollection/refused`` has the reason
    /// for each.
    ///
    /// Costs what ``findLeaks()`` costs.
    ///
    /// - Throws: `TracingError.notTracing`, `.recordedElsewhere`, `.cannotLook` where the system does not allow it or another thread
    ///   collects, or a `deinit` that runs for it asks for it.
    public static func collectCycles() throws(TracingError) -> CycleCollection { try Tracer.shared.collectCycles() }
}

extension Tracer {
    /// Between a search and what it leads to nobody else may free the same objects.
    private static let isCollecting = Atomic(false)

    func collectCycles() throws(TracingError) -> CycleCollection {
        guard Self.isCollecting.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else {
            throw .cannotLook("retain cycles are being collected already")
        }
        defer { Self.isCollecting.store(false, ordering: .releasing) }
        let plans = try planCycles()
        var result = CycleCollection()
        for plan in plans {
            switch plan {
            case .failure(let refusal): result.refused.append(CycleCollection.Refusal(cycle: refusal.leak, reason: refusal.reason))
            case .success(let plan):
                if let reason = Unsafe.takeApart(plan) {
                    result.refused.append(CycleCollection.Refusal(cycle: plan.leak, reason: reason))
                } else {
                    result.freed.append(plan.leak)
                }
            }
        }
        return result
    }

    private func planCycles() throws(TracingError) -> [Result<CyclePlan, CycleRefusal>] {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        return try examine { analysis, program, reader, names in analysis.plans(on: program, reader: reader, names: names) }
    }

    /// Objects by their addresses. Nobody else knows them any more.
    private enum Unsafe {
        /// Sees whether an object is still there, without keeping it.
        private final class Witness {
            weak var object: AnyObject?
            init(_ object: AnyObject) { self.object = object }
        }

        /// Nil, or why the cycle is there still. Runs the program's `deinit`s.
        @inline(never)
        static func takeApart(_ plan: CyclePlan) -> String? {
            for member in plan.members where AllocationTracer.Runtime.strong(pointer(member.address)) != member.strong {
                return "it has changed since it was looked at"
            }
            let target = pointer(plan.target)
            let fields = plan.cleared.map { (holder: pointer($0.holder), reference: $0) }
            for (holder, reference) in fields {
                let word = holder.load(fromByteOffset: Int(reference.offset), as: UInt.self)
                if word != UInt(bitPattern: target) { return "it has changed since it was looked at" }
            }
            let witness = witness(of: target)
            for (holder, reference) in fields {
                holder.storeBytes(of: 0, toByteOffset: Int(reference.offset), as: UInt.self)
                holder.storeBytes(of: 0, toByteOffset: Int(reference.nilOffset), as: UInt.self)
            }
            for _ in fields { Unmanaged<AnyObject>.fromOpaque(target).release() }
            return witness.object == nil ? nil : "one of its deinits keeps an object alive"
        }

        @inline(never)
        private static func witness(of object: UnsafeMutableRawPointer) -> Witness {
            Witness(Unmanaged<AnyObject>.fromOpaque(object).takeUnretainedValue())
        }

        private static func pointer(_ address: HiddenAddress) -> UnsafeMutableRawPointer {
            UnsafeMutableRawPointer(bitPattern: UInt(address.value))!
        }
    }
}
