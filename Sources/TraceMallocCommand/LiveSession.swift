// LiveSession.swift: the screen's loop: keys, refreshes, signals, the end of the program.
import AllocationProfile
import AllocationRecording
import AllocationReports
import Glibc
import Synchronization

/// Shows a feed on a screen until the user leaves. Used from one thread.
final class LiveSession {
    private let feed: LiveFeed
    private let screen: Screen
    private let program: LiveProgram?
    private let pid: Int32
    private var view: LiveView
    /// Sentences from other threads.
    private let mail = Mutex<String?>(nil)
    private let isBusy = Atomic(false)
    private var isLeaving = false
    private var seesEnd = false

    init(_ feed: LiveFeed, _ screen: Screen, _ program: LiveProgram?, pid: Int32, groupedBy grouping: Grouping) {
        (self.feed, self.screen, self.program, self.pid) = (feed, screen, program, pid)
        view = LiveView(groupedBy: grouping)
    }

    func run() throws {
        defer { screen.close() }
        try screen.open()
        var shown: (refreshes: Int, namings: Int, life: LiveModel.Life)?
        var isStale = true
        while true {
            if program?.poll(feed) == true { noteEnd() }
            if program == nil, let signal = Unsafe.pendingSignal(LiveProgram.signals), signal != SIGUSR1, signal != SIGUSR2 { break }
            if screen.isGone { break }
            if let sentence = mail.withLock({ sentence in
                defer { sentence = nil }
                return sentence
            }) {
                view.message = sentence
                isStale = true
            }
            let state = feed.model.withLock { ($0.refreshes, $0.namings, $0.life) }
            if isStale || shown.map({ $0 == state }) != true {
                feed.model.withLock { $0.group(by: view.grouping) }
                let lines = feed.model.withLock { screen.lines($0, &view) }
                screen.draw(lines)
                shown = state
                isStale = false
            }
            switch screen.key(milliseconds: 100) {
            case .none: break
            case .resized: isStale = true
            case .key(let key):
                isStale = true
                if act(on: key) { return feed.stop() }
            }
        }
        feed.stop()
        program?.interrupt(SIGTERM)
    }

    /// True: leave.
    private func act(on key: LiveKey) -> Bool {
        let asked = isLeaving
        isLeaving = false
        switch view.press(key) {
        case nil: feed.pause(view.isPaused)
        case .quit:
            guard let program, program.exit == nil else {
                // The profile is being written: the end of that is waited for.
                while isBusy.load(ordering: .acquiring) { usleep(10_000) }
                return true
            }
            if asked {
                program.interrupt(SIGTERM)
                return true
            }
            isLeaving = true
            view.message = "The program is still running: q again ends it (SIGTERM), any other key stays."
        case .interrupt:
            guard let program, program.exit == nil else { return true }
            program.interrupt(SIGINT)
            view.message = "Ctrl-C was passed on to the program."
        case .suspend: screen.suspend()
        case .redraw: screen.redraw()
        case .mark(let name): mark(name)
        case .writeSnapshot: writeSnapshot()
        }
        return false
    }

    private func mark(_ name: String) {
        inBackground { [pid] in
            do {
                _ = try SessionRequest(verb: .mark, pid: pid, name: name).ask()
                return "A new generation has begun; d shows the change since."
            } catch { return "No mark: \(error)" }
        }
    }

    private func writeSnapshot() {
        let final = program?.final.withLock(\.self)
        inBackground { [pid] in
            do { return "Wrote \(try LiveSession.write(final ?? TakeSnapshot.snapshots(of: pid), pid: pid))" } catch {
                return "No snapshot: \(error)"
            }
        }
    }

    /// Names and writes snapshots, to a file in the current directory; gives its path.
    private static func write(_ snapshots: [Snapshot], pid: Int32) throws(CommandError) -> String {
        var snapshots = snapshots
        let file: OutputFile
        do { file = try OutputFile(program: snapshots.first?.process.executable ?? "program", pid: pid, force: false) } catch {
            throw .noOutput(error)
        }
        if let failure = Recording.finish(&snapshots, file, showsProgress: false) { throw .noOutput(failure) }
        return file.path
    }

    /// Runs on a thread of its own; what it gives is shown.
    private func inBackground(_ work: @escaping @Sendable () -> String) {
        guard isBusy.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged else {
            view.message = "Still busy with the last request."
            return
        }
        nonisolated(unsafe) let session = self
        let thread = Unsafe.startThread {
            let sentence = work()
            session.mail.withLock { $0 = sentence }
            session.isBusy.store(false, ordering: .releasing)
        }
        if let thread { thread.detach() } else { isBusy.store(false, ordering: .releasing) }
    }

    /// The program has ended: what its collector knew last takes the place of the last refresh.
    private func noteEnd() {
        guard !seesEnd, let program else { return }
        seesEnd = true
        feed.stop()
        view.message = "The program has ended; reading names …"
        // Handed over: nobody else touches it until the thread says that it is done.
        nonisolated(unsafe) let ended = program
        let feed = feed
        inBackground {
            ended.finishRecording(feed)
            return "The program has ended. q leaves" + (ended.outputPath.map { "; wrote \($0)" } ?? "; w writes a snapshot")
        }
    }
}
