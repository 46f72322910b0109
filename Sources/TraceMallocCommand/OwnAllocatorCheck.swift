// OwnAllocatorCheck.swift: looks for an allocator inside the program, while it runs.
import Synchronization

/// To search the symbols of a large program takes a twentieth of a second, for which nobody is to wait at the program's end.
final class OwnAllocatorCheck: Sendable {
    private let program: TracedProgram
    /// Nil: not known yet.
    private let hasOne = Mutex<Bool?>(nil)

    init(_ program: TracedProgram) { self.program = program }

    /// Begins to look, when the program has been started.
    func begin() {
        let thread = Unsafe.startThread(lowPriority: true) { [self] in
            let found = program.hasOwnAllocator
            hasOne.withLock { $0 = found }
        }
        thread?.detach()
    }

    /// What is to be said about it. Looks itself where there is no answer yet: the thread may not get a processor for a long time.
    func warnings() -> [String] {
        hasOne.withLock(\.self) ?? program.hasOwnAllocator ? [program.ownAllocatorWarning] : []
    }
}
