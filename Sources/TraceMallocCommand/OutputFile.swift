// OutputFile.swift: the snapshot file of a run: its name, checkpoints while the program runs, and the final state.
import AllocationProfile
import AllocationStore
import Glibc
import Synchronization

/// Writes snapshots to one file, from any thread, one at a time.
final class OutputFile: Sendable {
    let path: String
    private let state: Mutex<State>
    private let isBusy = Atomic(false)
    /// When the next checkpoint may be written.
    private let earliest = Mutex(ContinuousClock.now)

    private struct State {
        let file: SnapshotFile
        /// The first write was, or the last one.
        var isBegun = false, isOver = false
        /// For the last write.
        var draft: SnapshotFile.Draft?
    }

    /// Makes the file. An existing one is an error unless `force`. Until something is written it says, some milliseconds later, that
    /// there is nothing yet: the program that is to be started need not wait for that, nor share the processors with it.
    /// - Parameter isHandedOver: another process is about to write it. Nothing is written here: each write takes away what another one
    ///   has begun beside the file.
    init(path: String, force: Bool, isHandedOver: Bool = false) throws(StoreError) {
        self.path = path
        state = Mutex(State(file: try SnapshotFile.reserve(at: path, force: force)))
        if isHandedOver { return }
        let begin: @Sendable () -> Void = { [self] in
            usleep(Self.startOfProgram)
            state.withLock { state in
                if !state.isBegun { try? state.file.write([], complete: false) }
            }
            makeDraft()
        }
        if let thread = Unsafe.startThread(begin) { thread.detach() } else { begin() }
    }

    /// Microseconds in which most programs have been loaded.
    private static let startOfProgram: UInt32 = 20_000

    /// Makes `PROGRAM.PID.tmalloc` in the current directory. The program runs already, so a file of that name, from an older
    /// process with the same number, is left alone and the next free name taken.
    convenience init(program: String, pid: pid_t, force: Bool, isHandedOver: Bool = false) throws(StoreError) {
        let name = program.split(separator: "/").last.map(String.init) ?? "program"
        var path = "\(name).\(pid).tmalloc"
        var number = 2
        while !force, Unsafe.status(of: path) != nil {
            path = "\(name).\(pid).\(number).tmalloc"
            number += 1
        }
        try self.init(path: path, force: force, isHandedOver: isHandedOver)
    }

    /// Writes an intermediate state in the background. Skipped while the last one is still being written, and so that
    /// making and writing them take a fortieth of the time at most: while one is made the program's events wait.
    func checkpoint(_ snapshots: () -> [Snapshot]) {
        let start = ContinuousClock.now
        guard earliest.withLock({ $0 }) <= start,
            isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
        else { return }
        let made = snapshots()
        let thread = Unsafe.startThread(lowPriority: true) { [self] in
            // A full disk may have room again by the end: only the last write counts.
            try? write(made)
            let end = ContinuousClock.now
            earliest.withLock { $0 = end.advanced(by: start.duration(to: end) * 40) }
            isBusy.store(false, ordering: .releasing)
        }
        if let thread { thread.detach() } else { isBusy.store(false, ordering: .releasing) }
    }

    /// An intermediate state.
    func write(_ snapshots: [Snapshot]) throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            // A checkpoint that waited for a processor until the end came would undo it.
            if state.isOver { return }
            state.isBegun = true
            try state.file.write(snapshots, complete: false)
        }
    }

    /// The last write is about to come: begins it in the background, if that was not done yet.
    func prepare() { Unsafe.startThread { [self] in makeDraft() }?.detach() }

    private func makeDraft() {
        state.withLock { state in
            if !state.isOver && state.draft == nil { state.draft = try? state.file.draft() }
        }
    }

    /// The same for the last time. `name` is called half-way, and not when an error comes before.
    func complete(_ snapshots: inout [Snapshot], name: (inout [Snapshot]) -> Void) throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            (state.isBegun, state.isOver) = (true, true)
            try state.file.write(&snapshots, complete: true, into: state.draft.take(), name: name)
        }
    }

    /// Removes a file that nothing came of.
    func remove() {
        state.withLock { state in
            (state.isBegun, state.isOver) = (true, true)
            unlink(path)
        }
    }
}
