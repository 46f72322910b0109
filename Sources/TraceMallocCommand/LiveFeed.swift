// LiveFeed.swift: keeps the model of a watched process up to date: one thread asks its collector, another reads names.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationSymbols
import Glibc
import Synchronization

/// A model, and the threads that fill it. The model may be read at any time; refreshing holds it for milliseconds.
final class LiveFeed: Sendable {
    let model: Mutex<LiveModel>
    private let interval: Double
    private let isStopped = Atomic(false)
    private let isPaused = Atomic(false)

    init(groupedBy grouping: Grouping, interval: Double) {
        model = Mutex(LiveModel(groupedBy: grouping))
        self.interval = interval
    }

    /// Begins to refresh. The first answer is waited for, unless the process is only just being started.
    func start(_ pid: Int32, waitsForArrival: Bool) throws(CommandError) {
        var watch = ProcessWatch(pid: pid)
        if !waitsForArrival {
            do { take(try watch.ask(), &watch) } catch { throw .noAnswer(error) }
        }
        let first = watch
        let threads = [
            Unsafe.startThread { [self] in refresh(first) },
            Unsafe.startThread(lowPriority: true) { [self] in readNames() },
        ]
        guard threads.allSatisfy({ $0 != nil }) else { throw .noThread }
        for thread in threads { thread?.detach() }
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
    func pause(_ pauses: Bool) { isPaused.store(pauses, ordering: .relaxed) }

    private func take(_ answer: WatchAnswer, _ watch: inout ProcessWatch) {
        model.withLock { model in
            if model.life == .starting { model.life = .running }
            model.refresh(residentBytes: answer.residentBytes, marks: answer.marks) { watch.apply(answer, to: &$0) }
        }
    }

    private func refresh(_ first: ProcessWatch) {
        var watch = first
        var next = ContinuousClock.now
        while !isStopped.load(ordering: .relaxed) {
            if isPaused.load(ordering: .relaxed) {
                next = .now
            } else if next <= .now {
                next = .now.advanced(by: .seconds(interval))
                do {
                    let answer = try watch.ask()
                    if !isStopped.load(ordering: .relaxed) { take(answer, &watch) }
                } catch {
                    guard note(error, pid: watch.pid) else { return }
                    // It has not arrived yet.
                    next = .now.advanced(by: .milliseconds(20))
                }
            }
            usleep(20_000)
        }
    }

    /// Whether asking again makes sense.
    private func note(_ error: RecordingError, pid: Int32) -> Bool {
        model.withLock { model in
            if isStopped.load(ordering: .relaxed) { return false }
            if model.life == .starting { return true }
            let isGone = kill(pid, 0) != 0 && errno == ESRCH
            model.life = isGone ? .ended("the process is gone") : .lost("\(error)")
            return false
        }
    }

    /// A batch is named while the next one gathers: reading a module's symbols again for each new address would cost more than
    /// the program itself.
    private func readNames() {
        while !isStopped.load(ordering: .relaxed) {
            let (part, restarts) = model.withLock { ($0.unnamed, $0.restarts) }
            guard let part else {
                usleep(100_000)
                continue
            }
            var options = SymbolicatorOptions()
            options.threads = 1
            options.threadPrologue = Unsafe.lowerPriority
            var named = [part]
            let cost = ContinuousClock().measure {
                var symbolicator = Symbolicator(options: options)
                symbolicator.symbolicate(&named)
            }
            model.withLock { $0.name(named[0], after: restarts) }
            usleep(UInt32(min(max(cost / .milliseconds(1), 100), 2000)) * 1000)
        }
    }
}
