// Service.swift: the serving thread's loop over all processes of a session.
//
//     news (arrivals, exits, marks) ─► a round for each recording ─► checkpoint? ─► nap ─┐
//        ▲                                                                               │
//        └───────────────────────────────────────────────────────────────────────────────┘
import AllocationProfile
import CRecording
import Glibc

final class Service {
    private let collector: Collector
    private let untilIdle: Bool
    private let checkpoint: ((() -> [Snapshot]) -> Void)?
    private let save: (@Sendable ([Snapshot], String) -> String?)?
    private let prepare: (([ModuleAddresses], Bool) -> Void)?
    private let examine: ((Int32, Result<FrozenHeap, RecordingError>) -> Void)?
    private let promise = Unsafe.Promise()
    private var handedOut = HandedOutImages()

    private var served: [Served] = []
    private var ended: [Ended] = []
    /// Exits of processes whose recording was not seen yet.
    private var exits: [Int32: ProcessExit] = [:]
    private var nap = Nap()

    private struct Served {
        let recording: Recording
        let number: Int
        /// Readable when the process has ended; -1 where there is no such thing.
        let pidfd: Int32
        var hasLeft = false
        /// Modules that were announced, and the first node whose address was not.
        var announced = 0
        var nextNode = 0
    }

    private struct Ended {
        let start: UInt64
        let number: Int
        var snapshot: Snapshot
    }

    private static let lookEvery: UInt64 = 100_000_000
    /// Shorter runs are not worth it.
    private static let firstAnnouncement: UInt64 = 25_000_000
    /// Nodes whose addresses are announced together: a millisecond or two.
    private static let mostAddresses = 30_000
    private static let idle: UInt64 = 200_000_000
    /// A program that a collector was started for shows up within this time.
    private static let firstArrival: UInt64 = 5_000_000_000

    init(
        collector: Collector, untilIdle: Bool, checkpoint: ((() -> [Snapshot]) -> Void)?,
        save: (@Sendable ([Snapshot], String) -> String?)?, prepare: (([ModuleAddresses], Bool) -> Void)?,
        examine: ((Int32, Result<FrozenHeap, RecordingError>) -> Void)?
    ) {
        self.collector = collector
        self.save = save
        self.prepare = prepare
        self.examine = examine
        self.untilIdle = untilIdle
        self.checkpoint = checkpoint
    }

    func run() -> [Snapshot] {
        let markEvery = collector.options.markEvery.map { max(Self.nanoseconds($0), 1_000_000) }
        let checkpointEvery = Self.nanoseconds(collector.options.checkpointEvery)
        let start = SystemCalls.monotonic()
        var (lastLook, lastActive, nextCheckpoint) = (UInt64(0), start, start &+ checkpointEvery)
        var nextMark = start &+ (markEvery ?? 0)
        var nextAnnouncement = start &+ Self.firstAnnouncement
        // A look at the debug information costs the same for few addresses as for many: ever more seldom. The first one also reads what
        // each later one needs, which is most of the work for a short run.
        var nextAddresses = nextAnnouncement
        var eventsAtCheckpoint = 0
        var heard: UInt32?
        while true {
            let seen = collector.bell.value
            let doorbells = served.filter { !$0.hasLeft }.map { ($0.recording.doorbell, tm_load32($0.recording.doorbell)) }
            let time = SystemCalls.monotonic()
            let news = collector.takeInbox()
            // News may be in the inbox before the bell rings for it, and is told only once.
            if heard != seen || time &- lastLook >= Self.lookEvery || !news.isEmpty {
                heard = seen
                lastLook = time
                findRecordings()
                take(news, at: time)
                reap(at: time)
                handedOut.release()
            }
            var fill = 0.0
            for index in served.indices {
                fill = max(fill, served[index].recording.quickRound())
                if served[index].recording.isOver { leave(index) }
                if served[index].recording.waitsAtItsEnd { checkAtEnd(served[index].recording) }
            }
            if !served.isEmpty { lastActive = time }
            if let markEvery, time >= nextMark {
                for one in served { one.recording.mark(name: "") }
                nextMark = time &+ markEvery
            }
            if time >= nextAnnouncement {
                announce(addresses: time >= nextAddresses)
                nextAnnouncement = time &+ Self.lookEvery
                if time >= nextAddresses { nextAddresses = time &+ (time &- start) }
            }
            if ended.isEmpty, let awaited = collector.options.awaited, ProcessFiles.state(of: awaited) != nil { lastActive = time }
            let patience = ended.isEmpty ? Self.firstArrival : Self.idle
            if news.isFinished || (untilIdle && served.isEmpty && time &- lastActive >= patience) { return conclude() }
            if let checkpoint, time >= nextCheckpoint {
                let events = eventCount
                if events != eventsAtCheckpoint {
                    checkpoint {
                        eventsAtCheckpoint = events
                        return snapshots(at: time)
                    }
                }
                nextCheckpoint = time &+ checkpointEvery
            }
            var most = nap.after(fill: fill, someoneWaits: served.contains { $0.recording.someoneWaits })
            if markEvery != nil { most = min(most, nextMark > time ? nextMark - time : 0) }
            if most > 0 { sleep(seen: seen, doorbells: doorbells, nanoseconds: most) }
        }
    }

    private func announce(addresses: Bool) {
        guard let prepare else { return }
        for index in served.indices {
            let recording = served[index].recording
            recording.keepUp(frameLimit: frameLimit(of: recording))
            var wanted: [ModuleAddresses] = []
            if recording.moduleCount != served[index].announced {
                served[index].announced = recording.moduleCount
                wanted = recording.moduleTable.modules.filter { !$0.path.isEmpty }.map { ModuleAddresses(module: $0, addresses: []) }
            }
            if addresses, !recording.isOver {
                let found = recording.addresses(from: served[index].nextNode, most: Self.mostAddresses)
                served[index].nextNode = found.next
                wanted += found.addresses
            }
            if !wanted.isEmpty { prepare(wanted, false) }
        }
    }

    private var eventCount: Int { ended.count &+ served.reduce(0) { $0 &+ $1.recording.merge.ledger.totals.events } }

    private func sleep(seen: UInt32, doorbells: [(word: UnsafeMutablePointer<UInt32>, seen: UInt32)], nanoseconds: UInt64) {
        for one in served where !one.hasLeft { one.recording.setSleeping(true) }
        tm_fence()
        collector.bell.sleep(seen: seen, doorbells: doorbells, nanoseconds: nanoseconds)
        for one in served where !one.hasLeft { one.recording.setSleeping(false) }
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    // MARK: Arrivals

    /// Maps the recordings that have appeared, and removes their names: from then on they are memory, nothing else.
    private func findRecordings() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while read(collector.arrivals, &buffer, buffer.count) > 0 {}
        let names = SystemCalls.names(in: collector.session.directory)
        answer(names.filter { $0.hasPrefix(SessionRequest.prefix) })
        let found = names.compactMap { name -> (pid: Int32, number: Int, name: String)? in
            guard name.hasSuffix(TM_RECORDING_SUFFIX) else { return nil }
            let parts = name.split(separator: ".")
            guard parts.count == 3, let pid = Int32(parts[0]), let number = Int(parts[1]) else { return nil }
            return (pid, number, name)
        }
        for (_, number, name) in found.sorted(by: { ($0.pid, $0.number) < ($1.pid, $1.number) }) {
            do throws(RecordingError) {
                try serve("\(collector.session.directory)/\(name)", number: number)
            } catch {
                collector.note(trouble: error.description)
            }
        }
    }

    /// Tells who wants to ask which session a process belongs to.
    private func servedMarker(_ recording: Recording) -> String {
        "\(collector.session.directory)/\(SessionRequest.servedName(recording.pid))"
    }

    private func answer(_ names: [String]) {
        for name in names {
            guard let request = SessionRequest(taking: name, in: collector.session.directory) else { continue }
            let reply = SessionRequest.Reply(to: name, in: collector.session.directory)
            guard let recording = served.last(where: { $0.recording.pid == request.pid })?.recording else {
                reply.elsewhere()
                continue
            }
            switch request.verb {
            case .mark:
                recording.mark(name: request.name)
                reply.done()
            case .snapshot:
                recording.catchUp()
                let snapshots = [snapshot(of: recording, at: SystemCalls.monotonic())]
                let isStarted = Unsafe.Thread.start { [save] in
                    if let failure = save?(snapshots, reply.dataPath) { reply.failed(failure) } else { reply.done() }
                }
                if !isStarted { reply.failed("the collector cannot start a thread to write the snapshot with") }
            case .heap: handOut(recording, reply)
            case .watch:
                recording.catchUp()
                let limit = min(collector.options.frameLimit, recording.frameLimit)
                let answer = recording.answer(
                    WatchCursor(text: request.name) ?? WatchCursor(), frameLimit: limit, at: SystemCalls.monotonic())
                let isStarted = Unsafe.Thread.start {
                    if SystemCalls.write(answer.bytes, to: reply.dataPath) { reply.done() } else { reply.failed("no room for the answer") }
                }
                if !isStarted { reply.failed("the collector cannot start a thread to answer with") }
            }
        }
    }

    private func handOut(_ recording: Recording, _ reply: SessionRequest.Reply) {
        let heap: FrozenHeap
        do throws(RecordingError) { heap = try recording.freeze(intoFile: true, frameLimit: frameLimit(of: recording)) } catch {
            return reply.failed(error.description)
        }
        guard heap.image.complete(), handedOut.add(heap.image, at: reply.imagePath) else {
            return reply.failed("no memory for the blocks of process \(recording.pid)")
        }
        let isStarted = Unsafe.Thread.start { [save] in
            if let failure = save?([heap.snapshot], reply.dataPath) { reply.failed(failure) } else { reply.done() }
        }
        if !isStarted { reply.failed("the collector cannot start a thread to write the snapshot with") }
    }

    private func checkAtEnd(_ recording: Recording) {
        defer { recording.letEnd() }
        guard let examine else { return }
        do throws(RecordingError) {
            let heap = try recording.freeze(intoFile: false, frameLimit: frameLimit(of: recording))
            recording.letEnd()
            examine(recording.pid, .success(heap))
        } catch {
            recording.letEnd()
            examine(recording.pid, .failure(error))
        }
    }

    private func serve(_ path: String, number: Int) throws(RecordingError) {
        let file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        let code = errno
        unlink(path)
        guard file >= 0 else { throw .cannotOpen(path: path, errno: code) }
        var info = stat()
        fstat(file, &info)
        let region = try Unsafe.Region(file: file, path: path)
        let identity = ProcessIdentity(of: region.header.pointee, file: UInt64(info.st_ino))
        let recording = try Recording(region: region, name: path, identity: identity)
        // The same process after exec: its former image is gone.
        for index in served.indices.reversed() where served[index].recording.pid == recording.pid {
            end(index, at: SystemCalls.monotonic())
        }
        promise.give(region)
        recording.observeObjects(collector.options.objectTypes)
        recording.reserveAhead()
        let pidfd = Int32(truncatingIfNeeded: tm_pidfd_open(recording.pid))
        if pidfd >= 0 { _ = collector.bell.watch(pidfd) }
        served.append(Served(recording: recording, number: number, pidfd: pidfd))
        let marker = open(servedMarker(recording), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        if marker >= 0 { close(marker) }
        nap = Nap()
    }

    // MARK: Ends

    private func take(_ news: Collector.Inbox, at time: UInt64) {
        for (pid, exit) in news.exits {
            if let index = served.lastIndex(where: { $0.recording.pid == pid }) {
                served[index].recording.exit = exit
                end(index, at: time)
            } else if let index = ended.lastIndex(where: { $0.snapshot.process.pid == pid && $0.snapshot.process.exit == .unknown }) {
                ended[index].snapshot.process.exit = exit
            } else {
                exits[pid] = exit
            }
        }
        for (pid, name) in news.marks {
            for one in served where pid == nil || one.recording.pid == pid { one.recording.mark(name: name) }
        }
    }

    private func reap(at time: UInt64) {
        for index in served.indices.reversed() where isDead(served[index]) { end(index, at: time) }
    }

    private func isDead(_ one: Served) -> Bool {
        let recording = one.recording
        guard let (letter, _, start) = ProcessFiles.state(of: recording.pid) else { return true }
        // The number belongs to another process by now.
        if recording.processStart != 0 && start != recording.processStart { return true }
        if one.pidfd >= 0 {
            var request = pollfd(fd: one.pidfd, events: Int16(POLLIN), revents: 0)
            return poll(&request, 1, 0) > 0
        }
        // A main thread that ended before the others looks like a zombie, too.
        return letter == UInt8(ascii: "Z") && SystemCalls.names(in: "/proc/\(recording.pid)/task").count <= 1
    }

    /// Takes what is left of a recording, keeps its snapshot, gives its memory back.
    private func end(_ index: Int, at time: UInt64) {
        let one = served.remove(at: index)
        let recording = one.recording
        recording.end(at: time)
        if let exit = exits.removeValue(forKey: recording.pid) { recording.exit = exit }
        // Names are looked up while the rest of the snapshot is made.
        let snapshot = snapshot(of: recording, at: time) { [prepare] in prepare?($0, true) }
        if !one.hasLeft { recording.leave(promise) }
        unlink(servedMarker(recording))
        ended.append(Ended(start: recording.startMonotonic, number: one.number, snapshot: snapshot))
        // To give the kernel its pages back takes as long as to write the snapshot does.
        let remains = Unsafe.Handover(value: recording)
        if !Unsafe.Thread.start({ remains.value.free() }) { recording.free() }
        if one.pidfd >= 0 { close(one.pidfd) }
    }

    /// A damaged recording: its program must not wait for us.
    private func leave(_ index: Int) {
        guard !served[index].hasLeft else { return }
        served[index].hasLeft = true
        served[index].recording.leave(promise)
    }

    private func conclude() -> [Snapshot] {
        // The last look may have failed, for lack of a descriptor, and there is no next one.
        findRecordings()
        let time = SystemCalls.monotonic()
        while !served.isEmpty { end(0, at: time) }
        let result = snapshots(at: time)
        promise.end()
        return result
    }

    // MARK: Snapshots

    private func snapshot(of recording: Recording, at time: UInt64, whenLocated: (([ModuleAddresses]) -> Void)? = nil) -> Snapshot {
        if collector.options.checksInvariants {
            for sentence in recording.brokenInvariants() { recording.warn("broken invariant: \(sentence)") }
        }
        return recording.snapshot(frameLimit: frameLimit(of: recording), at: time, whenLocated: whenLocated)
    }

    private func frameLimit(of recording: Recording) -> Int { min(collector.options.frameLimit, recording.frameLimit) }

    private func snapshots(at time: UInt64) -> [Snapshot] {
        var all = ended
        for one in served {
            all.append(Ended(start: one.recording.startMonotonic, number: one.number, snapshot: snapshot(of: one.recording, at: time)))
        }
        all.sort { ($0.start, $0.snapshot.process.pid, $0.number) < ($1.start, $1.snapshot.process.pid, $1.number) }
        var result = all.map(\.snapshot)
        let pids = Set(result.map(\.process.pid))
        for index in result.indices {
            if let parent = result[index].process.parent, !pids.contains(parent) { result[index].process.parent = nil }
        }
        if !result.isEmpty { result[0].process.warnings += collector.troubles }
        return result
    }
}

/// How long to sleep between rounds: not at all while events pour in, longer and longer while nothing happens.
struct Nap {
    private var nanoseconds: UInt64 = 0

    private static let shortest: UInt64 = 50_000
    private static let longest: UInt64 = 50_000_000
    private static let whenWaiting: UInt64 = 1_000_000
    /// Two thousand events, 100 µs. To wake up takes 5 µs, and what shares a processor with the collector must stop for it: under a server
    /// and its client on two processors, half as many events for each round are a seventh more of the collector's time.
    private static let few = 0.24
    private static let many = 0.5

    mutating func after(fill: Double, someoneWaits: Bool) -> UInt64 {
        if fill > Self.many {
            nanoseconds = 0
        } else if fill > Self.few {
            nanoseconds = max(nanoseconds / 2, Self.shortest)
        } else {
            nanoseconds = min(max(nanoseconds * 2, Self.shortest), Self.longest)
        }
        return someoneWaits ? min(nanoseconds, Self.whenWaiting) : nanoseconds
    }
}
