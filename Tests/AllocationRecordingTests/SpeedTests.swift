// SpeedTests.swift: events a second; run by TRACEMALLOC_BENCHMARK=1 swift test -c release -Xswiftc -enable-testing --filter SpeedTests.
import AllocationProfile
import CRecording
import Glibc
import Testing

@testable import AllocationRecording

@Suite(.serialized, .enabled(if: getenv("TRACEMALLOC_BENCHMARK") != nil)) struct SpeedTests {
    private static let capacity = 1 << 16

    /// Fills rings by hand, and measures only the rounds.
    private final class Load {
        let program: FakeProgram
        let recording: Recording
        var random = Seeded(state: 1)
        var time: UInt64
        var seconds = 0.0
        var events = 0
        let rings: Int
        let stacks: [UInt32]

        init(rings: Int, stacks: Int) throws {
            program = FakeProgram(
                FakeProgram.Options(
                    clock: TM_CLOCK_TSC, nodes: 1 << 18, nodesReserved: 1 << 18, rings: 8, ringsReserved: 8,
                    capacityStart: SpeedTests.capacity, capacityMax: SpeedTests.capacity))
            for _ in 0..<rings { _ = program.addRing() }
            self.rings = rings
            let program = self.program
            self.stacks = (0..<stacks).map { program.addStack([UInt64($0) << 8, 7]) }
            time = program.header.pointee.start_clock
            usleep(200_000)
            recording = try program.recording()
        }

        /// Writes `count` events made by `next`: ring, kind, address, size.
        func run(_ count: Int, _ next: () -> (Int, tm_event_kind, UInt64, UInt64)) {
            var left = count
            while left > 0 {
                let portion = min(left, SpeedTests.capacity)
                for _ in 0..<portion {
                    let (index, kind, address, size) = next()
                    let ring = program.ring(index)
                    time += 10
                    program.nextEvent(ring: index).pointee = tm_event(
                        time_kind: time << 4 | UInt64(kind.rawValue), address_size: address,
                        stack_size: UInt64(stacks[Int(truncatingIfNeeded: random.next() >> 33) % stacks.count]) | size << 32)
                    ring.pointee.head += 1
                    ring.pointee.claim = ring.pointee.head
                }
                let start = SystemCalls.monotonic()
                _ = recording.round()
                seconds += Double(SystemCalls.monotonic() - start) / 1e9
                left -= portion
            }
            events += count
        }

        func report(_ name: String) {
            print("\(name): \(Int(Double(events) / seconds / 1e5)) * 0.1 M events/s, \(recording.merge.ledger.byteCount >> 20) MiB")
            #expect(recording.brokenInvariants() == [])
            #expect(recording.merge.ledger.totals.unknownFrees == 0)
            (seconds, events) = (0, 0)
        }
    }

    @Test(arguments: [(1, 10_000), (4, 10_000), (1, 100_000)]) func `random churn with 1 M live blocks`(rings: Int, stacks: Int) throws {
        let load = try Load(rings: rings, stacks: stacks)
        var addresses = (1...1_100_000).map { UInt64($0) * 48 + 0x7f00_0000_0000 }
        addresses.shuffle(using: &load.random)
        var live = 0
        load.run(1_000_000) {
            live += 1
            return (0, TM_EVENT_ALLOCATE, addresses[live - 1], 40)
        }
        load.report("fill, \(rings) rings, \(stacks) stacks")
        var freeing = true
        load.run(20_000_000) {
            let pick = Int(truncatingIfNeeded: load.random.next() >> 33)
            if freeing {
                live -= 1
                addresses.swapAt(pick % live, live)
            } else {
                addresses.swapAt(live, live + pick % (addresses.count - live))
                live += 1
            }
            freeing.toggle()
            return (pick >> 8 & (rings - 1), freeing ? TM_EVENT_ALLOCATE : TM_EVENT_FREE, addresses[freeing ? live - 1 : live], 40)
        }
        load.report("churn, \(rings) rings, \(stacks) stacks")
    }

    @Test func `temporary blocks with few live ones`() throws {
        let load = try Load(rings: 1, stacks: 1000)
        var allocates = false
        var address: UInt64 = 0
        load.run(20_000_000) {
            allocates.toggle()
            if allocates { address = (load.random.next() >> 50 + 1) << 4 }
            return (0, allocates ? TM_EVENT_ALLOCATE : TM_EVENT_FREE, address + 0x1000, 40)
        }
        load.report("temporary")
    }

    @Test func `a snapshot of 700,000 nodes`() throws {
        let program = FakeProgram(
            FakeProgram.Options(nodes: 1 << 20, nodesReserved: 1 << 20, capacityStart: 1 << 16, capacityMax: 1 << 16))
        _ = program.addRing()
        let recording = try program.recording()
        var random = Seeded(state: 3)
        var nodes = [program.addNode(pc: 1)]
        for index in 0..<700_000 {
            let parent = nodes[max(0, nodes.count - 1 - Int(random.next() % 30))]
            nodes.append(program.addNode(parent: index % 40_000 == 0 ? 0 : parent, pc: random.next() % 50_000))
            if index % 2 == 0 { program.allocate(UInt64(index + 1) << 4, random.next() % 4096, stack: nodes.last!) }
            if index % 50_000 == 0 { _ = recording.round() }
        }
        recording.end(at: SystemCalls.monotonic())
        for limit in [1 << 20, 256] {
            let start = SystemCalls.monotonic()
            let result = recording.snapshot(frameLimit: limit, at: SystemCalls.monotonic())
            let time = (SystemCalls.monotonic() - start) / 1_000_000
            print("snapshot, limit \(limit): \(time) ms, \(result.nodes.count) nodes, \(result.costs.count) stacks")
        }
    }
}
