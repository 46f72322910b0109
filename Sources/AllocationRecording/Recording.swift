// Recording.swift: one traced process image, from the first look at its recording to its last event.
import AllocationProfile
import CRecording
import Glibc

/// Serves one recording. Belongs to the thread that serves; knows nothing of files and directories.
final class Recording {
    let region: Unsafe.Region
    let identity: ProcessIdentity
    /// Nanoseconds of CLOCK_REALTIME and CLOCK_MONOTONIC.
    let startRealtime: UInt64
    let startMonotonic: UInt64
    /// Innermost frames that the program was asked to keep.
    var frameLimit: Int { min(max(Int(region.header.pointee.frame_limit), 1), 65535) }

    var merge: Unsafe.Merge
    var scale: ClockScale
    var timeline: Timeline
    /// Marks: clock, and seconds where the clock cannot tell.
    private(set) var marks: [(name: String, clock: UInt64, seconds: Double)] = []
    private(set) var warnings: [String] = []
    private(set) var threads = 0
    var peakRSS = 0
    private(set) var peakMemory = 0
    /// CLOCK_MONOTONIC when the process was found dead.
    private(set) var endMonotonic: UInt64?
    var exit = ProcessExit.unknown
    /// No further events will be read, from a process that lives or not.
    private(set) var isOver = false

    /// Every event up to this time is counted.
    private(set) var settled: UInt64 = 0
    /// A producer was seen asleep in the last round.
    private(set) var someoneWaits = false

    private let usesSharedClock: Bool
    let fencesItself: Bool
    let files: ProcessFiles
    /// Nil where nobody knows objects.
    private(set) var objects: ObjectObserver?
    /// The time up to which the last round knew of every event of a ring at rest.
    var lastRound: UInt64 = 0
    var turnWatch = TurnWatch()
    private var lastSweep: UInt64 = 0
    private var lastRingsUsed = 0
    /// Threads that a sweep has seen alive, where the program's numbers are not ours.
    private var knownThreads: Set<UInt32> = []
    var lastLook: UInt64 = 0
    var nextLargest: UInt64 = 0
    /// Since somebody asked for them.
    var known: Stacks?
    /// Stacks are looked at before somebody asks for them.
    var keepsUp = true
    /// By number, without number 0.
    var threadNames: [ThreadName] = []
    var nextNaming = UInt64.max
    /// What each ring's owners had said when the last one ended.
    var countedTails: [UInt64] = []

    /// A recording is found within this time of its start, however busy the machine is.
    private static let latestArrival: UInt64 = 10_000_000_000
    private static let rewake: UInt64 = 5_000_000
    private static let sweepEvery: UInt64 = 100_000_000
    private var lastWake: UInt64 = 0

    /// `identity`: who the program is; by default who it says that it is.
    init(region: Unsafe.Region, name: String, identity: ProcessIdentity? = nil) throws(RecordingError) {
        guard let merge = Unsafe.Merge(region: region, seed: .random(in: 1 ... .max)) else {
            region.unmap()
            throw .outOfMemory(needed: "the tables of \(name)")
        }
        let header = region.header.pointee
        self.region = region
        self.merge = merge
        self.identity = identity ?? ProcessIdentity(claimedBy: header)
        startRealtime = header.start_realtime
        // In a time namespace the program's clock is another one than ours: then the recording begins now.
        let now = SystemCalls.monotonic()
        let isRecent = header.start_monotonic <= now && now - header.start_monotonic < Self.latestArrival
        let isOurClock = isRecent && !self.identity.hasOtherClock
        startMonotonic = isOurClock ? header.start_monotonic : now
        usesSharedClock = header.clock == UInt32(TM_CLOCK_SHARED.rawValue)
        fencesItself = header.fence == TM_FENCE_PRODUCER
        scale = ClockScale(
            startClock: isOurClock ? header.start_clock : region.now(), startMonotonic: startMonotonic, measuresTime: !usesSharedClock)
        timeline = Timeline(start: header.start_clock, interval: 1)
        files = ProcessFiles(pid: self.identity.pid)
        marks = [("", header.start_clock, 0)]
        look(at: SystemCalls.monotonic())
        // A point a millisecond at first; a counter has no milliseconds, a point every 1,000 events then.
        timeline.setInterval(scale.ticksPerSecond > 0 ? UInt64(scale.ticksPerSecond / 1000) : 1000)
    }

    var pid: Int32 { identity.pid }
    var parentPid: Int32 { identity.parent }
    var processStart: UInt64 { identity.start }

    /// Finds out the types of objects from now on.
    func observeObjects(_ source: ObjectTypeSource?) {
        merge.ledger.probes.source = source
        objects = source.map { ObjectObserver(pid: pid, source: $0) }
    }

    // MARK: A round

    /// What is published, up to where it is in order.
    struct Published {
        /// How full the fullest ring was, 0...1.
        var fill = 0.0
        /// Events up to this time can be taken.
        var horizon = UInt64.max
        /// No event up to this time is missing.
        var settled = UInt64.max
        /// Nobody waits for an answer.
        var isQuick = false
    }

    /// Takes everything that is certainly in order by now. Returns how full the fullest ring was, 0...1; 0 when nothing could
    /// be taken. No event after `limit` is taken.
    func round(upTo limit: UInt64 = .max) -> Double { isOver ? 0 : take(readRings(upTo: limit), at: SystemCalls.monotonic()) }

    /// The same in a fraction of the time while one thread writes alone: the other threads are not asked, and the last events, which may
    /// have the time of one to come, are not `settled`.
    func quickRound() -> Double {
        let time = SystemCalls.monotonic()
        if isOver || fencesItself || time &- lastLook >= Self.sweepEvery { return round() }
        guard let published = readRingsBesideWriter() else { return round() }
        return take(published, at: time)
    }

    private func take(_ published: Published, at time: UInt64) -> Double {
        if isOver { return 0 }
        let before = merge.ledger.totals.events
        drain(published, time: time)
        settled = max(settled, published.settled)
        if isOver { return 0 }
        objects?.read(&merge.ledger.probes, region: region)
        serveRings(time: time)
        reserveAhead()
        nameThreads(at: time)
        if time &- lastLook >= Self.sweepEvery {
            look(at: time)
            addPoints(before: published.horizon, time: time)
        }
        return merge.ledger.totals.events == before ? 0 : published.fill
    }

    /// Takes every event that is older than this call, for an answer that includes them. A thread that stands still while it
    /// writes an event is not waited for longer than a moment.
    func catchUp() {
        let target = region.now()
        for _ in 0..<1000 where !isOver && settled < target { _ = round() }
    }

    /// Takes every event up to a time, and none that is younger. A thread that was interrupted while it wrote one is waited for:
    /// an event that is missing makes a freed block look alive. False: it did not go on for too long.
    func catchUp(exactlyTo clock: UInt64) -> Bool {
        let limit = SystemCalls.monotonic() &+ Self.longestCatchUp
        while !isOver && settled < clock {
            _ = round(upTo: clock)
            if settled >= clock { break }
            if SystemCalls.monotonic() > limit { return false }
            usleep(100)
        }
        return !isOver
    }

    private static let longestCatchUp: UInt64 = 10_000_000_000

    /// The process has ended: takes what is left. An event that was never published does not exist.
    func end(at time: UInt64) {
        if endMonotonic == nil { endMonotonic = time }
        guard !isOver else { return }
        let published = readRings(clock: .max, isFinal: true)
        if !isOver { drain(published, time: time) }
        for ring in 0..<merge.cursorCount { merge.ledger.dropReleases(ring: ring) }
        for ring in 0..<merge.cursorCount { countThread(ring) }
        isOver = true
    }

    /// Threads that allocated, those that are alive included.
    var threadCount: Int { threads + (0..<countedTails.count).count { merge.cursors[$0].said != countedTails[$0] } }

    private func countThread(_ index: Int) {
        if merge.cursors[index].said != countedTails[index] { threads += 1 }
        countedTails[index] = merge.cursors[index].said
    }

    /// Producers are not served any more: nobody may wait for us.
    func leave(_ promise: Unsafe.Promise) {
        promise.takeBack(region)
        for ring in 0..<region.ringsUsed { Unsafe.wake(&region.ring(ring).pointee.wake) }
        Unsafe.wake(&region.header.pointee.images.wake)
        Unsafe.wake(&region.header.pointee.text.wake)
        Unsafe.wake(&region.header.pointee.nodes.wake)
        Unsafe.wake(&region.header.pointee.rings.wake)
    }

    func free() {
        merge.free()
        region.unmap()
        files.close()
    }

    /// The word that producers ring at.
    var doorbell: UnsafeMutablePointer<UInt32> {
        (region.base + MemoryLayout<tm_header>.offset(of: \.doorbell)!).assumingMemoryBound(to: UInt32.self)
    }

    /// The word that says who may do without the clock.
    var turn: UnsafeMutablePointer<tm_turn> {
        (region.base + MemoryLayout<tm_header>.offset(of: \.turn)!).assumingMemoryBound(to: tm_turn.self)
    }

    func setSleeping(_ sleeps: Bool) { tm_store32(&region.header.pointee.collector_sleeping, sleeps ? 1 : 0) }

    func warn(_ sentence: String) {
        if !warnings.contains(sentence) { warnings.append(sentence) }
    }

    /// What cannot be true was read: what was counted so far stays.
    func giveUp(_ reason: String) {
        isOver = true
        warn("the recording of process \(pid) is damaged (\(reason)): figures end there; the program may have overwritten its memory")
    }

    // MARK: Rings

    private func drain(_ published: Published, time: UInt64) {
        while true {
            let pause = min(timeline.next, objects?.nextPause ?? .max)
            switch merge.run(horizon: published.horizon, pause: pause, settles: !published.isQuick) {
            case .horizon:
                objects?.passed(published.settled == .max ? .max : published.settled + 1, merge.ledger)
                peakMemory = max(peakMemory, merge.ledger.byteCount)
                return
            case .pause(let clock):
                objects?.passed(clock, merge.ledger)
                addPoints(before: clock, time: time)
            case .control(let kind, let argument, let clock): control(kind: kind, argument: argument, clock: clock, time: time)
            case .waiting(let ring):
                wakeProducer(of: ring)
                _ = growRing(ring)
            case .corrupt(let ring):
                giveUp("ring \(ring) holds an impossible event")
                return
            }
            if isOver { return }
        }
    }

    private func control(kind: UInt64, argument: UInt64, clock: UInt64, time: UInt64) {
        var isSound = true
        switch UInt32(truncatingIfNeeded: kind) {
        case TM_CONTROL_MARK.rawValue:
            let name = String(decoding: region.text(UInt32(truncatingIfNeeded: argument)).prefix(1000), as: UTF8.self)
            addMark(name: name, clock: clock, time: time)
        case TM_CONTROL_RESET_PEAK.rawValue: merge.ledger.resetPeak(clock: clock)
        case TM_CONTROL_CLEAR.rawValue:
            timeline.removeAll()
            known = nil
            isSound = merge.ledger.clear()
            merge.renumberThreads()
            threadNames = []
            threads = 0
            for ring in 0..<countedTails.count { countedTails[ring] = merge.cursors[ring].said }
        case TM_CONTROL_FORGET.rawValue: isSound = merge.ledger.forget()
        default: giveUp("it holds an unknown control event")
        }
        if !isSound { giveUp("no memory for its tables") }
    }

    /// Begins a generation now.
    func mark(name: String) {
        // What was allocated before belongs to the generation before.
        catchUp()
        if !isOver { addMark(name: name, clock: region.now(), time: SystemCalls.monotonic()) }
    }

    private func addMark(name: String, clock: UInt64, time: UInt64) {
        guard marks.count < Unsafe.Window.firstGeneration else {
            warn("more than 32767 marks were set in process \(pid): blocks after the last one belong to its generation")
            return
        }
        merge.ledger.generation = UInt64(marks.count)
        marks.append((name, clock, scale.seconds(monotonic: time)))
    }

    /// Gives producers their room, more of it where it was too little, and takes back the rings of threads that ended.
    private func serveRings(time: UInt64) {
        let used = merge.cursorCount
        let ringsWanted = tm_load32(&region.header.pointee.rings.waiting) != 0
        let isUrgent = used != lastRingsUsed || ringsWanted
        let sweeps = isUrgent || time &- lastSweep >= Self.sweepEvery
        if sweeps {
            lastRingsUsed = used
            lastSweep = time
        }
        let again = time &- lastWake >= Self.rewake
        if sweeps { knownThreads = [] }
        someoneWaits = false
        for index in 0..<used {
            let cursor = merge.cursors.base + index
            let ring = cursor.pointee.ring
            if let left = cursor.pointee.takeLeft() { region.releaseEvents(at: left.place, count: Int(left.capacity)) }
            tm_fence()
            let waits = tm_load32(&ring.pointee.waiting) != 0
            let grew = (waits || cursor.pointee.growing != nil) && growRing(index)
            if waits {
                someoneWaits = true
                if grew || cursor.pointee.wokenTail != cursor.pointee.tail || again {
                    lastWake = time
                    wakeProducer(of: index)
                }
            }
            if index != 0 && (sweeps || tm_load32(&ring.pointee.state) == TM_RING_DEAD.rawValue) { sweep(index, isUrgent: isUrgent) }
        }
    }

    private func wakeProducer(of index: Int) {
        let cursor = merge.cursors.base + index
        cursor.pointee.wokenTail = cursor.pointee.tail
        Unsafe.wake(&cursor.pointee.ring.pointee.wake)
    }

    private func isGone(thread: UInt32) -> Bool {
        guard identity.hasOtherNumbers else { return tm_thread_is_gone(UInt32(pid), thread) }
        if knownThreads.contains(thread) { return false }
        // Asked after the number was read: a thread that is younger than the list is not taken for one that is gone.
        knownThreads = identity.threads()
        return !knownThreads.contains(thread)
    }

    /// Frees the ring of a thread that ended, once it is empty.
    private func sweep(_ index: Int, isUrgent: Bool) {
        let cursor = merge.cursors.base + index
        let ring = cursor.pointee.ring
        if tm_load32(&ring.pointee.state) == TM_RING_LIVE.rawValue {
            let tid = tm_load32(&ring.pointee.tid)
            let isStill = cursor.pointee.sweptHead == cursor.pointee.head
            cursor.pointee.sweptHead = cursor.pointee.head
            // A thread that takes a ring writes its id after the state: 0 means that it is about to.
            guard isStill || isUrgent, tid != 0, isGone(thread: tid) else { return }
            guard tm_swap32(&ring.pointee.state, TM_RING_LIVE.rawValue, TM_RING_DEAD.rawValue) else { return }
        }
        // The thread's last events may have come after this round looked: the next round takes them first.
        guard tm_load32(&ring.pointee.state) == TM_RING_DEAD.rawValue, tm_load64(&ring.pointee.head) == cursor.pointee.tail else { return }
        countThread(index)
        merge.ledger.dropReleases(ring: index)
        cursor.pointee.last = Unsafe.LastBlock()
        cursor.pointee.claim = 0
        cursor.pointee.domain = 0
        // It may also live on with another ring, after tracing was started again.
        if tm_thread_is_gone(UInt32(pid), cursor.pointee.threadID) { merge.ledger.end(thread: cursor.pointee.threadID) }
        cursor.pointee.threadID = 0
        tm_store64(&ring.pointee.claim, cursor.pointee.tail)
        tm_store32(&ring.pointee.tid, 0)
        tm_store32(&ring.pointee.state, TM_RING_FREE.rawValue)
        // Someone may wait for a free ring.
        if tm_load32(&region.header.pointee.rings.waiting) != 0 { Unsafe.wake(&region.header.pointee.rings.wake) }
    }
}
