// OutputFile.swift: the snapshot file of a run: its name, checkpoints while the program runs, and the final state.
import AllocationProfile
import AllocationStore
import Glibc
import Synchronization

/// Writes snapshots to one file, from any thread, one at a time.
final class OutputFile: Sendable {
    let path: String
    private let file: Mutex<SnapshotFile>
    private let isBusy = Atomic(false)
    /// When the next checkpoint may be written.
    private let earliest = Mutex(ContinuousClock.now)

    /// Makes the file. An existing one is an error unless `force`.
    init(path: String, force: Bool) throws(StoreError) {
        self.path = path
        file = Mutex(try SnapshotFile.create(at: path, force: force))
    }

    /// Makes `PROGRAM.PID.tmalloc` in the current directory. The program runs already, so a file of that name, from an older
    /// process with the same number, is left alone and the next free name taken.
    convenience init(program: String, pid: pid_t, force: Bool) throws(StoreError) {
        let name = program.split(separator: "/").last.map(String.init) ?? "program"
        var path = "\(name).\(pid).tmalloc"
        var number = 2
        while !force, Unsafe.status(of: path) != nil {
            path = "\(name).\(pid).\(number).tmalloc"
            number += 1
        }
        try self.init(path: path, force: force)
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
            try? write(made, complete: false)
            let end = ContinuousClock.now
            earliest.withLock { $0 = end.advanced(by: start.duration(to: end) * 40) }
            isBusy.store(false, ordering: .releasing)
        }
        if let thread { thread.detach() } else { isBusy.store(false, ordering: .releasing) }
    }

    func write(_ snapshots: [Snapshot], complete: Bool) throws(StoreError) {
        try file.withLock { file throws(StoreError) in try file.write(snapshots, complete: complete) }
    }

    /// The same for the last time. `name` is called half-way, and not when an error comes before.
    func complete(_ snapshots: inout [Snapshot], name: (inout [Snapshot]) -> Void) throws(StoreError) {
        try file.withLock { file throws(StoreError) in try file.write(&snapshots, complete: true, name: name) }
    }

    /// Removes a file that nothing came of.
    func remove() { unlink(path) }
}
