// OwnAllocatorCheck.swift: looks for an allocator inside the program, while it runs.
import Synchronization

/// To search the symbols of a large program takes as long as a snapshot of it: a tenth of a second that nobody is to wait for.
final class OwnAllocatorCheck: Sendable {
    private let program: TracedProgram
    private let hasOne = Mutex<Bool?>(nil)
    private let thread = Mutex<Unsafe.Thread?>(nil)

    init(_ program: TracedProgram) { self.program = program }

    /// Begins to look, when the program has been started.
    func begin() {
        let started = Unsafe.startThread(lowPriority: true) { [self] in
            let found = program.hasOwnAllocator
            hasOne.withLock { $0 = found }
        }
        thread.withLock { $0 = started }
    }

    /// What is to be said about it. Waits for the answer.
    func warnings() -> [String] {
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        return hasOne.withLock(\.self) ?? program.hasOwnAllocator ? [program.ownAllocatorWarning] : []
    }
}
