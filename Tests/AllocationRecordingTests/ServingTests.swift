// ServingTests.swift: a collector at work on programs that run at the same time.
import AllocationProfile
import CRecording
import Glibc
import Synchronization
import Testing

@testable import AllocationRecording

@Suite(.serialized) struct ServingTests {
    /// A collector that runs on a thread of its own until told to finish.
    private final class Running: @unchecked Sendable {
        let session: Session
        let collector: Collector
        private let untilIdle: Bool
        private let result = Mutex<[Snapshot]>([])
        private var thread = pthread_t()
        let checkpoints = Atomic<Int>(0)

        init(untilIdle: Bool = false, _ options: CollectorOptions = CollectorOptions(checksInvariants: true)) throws {
            session = try Session.create(frameLimit: 256, followChildren: true)
            collector = try Collector(session: session, options: options)
            self.untilIdle = untilIdle
            pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Running>.fromOpaque(argument!).takeRetainedValue().work()
                    return nil
                }, Unmanaged.passRetained(self).toOpaque())
        }

        private func work() {
            let snapshots = collector.run(untilIdle: untilIdle) { snapshots in
                _ = snapshots()
                self.checkpoints.add(1, ordering: .relaxed)
            }
            result.withLock { $0 = snapshots }
        }

        /// CPU time of the serving thread, in seconds.
        var processorTime: Double {
            var clock = clockid_t()
            var time = timespec()
            guard pthread_getcpuclockid(thread, &clock) == 0, clock_gettime(clock, &time) == 0 else { return .infinity }
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }

        func join() -> [Snapshot] {
            pthread_join(thread, nil)
            session.remove()
            return result.withLock { $0 }
        }

        func finish() -> [Snapshot] {
            collector.finish()
            return join()
        }
    }

    private func wait(seconds: Double = 5, until condition: () -> Bool) -> Bool {
        for _ in 0..<Int(seconds * 1000) {
            if condition() { return true }
            usleep(1000)
        }
        return condition()
    }

    /// Runs each body on a thread, to the end.
    private func threads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let handles = (0..<count).map { index -> pthread_t in
            var thread = pthread_t()
            let work = Unmanaged.passRetained(Work { body(index) })
            pthread_create(
                &thread, nil,
                { argument in
                    Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                    return nil
                }, work.toOpaque())
            return thread
        }
        for handle in handles { pthread_join(handle, nil) }
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(body: @escaping @Sendable () -> Void) { self.body = body }
    }

    @Test(arguments: [TM_CLOCK_TSC, TM_CLOCK_SHARED])
    func `threads that outrun the collector wait, and nothing is lost`(clock: tm_clock) throws {
        let running = try Running()
        let program = FakeProgram(FakeProgram.Options(clock: clock, rings: 8, ringsReserved: 4, capacityStart: 8, capacityMax: 64))
        for _ in 0..<3 { _ = program.addRing(tid: 0) }
        program.publish(in: running.session)
        let stack = program.addStack([1, 2])
        let pairs = 20_000
        threads(3) { thread in
            for index in 0..<pairs {
                let address = UInt64(thread * pairs + index + 1) << 4
                _ = program.emitWaiting(TM_EVENT_ALLOCATE, ring: thread, address: address, size: 8, stack: stack)
                if index % 10 != 0 { _ = program.emitWaiting(TM_EVENT_FREE, ring: thread, address: address) }
            }
        }
        let result = running.finish()
        let process = try #require(result.first?.process)
        #expect(process.warnings == [])
        #expect(process.allocations == 3 * pairs)
        #expect(process.current.count == 3 * pairs / 10)
        #expect(process.temporaryAllocations == 3 * pairs * 9 / 10)
        #expect((0..<3).contains { program.ring($0).pointee.waits > 0 })
        #expect(program.ring(0).pointee.reserved_capacity > 8)
        #expect(process.threads == 3)
    }

    @Test func `a block handed from thread to thread is never mistaken`() throws {
        let running = try Running()
        let program = FakeProgram(FakeProgram.Options(clock: TM_CLOCK_TSC, capacityStart: 64))
        for _ in 0..<3 { _ = program.addRing(tid: 0) }
        program.publish(in: running.session)
        // One address; whoever has the lock allocates and frees it, as an allocator would hand it out.
        let lock = Mutex(())
        threads(3) { thread in
            for _ in 0..<5000 {
                lock.withLock { _ in
                    _ = program.emitWaiting(TM_EVENT_ALLOCATE, ring: thread, address: 0x1000, size: 8)
                    _ = program.emitWaiting(TM_EVENT_FREE, ring: (thread), address: 0x1000)
                }
            }
        }
        let process = try #require(running.finish().first?.process)
        #expect(process.unknownFrees == 0)
        #expect(process.frees == 15_000)
        #expect(process.current == .zero)
        #expect(process.peak == Tally(bytes: 8, count: 1))
    }

    @Test func `a process that has ended is noticed, its exit is kept, and the collector ends when all have`() throws {
        let running = try Running(untilIdle: true)
        var pid: pid_t = 0
        let path = strdup("/bin/sleep")
        defer { free(path) }
        let seconds = strdup("0.1")
        defer { free(seconds) }
        var arguments = [path, seconds, nil]
        #expect(posix_spawn(&pid, "/bin/sleep", nil, nil, &arguments, environ) == 0)
        let start = ProcessFiles.state(of: pid)?.start ?? 0
        let program = FakeProgram(FakeProgram.Options(pid: pid, parent: 1, processStart: start))
        _ = program.addRing()
        program.allocate(0x1000, 10)
        program.publish(in: running.session)
        let result = running.join()
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        let process = try #require(result.first?.process)
        #expect(process.pid == pid)
        #expect(process.parent == nil)
        #expect(process.current == Tally(bytes: 10, count: 1))
        #expect(process.peakRSS > 0)
        #expect(program.collectorIsDead)
    }

    @Test func `a process number that belongs to another process by now is a dead process`() throws {
        let running = try Running(untilIdle: true)
        let program = FakeProgram(FakeProgram.Options(pid: 1, processStart: 1))
        _ = program.addRing()
        program.allocate(0x1000, 10)
        program.publish(in: running.session)
        #expect(running.join().count == 1)
    }

    @Test func `exec is a new image, fork a new process, the first comes first`() throws {
        let running = try Running()
        let first = FakeProgram(FakeProgram.Options(command: ["sh"]))
        let second = FakeProgram(FakeProgram.Options(command: ["make"]))
        let child = FakeProgram(FakeProgram.Options(pid: 1, parent: getpid(), command: ["child"]))
        for program in [first, second, child] {
            _ = program.addRing()
            program.allocate(0x1000, 10)
        }
        first.publish(in: running.session, number: 0)
        #expect(wait { first.hasCollector })
        #expect(wait { first.ring(0).pointee.tail == 1 })
        // The last event before exec was never published.
        first.allocate(0x2000, 20)
        first.claim(0)
        second.publish(in: running.session, number: 1)
        child.publish(in: running.session, number: 0)
        #expect(wait { second.hasCollector && child.hasCollector && first.collectorIsDead })
        running.collector.noteExit(pid: getpid(), .code(3))
        let result = running.finish()
        #expect(result.map(\.process.command) == [["sh"], ["make"], ["child"]])
        #expect(result.map(\.process.exit) == [.unknown, .code(3), .unknown])
        #expect(result.map(\.process.current.bytes) == [30, 10, 10])
        #expect(result.map(\.process.parent) == [nil, nil, getpid()])
    }

    @Test func `a process that was over before the collector looked is complete, exit included`() throws {
        let session = try Session.create(frameLimit: 256, followChildren: true)
        let collector = try Collector(session: session, options: CollectorOptions())
        let program = FakeProgram(FakeProgram.Options(pid: 1 << 29))
        _ = program.addRing()
        program.allocate(0x1000, 10)
        program.publish(in: session)
        collector.noteExit(pid: 1 << 29, .signal(9))
        collector.finish()
        let result = collector.run(untilIdle: false)
        #expect(result.map(\.process.exit) == [.signal(9)])
        #expect(result.map(\.process.current.count) == [1])
        session.remove()
        #expect(access(session.directory, F_OK) != 0)
    }

    @Test func `a program that is left alive is told that nobody listens any more`() throws {
        let running = try Running()
        let program = FakeProgram(FakeProgram.Options(capacityStart: 4, capacityMax: 4))
        _ = program.addRing()
        program.publish(in: running.session)
        #expect(wait { program.hasCollector })
        _ = running.finish()
        #expect(program.collectorIsDead)
        var accepted = 0
        while accepted < 100, program.emitWaiting(TM_EVENT_FREE, ring: 0, address: 0x1000) { accepted += 1 }
        #expect(accepted == 4)
    }

    @Test func `the kernel tells producers when the serving thread dies`() throws {
        // Two recordings, one taken back: the list must still lead to the other.
        let (one, two, three) = (FakeProgram(), FakeProgram(), FakeProgram())
        nonisolated(unsafe) let regions = try [one, two, three].map { try $0.recording() }
        // Overwritten links must not lead us anywhere.
        threads(1) { _ in
            let promise = Unsafe.Promise()
            for recording in regions { promise.give(recording.region) }
            (two.base + 112 + 32).storeBytes(of: 0xdead_beef, as: UInt64.self)
            promise.takeBack(regions[1].region)
        }
        #expect(one.collectorIsDead)
        #expect(two.collectorIsDead)
        #expect(three.collectorIsDead)
        for recording in regions { recording.free() }
    }

    @Test func `marks from outside reach one process or all`() throws {
        let running = try Running()
        let program = FakeProgram(FakeProgram.Options(clock: TM_CLOCK_TSC))
        let other = FakeProgram(FakeProgram.Options(pid: 1, clock: TM_CLOCK_TSC))
        for one in [program, other] {
            _ = one.addRing()
            one.publish(in: running.session)
        }
        #expect(wait { program.hasCollector && other.hasCollector })
        running.collector.mark(pid: getpid(), name: "mine")
        running.collector.mark(pid: nil, name: "all")
        let result = running.finish()
        #expect(result.map { $0.generations.map(\.name) } == [["", "mine", "all"], ["", "all"]])
        #expect(result[0].generations[1].start > 0)
    }

    @Test func `checkpoints and timed marks come while the program runs`() throws {
        let options = CollectorOptions(markEvery: .milliseconds(5), checkpointEvery: .milliseconds(10), checksInvariants: true)
        let running = try Running(options)
        let program = FakeProgram(FakeProgram.Options(clock: TM_CLOCK_TSC))
        _ = program.addRing()
        program.publish(in: running.session)
        var next: UInt64 = 1
        #expect(
            wait {
                _ = program.emitWaiting(TM_EVENT_ALLOCATE, ring: 0, address: next << 4, size: 1)
                next += 1
                return running.checkpoints.load(ordering: .relaxed) >= 3
            })
        let result = running.finish()
        #expect(result[0].process.current.count == Int(next) - 1)
        #expect(result[0].process.warnings == [])
        #expect(result[0].generations.count > 2)
        #expect(result[0].liveByGeneration.reduce(0) { $0 + $1.live.count } == Int(next) - 1)
    }

    @Test func `a damaged recording is given up, its program freed, the others served on`() throws {
        let running = try Running()
        let damaged = FakeProgram(FakeProgram.Options(pid: 1, capacityStart: 4, capacityMax: 4))
        let sound = FakeProgram()
        for program in [damaged, sound] {
            _ = program.addRing()
            program.publish(in: running.session)
        }
        close(open("\(running.session.directory)/77.0.recording", O_CREAT | O_WRONLY, 0o600))
        #expect(wait { damaged.hasCollector && sound.hasCollector })
        damaged.emit(TM_EVENT_ALLOCATE, address: 0, size: 1)
        #expect(wait { damaged.collectorIsDead })
        sound.allocate(0x1000, 1)
        #expect(wait { sound.ring(0).pointee.tail == 1 })
        let result = running.finish()
        #expect(result.count == 2)
        #expect(result.flatMap(\.process.warnings).count == 2)
    }

    @Test func `an idle collector uses almost no time`() throws {
        let running = try Running()
        let program = FakeProgram(FakeProgram.Options(clock: TM_CLOCK_TSC))
        _ = program.addRing()
        program.publish(in: running.session)
        #expect(wait { program.hasCollector })
        usleep(200_000)
        let before = running.processorTime
        usleep(500_000)
        #expect(running.processorTime - before < 0.025)
        #expect(program.header.pointee.collector_sleeping == 1)
        _ = running.finish()
    }
}
