// OrderTests.swift: rings merged in time, and the horizon behind which nothing can appear any more.
import AllocationProfile
import CRecording
import Glibc
import Testing

@testable import AllocationRecording

@Suite struct OrderTests {
    private let program = FakeProgram()

    @Test func `events of several rings are taken in the order of their times`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        // The block is handed from ring to ring; in any other order there are unknown frees.
        for turn in 0..<40 {
            let (owner, other) = turn % 2 == 0 ? (one, two) : (two, one)
            program.allocate(0x1000, UInt64(turn), ring: owner)
            program.free(0x1000, ring: other)
        }
        let result = try snapshot(program)
        #expect(result.process.unknownFrees == 0)
        #expect(result.process.frees == 40)
        #expect(result.process.threads == 2)
    }

    @Test func `many rings are merged as well`() throws {
        let program = FakeProgram(FakeProgram.Options(rings: 16, ringsReserved: 16))
        var random = Seeded(state: 7)
        let rings = (0..<16).map { _ in program.addRing() }
        for _ in 0..<400 {
            program.allocate(0x1000, 8, ring: rings.randomElement(using: &random)!)
            program.free(0x1000, ring: rings.randomElement(using: &random)!)
        }
        #expect(try snapshot(program).process.unknownFrees == 0)
    }

    @Test func `at equal times a free comes before the allocation that got the address`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        program.emit(TM_EVENT_ALLOCATE, ring: two, address: 0x1000, size: 1, time: 2)
        program.emit(TM_EVENT_ALLOCATE, ring: one, address: 0x1000, size: 2, time: 5)
        program.emit(TM_EVENT_FREE, ring: two, address: 0x1000, time: 5)
        let result = try snapshot(program)
        #expect(result.process.unknownFrees == 0)
        #expect(result.process.current == Tally(bytes: 2, count: 1))
    }

    @Test func `a claimed event that is not published holds later ones back`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 1, ring: one)
        program.allocate(0x2000, 2, ring: two)
        _ = recording.round()
        #expect(recording.merge.ledger.totals.events == 2)
        // Ring one takes its time, and is interrupted before it can publish; ring two goes on.
        let time = program.tick()
        program.claim(one)
        program.allocate(0x3000, 4, ring: two)
        program.allocate(0x4000, 8, ring: two)
        for _ in 0..<3 { _ = recording.round() }
        #expect(recording.merge.ledger.totals.events == 2)
        program.emit(TM_EVENT_FREE, ring: one, address: 0x2000, time: time)
        _ = recording.round()
        #expect(recording.merge.ledger.totals.events == 5)
        #expect(recording.merge.ledger.totals.peakBytes == 13)
    }

    @Test func `an event in the making cannot be older than a round that did not see it`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 1, ring: one)
        for index in 1...10 { program.allocate(UInt64(index) << 16, 1, ring: two) }
        _ = recording.round()
        for index in 11...20 { program.allocate(UInt64(index) << 16, 1, ring: two) }
        _ = recording.round()
        program.claim(one)
        let claimed = program.header.pointee.shared_clock
        program.allocate(0x7770000, 1, ring: two)
        _ = recording.round()
        // Ring one's last event is ancient, yet everything up to the last quiet round is in order.
        #expect(recording.merge.cursors[one].floor == claimed - 1)
        #expect(recording.merge.ledger.totals.events == 21)
    }

    @Test func `when the process is dead an event in the making does not exist`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        program.claim(one)
        program.allocate(0x1000, 1, ring: two)
        let result = try snapshot(program)
        #expect(result.process.current == Tally(bytes: 1, count: 1))
        #expect(result.process.lostEvents == 0)
    }

    @Test func `a ring wraps around and moves to larger memory when its producer has no room`() throws {
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        for round in 0..<10 {
            for index in 0..<50 { program.allocate(UInt64(round * 50 + index + 1) << 4, 1) }
            _ = recording.round()
        }
        #expect(recording.merge.ledger.totals.allocations == 500)
        program.ring(0).pointee.waiting = 1
        let wake = program.ring(0).pointee.wake
        _ = recording.round()
        #expect(program.ring(0).pointee.reserved_capacity == 256)
        #expect(program.ring(0).pointee.wake != wake)
        program.ring(0).pointee.waiting = 0
        // Some events are still in the old memory, and more than it holds in the new.
        for index in 0..<40 { program.allocate(UInt64(1000 + index) << 4, 1) }
        let old = program.ring(0).pointee.at
        #expect(program.takeGrant(ring: 0))
        #expect(program.ring(0).pointee.at != old)
        for index in 40..<168 { program.allocate(UInt64(1000 + index) << 4, 1) }
        _ = recording.round()
        #expect(recording.merge.ledger.totals.allocations == 668)
        #expect(recording.merge.ledger.live.count == 668)
        #expect((0..<168).allSatisfy { recording.merge.ledger.live.contains(UInt64(1000 + $0) << 4) })
    }

    @Test func `a ring goes back to its small memory and to the large one as often as it likes`() throws {
        var options = FakeProgram.Options()
        options.capacityHome = 64
        options.capacityMax = 1 << 12
        let program = FakeProgram(options)
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        let ring = program.ring(0)
        var expected = 0
        func write(_ count: Int) {
            for _ in 0..<count {
                expected += 1
                program.allocate(UInt64(expected) << 4, 1)
            }
        }
        func collect() {
            _ = recording.round()
            #expect(recording.merge.ledger.totals.allocations == expected)
            #expect(ring.pointee.tail == ring.pointee.head)
        }
        func grow() {
            ring.pointee.waiting = 1
            _ = recording.round()
            ring.pointee.waiting = 0
        }
        write(10)
        collect()
        let home = (at: ring.pointee.at, capacity: ring.pointee.capacity)
        grow()
        #expect(program.takeGrant(ring: 0))
        var large = (at: ring.pointee.at, capacity: ring.pointee.capacity)
        #expect(large.capacity == 256)
        for round in 1...20 {
            write(round)
            if round % 3 == 0 { collect() }
            write(1)
            collect()
            write(round)
            // Back, with events in the large one that nobody has taken.
            program.move(ring: 0, to: home.at, home.capacity)
            write(round * 3)
            collect()
            write(2)
            program.move(ring: 0, to: large.at, large.capacity)
            write(Int(large.capacity))
            collect()
            if round % 8 == 0 {
                grow()
                if round == 8 {
                    // It may be taken from the small one as well.
                    program.move(ring: 0, to: home.at, home.capacity)
                    write(1)
                    collect()
                }
                #expect(program.takeGrant(ring: 0))
                #expect(ring.pointee.at != large.at)
                large = (at: ring.pointee.at, capacity: ring.pointee.capacity)
                write(1)
                collect()
            }
        }
        #expect(large.capacity == 4096)
        #expect((1...expected).allSatisfy { recording.merge.ledger.live.contains(UInt64($0) << 4) })
    }

    @Test func `a producer that waits is granted more room, once`() throws {
        let (one, two) = (program.addRing(), program.addRing())
        for index in 0..<60 { program.allocate(UInt64(1 + index) << 4, 1, ring: one) }
        program.allocate(0x9000, 1, ring: two)
        let recording = try program.recording()
        defer { recording.free() }
        for ring in [one, two] { program.ring(ring).pointee.waiting = 1 }
        _ = recording.round()
        // Not twice before it has been taken.
        _ = recording.round()
        #expect(program.ring(one).pointee.reserved_capacity == 256)
        #expect(program.ring(two).pointee.reserved_capacity == 256)
        #expect(recording.merge.ledger.totals.allocations == 61)
    }

    @Test func `up to its home a ring grows no further than there`() throws {
        var options = FakeProgram.Options()
        options.capacityHome = 128
        let program = FakeProgram(options)
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 1)
        program.ring(0).pointee.waiting = 1
        _ = recording.round()
        #expect(program.ring(0).pointee.reserved_capacity == 128)
    }

    /// All at once takes so long that the producer has filled what it has in the meantime.
    @Test func `much room is made ready in steps, also when the producer has gone on`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1 << 13, capacityMax: 1 << 15))
        _ = program.addRing()
        program.allocate(0x1000, 1)
        let recording = try program.recording()
        defer { recording.free() }
        let ring = program.ring(0)
        ring.pointee.waiting = 1
        for _ in 0..<3 {
            _ = recording.round()
            #expect(ring.pointee.reserved_capacity == 1 << 13)
            ring.pointee.waiting = 0
        }
        _ = recording.round()
        #expect(ring.pointee.reserved_capacity == 1 << 15)
        #expect(program.takeGrant(ring: 0))
        program.allocate(0x2000, 1)
        _ = recording.round()
        #expect(recording.merge.ledger.totals.allocations == 2)
    }

    /// It moves without asking, and may not know of the grant yet.
    @Test func `a producer that has gone back to its small memory is granted more when it is in the large one`() throws {
        var options = FakeProgram.Options(capacityStart: 1 << 13, capacityMax: 1 << 17)
        options.capacityHome = 1 << 13
        let program = FakeProgram(options)
        _ = program.addRing()
        program.allocate(0x1000, 1)
        let recording = try program.recording()
        defer { recording.free() }
        let ring = program.ring(0)
        let home = (at: ring.pointee.at, capacity: ring.pointee.capacity)
        ring.pointee.waiting = 1
        for _ in 0..<4 { _ = recording.round() }
        #expect(program.takeGrant(ring: 0))
        let large = (at: ring.pointee.at, capacity: ring.pointee.capacity)
        program.allocate(0x2000, 1)
        _ = recording.round()
        ring.pointee.waiting = 0
        program.move(ring: 0, to: home.at, home.capacity)
        program.allocate(0x3000, 1)
        for _ in 0..<10 { _ = recording.round() }
        #expect(ring.pointee.reserved_capacity == large.capacity)
        program.move(ring: 0, to: large.at, large.capacity)
        program.allocate(0x4000, 1)
        for _ in 0..<2 { _ = recording.round() }
        #expect(!recording.isOver)
        #expect(recording.merge.ledger.totals.allocations == 4)
        #expect(ring.pointee.reserved_capacity == 1 << 17)
    }

    @Test func `a large ring gets larger when it is full again soon, not when the collector was late once`() throws {
        var options = FakeProgram.Options(capacityStart: 64, capacityMax: 1 << 12)
        options.capacityHome = 64
        let program = FakeProgram(options)
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        let ring = program.ring(0)
        var address: UInt64 = 0
        func write(_ count: Int) {
            for _ in 0..<count {
                address += 16
                program.allocate(address, 1)
                program.free(address)
                if address % 320 == 0 { _ = recording.round() }
            }
        }
        func wait() {
            ring.pointee.waiting = 1
            for _ in 0..<3 { _ = recording.round() }
            ring.pointee.waiting = 0
        }
        write(1)
        wait()
        #expect(program.takeGrant(ring: 0))
        write(8 * 256 + 20)
        wait()
        #expect(ring.pointee.reserved_capacity == 256)
        write(7 * 256)
        wait()
        #expect(ring.pointee.reserved_capacity == 1024)
    }

    @Test func `a producer that waits is woken when there is room, before all events are taken`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1 << 12, capacityMax: 1 << 12))
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        let ring = program.ring(0)
        for index in 0..<1 << 12 { program.allocate(UInt64(1 + index) << 4, 1) }
        ring.pointee.waiting = 1
        let wake = ring.pointee.wake
        _ = recording.round()
        // At the end it is in any case. How often before that depends on when the round pauses for the timeline.
        #expect(ring.pointee.wake >= wake + 3)
        #expect(recording.merge.ledger.totals.allocations == 1 << 12)
    }

    @Test func `a ring never grows past its limit`() throws {
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        program.ring(0).pointee.waiting = 1
        for index in 0..<12 {
            _ = recording.round()
            _ = program.takeGrant(ring: 0)
            program.allocate(UInt64(1 + index) << 4, 1)
        }
        #expect(program.ring(0).pointee.capacity == 1024)
        #expect(program.ring(0).pointee.reserved_capacity == 1024)
        #expect(recording.merge.ledger.totals.allocations == 11)
    }

    @Test func `a ring that moved to where it was not told to ends the recording`() throws {
        _ = program.addRing()
        program.allocate(0x1000, 1)
        let recording = try program.recording()
        defer { recording.free() }
        _ = recording.round()
        program.ring(0).pointee.capacity = 256
        program.ring(0).pointee.moved = 1
        program.allocate(0x2000, 1)
        _ = recording.round()
        #expect(recording.isOver)
        #expect(recording.merge.ledger.totals.allocations == 1)
    }

    @Test func `the ring of a thread that ended is emptied and given to the next`() throws {
        _ = program.addRing()
        // No thread has this number: the kernel's limit is below.
        let dead = program.addRing(tid: 1 << 30)
        let alive = program.addRing(tid: UInt32(tm_thread_id()))
        program.allocate(0x1000, 1, ring: dead)
        program.allocate(0x2000, 1, ring: alive)
        program.claim(dead)
        let recording = try program.recording()
        defer { recording.free() }
        for _ in 0..<3 { _ = recording.round() }
        #expect(program.ring(dead).pointee.state == TM_RING_FREE.rawValue)
        #expect(program.ring(dead).pointee.tid == 0)
        #expect(program.ring(dead).pointee.claim == program.ring(dead).pointee.head)
        #expect(program.ring(alive).pointee.state == TM_RING_LIVE.rawValue)
        // The next thread takes it; it has not written its number yet, and is not taken for dead.
        program.ring(dead).pointee.state = TM_RING_LIVE.rawValue
        program.header.pointee.rings.waiting = 1
        for _ in 0..<3 { _ = recording.round() }
        #expect(program.ring(dead).pointee.state == TM_RING_LIVE.rawValue)
        program.header.pointee.rings.waiting = 0
        program.allocate(0x3000, 1, ring: dead)
        _ = recording.round()
        #expect(recording.threadCount == 3)
        #expect(recording.merge.ledger.totals.currentBytes == 3)
    }

    @Test func `memory is reserved ahead of what is used, and a waiting producer is woken`() throws {
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        _ = recording.round()
        #expect(program.header.pointee.rings.reserved == 5)
        #expect(program.header.pointee.nodes.reserved > 4096)
        #expect(program.ring(4).pointee.reserved_capacity == 64)
        program.header.pointee.nodes.used = program.header.pointee.nodes.reserved + 10
        program.header.pointee.nodes.waiting = 1
        let wake = program.header.pointee.nodes.wake
        _ = recording.round()
        #expect(program.header.pointee.nodes.reserved > program.header.pointee.nodes.used)
        #expect(program.header.pointee.nodes.wake != wake)
        #expect(program.header.pointee.nodes.refused == 0)
    }

    @Test(.enabled(if: getuid() == 0)) func `a full file system is an answer at growth, not a crash later`() throws {
        let directory = "/dev/shm/full-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        mkdir(directory, 0o700)
        defer { rmdir(directory) }
        guard run("/bin/mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", directory) else { return }
        do {
            let program = FakeProgram(FakeProgram.Options(nodes: 1 << 20, capacityMax: 1 << 16, directory: directory))
            _ = program.addRing()
            let recording = try program.recording()
            defer { recording.free() }
            program.allocate(0x1000, 8)
            var allocations = 1
            program.ring(0).pointee.waiting = 1
            program.header.pointee.nodes.waiting = 1
            let wake = program.header.pointee.nodes.wake
            for _ in 0..<14 {
                program.header.pointee.nodes.used = program.header.pointee.nodes.reserved + 10
                _ = recording.round()
                guard program.takeGrant(ring: 0) else { continue }
                program.allocate(0x1000, 8)
                allocations += 1
            }
            #expect(program.header.pointee.nodes.refused == 1)
            #expect(program.ring(0).pointee.refused == 1)
            #expect(program.header.pointee.nodes.wake != wake)
            #expect(recording.warnings.count == 2)
            #expect(recording.merge.ledger.totals.allocations == allocations)
        }
        #expect(run("/bin/umount", directory))
    }

    private func run(_ arguments: String...) -> Bool {
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        var status: Int32 = 1
        guard posix_spawn(&pid, arguments[0], nil, nil, &words, environ) == 0 else { return false }
        waitpid(pid, &status, 0)
        return status == 0
    }
}
