// LocalCollector.swift: serves the recording of the program that it runs in, on a thread of its own.
package import AllocationProfile
import CRecording
import Glibc
import Synchronization

/// The live memory of a recording at one moment, ranges that the program tracks by itself included.
package struct LiveFigures: Sendable {
    package var current = Tally.zero
    package var peak = Tally.zero
    /// Bytes of the collector's tables.
    package var tables = 0
}

/// Collects what the threads of this process record.
///
/// Questions are answered by the collecting thread, after every event that is older than the question. Its own allocations,
/// and what it allocates for answers, are not recorded: `prologue` runs first on the thread and sees to that.
package final class LocalCollector: Sendable {
    private let bell: Unsafe.Bell
    private let settlesFrees: @Sendable () -> Bool
    private let ownMemory: @Sendable () -> [Range<UInt64>]
    private let inbox = Mutex(Inbox())

    private struct Inbox {
        var questions: [Question] = []
        var isPaused = false
    }

    /// What is to be done when all events before `clock` are counted.
    private struct Question: Sendable {
        var clock: UInt64
        var answer: @Sendable (Recording) -> Void
    }

    /// - Parameters:
    ///   - file: the recording's descriptor; the collector closes it.
    ///   - settlesFrees: records frees of the tracer's own moments that wait for room; false: some still do.
    ///   - ownMemory: where the tracer has memory that the recording does not name.
    package init(
        file: Int32, objectTypes: ObjectTypeSource? = nil, settlesFrees: @escaping @Sendable () -> Bool = { true },
        ownMemory: @escaping @Sendable () -> [Range<UInt64>] = { [] }, prologue: @escaping @Sendable () -> Void
    ) throws(RecordingError) {
        let region = try Unsafe.Region(file: file, path: "of this process")
        guard let bell = Unsafe.Bell(watches: false) else { throw .outOfMemory(needed: "the collector's thread") }
        self.bell = bell
        self.settlesFrees = settlesFrees
        self.ownMemory = ownMemory
        let recording = Unsafe.Handover(value: try Recording(region: region, name: "this process"))
        let isStarted = Unsafe.Thread.start { [self] in
            prologue()
            recording.value.observeObjects(objectTypes)
            serve(recording.value)
        }
        guard isStarted else { throw .outOfMemory(needed: "the collector's thread") }
        // Generic code that is not optimized takes a lock of the Swift runtime at its first use. A thread of the program that holds it
        // may wait for the collector by then: so all is used once before.
        _ = snapshot(at: 0, frameLimit: 1)
        _ = figures(at: 0)
    }

    /// While nothing is recorded the thread sleeps until it is asked.
    package func setPaused(_ isPaused: Bool) {
        inbox.withLock { $0.isPaused = isPaused }
        bell.ring()
    }

    // MARK: Questions. `clock`: everything that happened before it is part of the answer.

    package func figures(at clock: UInt64) -> LiveFigures {
        ask(clock) { recording in
            let ledger = recording.merge.ledger
            return LiveFigures(
                current: Tally(bytes: ledger.totals.currentBytes, count: ledger.liveCount) + ledger.tracked,
                peak: ledger.tracedPeak, tables: ledger.byteCount)
        }
    }

    package func snapshot(at clock: UInt64, frameLimit: Int) -> Snapshot {
        ask(clock) { $0.snapshot(frameLimit: frameLimit, at: SystemCalls.monotonic()) }
    }

    /// This process's heap: all of its threads stand still for a moment.
    package func freeze(at clock: UInt64, frameLimit: Int) throws(RecordingError) -> FrozenHeap {
        let result: Result<FrozenHeap, RecordingError> = ask(clock) { [settlesFrees, ownMemory] recording in
            // What the tracer let go of holds nothing, and is no block any more. Each round makes room for more of it.
            for _ in 0..<Self.mostRounds {
                let isSettled = settlesFrees()
                _ = recording.round()
                if isSettled { break }
            }
            do throws(RecordingError) {
                return .success(try recording.freezeThisProcess(frameLimit: frameLimit, ownMemory: ownMemory()))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The live block at an address, or the one that it lies in: its size, and a snapshot that holds only its stack.
    package func block(
        containing address: UInt64, domain: Int = 0, at clock: UInt64, frameLimit: Int
    ) -> (address: UInt64, size: Int, stack: Snapshot)? {
        ask(clock) { $0.block(containing: address, domain: domain, frameLimit: frameLimit) }
    }

    /// Counts what the calling thread allocates from now on, apart from everything else, until the window is closed. There is one
    /// window; opening it again begins anew. False: memory is short.
    package func openWindow(at clock: UInt64) -> Bool {
        let thread = UInt32(truncatingIfNeeded: tm_thread_id())
        return ask(clock) { $0.openWindow(thread: thread) }
    }

    /// To be called by the thread that opened the window. Nil when none is open.
    package func closeWindow(at clock: UInt64, frameLimit: Int) -> WindowFigures? {
        ask(clock) { $0.closeWindow(frameLimit: frameLimit) }
    }

    private func ask<Answer: Sendable>(_ clock: UInt64, _ question: @escaping @Sendable (Recording) -> Answer) -> Answer {
        let box = AnswerBox<Answer>()
        inbox.withLock { inbox in
            inbox.questions.append(Question(clock: clock) { box.put(question($0)) })
        }
        bell.ring()
        return box.take()
    }

    /// A collector that allocates a lot itself, as one without optimization, is never done. What is left then seems to be held.
    private static let mostRounds = 4

    // MARK: The thread

    private func serve(_ recording: Recording) {
        var nap = Nap()
        var waiting: [Question] = []
        // What this thread allocates and frees between its rounds costs the program time: each free is an event.
        var doorbells = [(word: recording.doorbell, seen: tm_load32(recording.doorbell))]
        while true {
            let seen = bell.value
            doorbells[0].seen = tm_load32(recording.doorbell)
            let isPaused = inbox.withLock { inbox in
                waiting += inbox.questions
                inbox.questions = []
                return inbox.isPaused
            }
            // Answers need every event that is older than the question.
            let fill = waiting.isEmpty ? recording.quickRound() : recording.round()
            let isOver = recording.isOver
            // One answer, then the rings again: threads wait for room meanwhile, and snapshots take their time.
            if let next = waiting.firstIndex(where: { $0.clock <= recording.settled || isOver }) {
                waiting.remove(at: next).answer(recording)
                continue
            }
            var most = nap.after(fill: fill, someoneWaits: recording.someoneWaits)
            if isPaused && fill == 0 { most = 3_600_000_000_000 }
            // A thread that is in the middle of writing an event holds the answer up.
            if !waiting.isEmpty { most = min(most, 20_000) }
            guard most > 0 else { continue }
            recording.setSleeping(true)
            tm_fence()
            bell.sleep(seen: seen, doorbells: doorbells, nanoseconds: most)
            recording.setSleeping(false)
        }
    }
}

/// One value, handed from the collecting thread to the one that waits for it.
private final class AnswerBox<Answer: Sendable>: Sendable {
    private let value = Mutex<Answer?>(nil)
    private let word = Unsafe.Word()

    func put(_ answer: Answer) {
        value.withLock { $0 = answer }
        word.set()
    }

    func take() -> Answer {
        word.wait()
        return value.withLock { $0! }
    }
}
