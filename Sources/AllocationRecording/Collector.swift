// Collector.swift: serves the recordings of a session and turns them into snapshots.
package import AllocationProfile
import CRecording
import Glibc
import Synchronization

package struct CollectorOptions: Sendable {
    /// Innermost frames to keep of each stack.
    package var frameLimit: Int
    /// Begins a new generation in every process at this interval.
    package var markEvery: Duration?
    package var checkpointEvery: Duration
    /// A process whose recording is expected: `run` waits for it as long as it lives.
    package var awaited: Int32?
    /// For tests: figures that contradict each other become warnings.
    package var checksInvariants: Bool
    /// Names the types of objects; nil: they stay unknown.
    package var objectTypes: ObjectTypeSource?

    package init(
        frameLimit: Int = 256, markEvery: Duration? = nil, checkpointEvery: Duration = .seconds(5), awaited: Int32? = nil,
        checksInvariants: Bool = false, objectTypes: ObjectTypeSource? = nil
    ) {
        self.objectTypes = objectTypes
        self.awaited = awaited
        self.frameLimit = frameLimit
        self.markEvery = markEvery
        self.checkpointEvery = checkpointEvery
        self.checksInvariants = checksInvariants
    }
}

/// Watches a session directory and serves every recording that appears in it.
///
/// One thread calls `run` and does all the work; the other methods may be called from any thread, and wake it.
package final class Collector: Sendable {
    let session: Session
    let options: CollectorOptions
    let bell: Unsafe.Bell
    /// The FIFO of the session directory: something has been renamed into it.
    let arrivals: Int32
    private let inbox = Mutex(Inbox())
    private let troubleList = Mutex<[String]>([])
    /// Why recordings could not be read, in sentences.
    package var troubles: [String] { troubleList.withLock(\.self) }

    /// What other threads had to say since the serving thread last asked.
    struct Inbox {
        var isFinished = false
        var exits: [(pid: Int32, exit: ProcessExit)] = []
        var marks: [(pid: Int32?, name: String)] = []

        var isEmpty: Bool { !isFinished && exits.isEmpty && marks.isEmpty }
    }

    package init(session: Session, options: CollectorOptions) throws(RecordingError) {
        self.session = session
        self.options = options
        let arrivals = try session.makeBell()
        self.arrivals = arrivals
        guard let bell = Unsafe.Bell(), bell.watch(arrivals) else {
            close(arrivals)
            throw .outOfMemory(needed: "the collector's threads and descriptors")
        }
        self.bell = bell
    }

    deinit { close(arrivals) }

    /// Serves until `finish` was called or, with `untilIdle`, until every process seen has ended and none came for 0.2 s;
    /// then takes what is left and returns the snapshots: the first process's first, then by start.
    /// - Parameter checkpoint: called now and then on this thread with what makes the snapshots so far. Producers wait while it does,
    ///   when their rings are full.
    /// - Parameter examine: is given the heap of each process that waits at its end, on this thread; the process goes on.
    /// - Parameter prepare: is told now and then which modules have been seen in a process, all of them each time there is a new one,
    ///   and which new addresses in them; and when a process has ended (`true`) which addresses will be asked for.
    /// - Parameter save: writes a snapshot that another process asked for to a path, on a thread of its own; returns nil, or a
    ///   sentence about why it failed.
    package func run(
        untilIdle: Bool, checkpoint: ((() -> [Snapshot]) -> Void)? = nil, save: (@Sendable ([Snapshot], String) -> String?)? = nil,
        prepare: (([ModuleAddresses], Bool) -> Void)? = nil, examine: ((Int32, Result<FrozenHeap, RecordingError>) -> Void)? = nil
    ) -> [Snapshot] {
        Service(collector: self, untilIdle: untilIdle, checkpoint: checkpoint, save: save, prepare: prepare, examine: examine).run()
    }

    /// No further process is expected: `run` takes what is there and returns.
    package func finish() {
        inbox.withLock { $0.isFinished = true }
        bell.ring()
    }

    /// What waitpid said about a process: its recording ends.
    package func noteExit(pid: Int32, _ exit: ProcessExit) {
        inbox.withLock { $0.exits.append((pid, exit)) }
        bell.ring()
    }

    /// Begins a new generation in a process, or in all.
    package func mark(pid: Int32?, name: String) {
        inbox.withLock { $0.marks.append((pid, name)) }
        bell.ring()
    }

    func note(trouble: String) {
        troubleList.withLock { list in
            if list.count < 100 { list.append(trouble) }
        }
    }

    func takeInbox() -> Inbox {
        inbox.withLock { inbox in
            let taken = inbox
            inbox = Inbox(isFinished: inbox.isFinished)
            return taken
        }
    }
}
