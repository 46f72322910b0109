// WriterTests.swift: rounds that trust the thread that has the turn, and when they must not.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

@Suite struct WriterTests {
    private let program = FakeProgram()
    private let writer: Int
    private let other: Int

    init() {
        _ = program.addRing()
        writer = program.addRing()
        other = program.addRing()
        program.header.pointee.fence = TM_FENCE_MEMBARRIER
    }

    private func give(turnTo ring: Int) {
        program.header.pointee.turn.takes += 1
        program.header.pointee.turn.holder = UInt64(ring) + TM_TURN_FIRST
    }

    /// Whether the last round left the turn where it was, as only one does that asks nobody.
    private var isTrusted: Bool { program.header.pointee.turn.holder != TM_TURN_NOBODY }

    private func recording() throws -> Recording {
        let recording = try program.recording()
        // The first round of all looks at the process, and asks everybody.
        _ = recording.round()
        return recording
    }

    /// As if the process had just been looked at: with the next look everybody is asked, and a test may stand still for that long.
    @discardableResult
    private func quickRound(_ recording: Recording) -> Double {
        recording.lastLook = SystemCalls.monotonic()
        return recording.quickRound()
    }

    @Test func `what the holder of the turn has published is taken without asking the others`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: other)
        program.allocate(0x1000, 1, ring: other)
        give(turnTo: writer)
        program.free(0x1000, ring: writer)
        program.allocate(0x1000, 2, ring: writer)
        #expect(quickRound(recording) > 0)
        #expect(isTrusted)
        #expect(recording.merge.ledger.totals.events == 3)
        #expect(recording.merge.ledger.totals.unknownFrees == 0)
        #expect(recording.merge.ledger.totals.currentBytes == 2)
    }

    @Test func `a snapshot in between counts the youngest blocks, too`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        let stack = program.addStack([0x1100])
        // A first peak, below which young blocks are not looked at one by one.
        program.allocate(0x9000, 1 << 20, stack: stack, ring: writer)
        program.free(0x9000, ring: writer)
        for index in 1...10 { program.allocate(UInt64(index) << 4, 3, stack: stack, ring: writer) }
        for index in 1...4 { program.free(UInt64(index) << 4, ring: writer) }
        quickRound(recording)
        #expect(isTrusted)
        #expect(recording.brokenInvariants() == [])
        let result = recording.snapshot(frameLimit: 64, at: SystemCalls.monotonic())
        #expect(result.process.current == Tally(bytes: 18, count: 6))
        #expect(result.costs.map(\.total) == [Tally(bytes: (1 << 20) + 30, count: 11)])
        #expect(result.costs.map(\.current.count) == [6])
    }

    @Test func `its next event may have the time of the last one, which is therefore not settled`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        let time = program.tick()
        program.emit(TM_EVENT_ALLOCATE, ring: writer, address: 0x1000, size: 1, time: time)
        quickRound(recording)
        #expect(recording.merge.ledger.totals.events == 1)
        #expect(recording.settled < time)
        program.emit(TM_EVENT_FREE, ring: writer, address: 0x1000, time: time)
        quickRound(recording)
        #expect(isTrusted)
        #expect(recording.merge.ledger.totals.events == 2)
        #expect(recording.merge.ledger.totals.unknownFrees == 0)
        recording.catchUp()
        #expect(recording.settled >= time)
    }

    @Test func `events of another ring that are younger than the writer's last wait for a round that asks`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        program.allocate(0x1000, 1, ring: writer)
        program.allocate(0x2000, 2, ring: other)
        quickRound(recording)
        #expect(isTrusted)
        #expect(recording.merge.ledger.totals.events == 1)
        _ = recording.round()
        #expect(!isTrusted)
        #expect(recording.merge.ledger.totals.events == 2)
    }

    @Test func `another thread in the middle of an event is asked, and holds younger ones back`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: other)
        program.allocate(0x1000, 1, ring: other)
        quickRound(recording)
        let time = program.tick()
        program.claim(other)
        give(turnTo: writer)
        program.allocate(0x2000, 2, ring: writer)
        for _ in 0..<3 { quickRound(recording) }
        #expect(!isTrusted)
        #expect(recording.merge.ledger.totals.events == 1)
        program.emit(TM_EVENT_FREE, ring: other, address: 0x1000, time: time)
        quickRound(recording)
        #expect(recording.merge.ledger.totals.events == 3)
        #expect(recording.merge.ledger.totals.peakBytes == 2)
    }

    @Test func `it is asked for a while, then the holder of the turn is trusted again`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        program.claim(other)
        quickRound(recording)
        #expect(!isTrusted)
        program.allocate(0x1000, 1, ring: other)
        var rounds = 0
        while !isTrusted && rounds < 1000 {
            give(turnTo: writer)
            quickRound(recording)
            rounds += 1
        }
        #expect(2..<1000 ~= rounds)
    }

    @Test(arguments: [TM_TURN_NOBODY, TM_TURN_ALL, TM_TURN_FIRST, TM_TURN_FIRST + 3, TM_TURN_FIRST + 1_000_000, .max])
    func `nobody is trusted while the turn is shared, free, or of a ring that does not exist`(holder: UInt64) throws {
        let recording = try recording()
        defer { recording.free() }
        program.header.pointee.turn.holder = holder
        program.allocate(0x1000, 1, ring: writer)
        program.allocate(0x2000, 1, ring: other)
        quickRound(recording)
        #expect(program.header.pointee.turn.holder == (holder == TM_TURN_ALL ? TM_TURN_ALL : TM_TURN_NOBODY))
        #expect(recording.merge.ledger.totals.events == 2)
    }

    @Test func `a turn that has changed hands does not stand, even if it came back`() {
        var watch = TurnWatch()
        let turn = UnsafeMutablePointer<tm_turn>.allocate(capacity: 1)
        defer { turn.deallocate() }
        turn.initialize(to: tm_turn())
        turn.pointee.holder = TM_TURN_FIRST + 1
        turn.pointee.takes = 1
        #expect(watch.writer(turn) == 1)
        #expect(watch.stands(turn))
        turn.pointee.holder = TM_TURN_FIRST + 2
        #expect(!watch.stands(turn))
        turn.pointee.holder = TM_TURN_FIRST + 1
        turn.pointee.takes += 2
        #expect(!watch.stands(turn))
        #expect(watch.writer(turn) == 1)
        #expect(watch.stands(turn))
    }

    @Test func `every tenth of a second everybody is asked`() throws {
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        quickRound(recording)
        #expect(isTrusted)
        recording.lastLook = 0
        _ = recording.quickRound()
        #expect(!isTrusted)
    }

    @Test func `a program that fences itself is asked each time, which costs nothing`() throws {
        program.header.pointee.fence = TM_FENCE_PRODUCER
        let recording = try recording()
        defer { recording.free() }
        give(turnTo: writer)
        quickRound(recording)
        #expect(!isTrusted)
    }
}
