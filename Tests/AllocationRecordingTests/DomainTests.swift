// DomainTests.swift: ranges that a program tracks by itself, and costs apart for each thread.
import AllocationProfile
import CRecording
import Glibc
import Testing

@testable import AllocationRecording

extension FakeProgram {
    func track(_ domain: UInt64, _ address: UInt64, _ size: UInt64, stack: UInt32 = 0, ring: Int = 0) {
        emit(TM_EVENT_DOMAIN, ring: ring, address: domain)
        emit(TM_EVENT_TRACK, ring: ring, address: address, size: size, stack: stack)
    }

    func untrack(_ domain: UInt64, _ address: UInt64, ring: Int = 0) {
        emit(TM_EVENT_DOMAIN, ring: ring, address: domain)
        emit(TM_EVENT_UNTRACK, ring: ring, address: address)
    }
}

@Suite struct DomainTests {
    private func program(rings: Int = 1) -> FakeProgram {
        let program = FakeProgram()
        for _ in 0..<rings { _ = program.addRing() }
        return program
    }

    private func tally(_ bytes: Int, _ count: Int) -> Tally { Tally(bytes: bytes, count: count) }

    @Test func `a tracked range is a block of its domain and no block of malloc`() throws {
        let result = try snapshot(program()) {
            let stack = $0.addStack([10])
            $0.allocate(0x1000, 4096, stack: stack)
            $0.track(7, 0x1000, 100, stack: stack)
            $0.track(7, 0x1100, 50, stack: stack)
            $0.untrack(7, 0x1000)
        }
        #expect(result.process.allocations == 1 && result.process.frees == 0)
        #expect(result.process.current == tally(4096, 1) && result.process.peak == tally(4096, 1))
        #expect(
            result.process.domains == [
                DomainSummary(
                    domain: 7, allocations: 2, frees: 1, bytesAllocated: 150, bytesFreed: 100, current: tally(50, 1), peak: tally(150, 2))
            ])
        #expect(result.costs.map(\.domain) == [0, 7])
        #expect(result.costs.map(\.current) == [tally(4096, 1), tally(50, 1)])
        #expect(result.costs.map(\.peak) == [tally(4096, 1), tally(150, 2)])
        #expect(result.total(of: .current) == tally(4146, 2))
    }

    @Test func `tracking an address again replaces, untracking what is not tracked is silent`() throws {
        let result = try snapshot(program()) {
            let first = $0.addStack([10])
            let second = $0.addStack([20])
            $0.track(1, 0x1000, 100, stack: first)
            $0.track(1, 0x1000, 30, stack: second)
            $0.track(2, 0x1000, 5, stack: first)
            $0.untrack(3, 0x1000)
            $0.untrack(2, 0x2000)
        }
        #expect(result.process.unknownFrees == 0)
        #expect(result.process.domains.map(\.domain) == [1, 2])
        #expect(result.process.domains.map(\.current) == [tally(30, 1), tally(5, 1)])
        #expect(result.process.domains[0].peak == tally(100, 1))
        #expect(result.costs.filter { $0.domain == 1 }.map(\.current) == [.zero, tally(30, 1)])
    }

    @Test func `a free of malloc's leaves a range at the same address tracked`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x1000, 64)
            $0.track(9, 0x1000, 64)
            $0.free(0x1000)
        }
        #expect(result.process.current == .zero && result.process.unknownFrees == 0)
        #expect(result.process.domains.map(\.current) == [tally(64, 1)])
    }

    @Test func `the traced peak is of blocks and ranges together`() throws {
        let program = program()
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 100)
        program.track(1, 0x5000, 1000)
        program.free(0x1000)
        program.untrack(1, 0x5000)
        program.allocate(0x2000, 300)
        _ = recording.round()
        #expect(recording.merge.ledger.tracedPeak == tally(1100, 2))
        #expect(recording.merge.ledger.totals.peakBytes == 300)
        #expect(recording.merge.ledger.tracked == .zero)
        program.track(1, 0x5000, 10)
        program.control(TM_CONTROL_RESET_PEAK)
        program.allocate(0x3000, 5)
        _ = recording.round()
        #expect(recording.merge.ledger.tracedPeak == tally(315, 3))
        program.control(TM_CONTROL_CLEAR)
        program.allocate(0x4000, 1)
        _ = recording.round()
        #expect(recording.merge.ledger.tracedPeak == tally(1, 1))
        #expect(recording.merge.ledger.domains.isEmpty)
        #expect(recording.brokenInvariants() == [])
    }

    @Test func `generations know ranges too`() throws {
        let result = try snapshot(program()) {
            $0.track(4, 0x1000, 10)
            $0.control(TM_CONTROL_MARK)
            $0.track(4, 0x2000, 20)
            $0.allocate(0x3000, 5)
        }
        #expect(
            result.liveByGeneration == [
                GenerationCost(stack: 0, generation: 1, live: tally(5, 1)),
                GenerationCost(stack: 0, domain: 4, generation: 0, live: tally(10, 1)),
                GenerationCost(stack: 0, domain: 4, generation: 1, live: tally(20, 1)),
            ])
        #expect(result.born(in: 1).process.domains.map(\.current) == [tally(20, 1)])
        #expect(result.born(in: 1).process.current == tally(5, 1))
    }

    @Test func `what is tracked in no domain is ignored, and too many domains are said`() throws {
        let result = try snapshot(program()) {
            $0.emit(TM_EVENT_TRACK, address: 0x1000, size: 5)
            $0.emit(TM_EVENT_UNTRACK, address: 0x1000)
            $0.emit(TM_EVENT_DOMAIN, address: 1 << 40)
            $0.emit(TM_EVENT_TRACK, address: 0x1000, size: 5)
        }
        #expect(result.process.domains.isEmpty && result.process.warnings.isEmpty)

        let program = FakeProgram(FakeProgram.Options(capacityStart: 4096, capacityMax: 4096))
        _ = program.addRing()
        let many = try snapshot(program) {
            for domain in 1...UInt64(Unsafe.Ledger.mostDomains + 5) { $0.track(domain, 0x1000, 1) }
        }
        #expect(many.process.domains.count == Unsafe.Ledger.mostDomains)
        #expect(many.process.warnings.count == 1 && many.process.warnings[0].contains("5 ranges"))
    }

    @Test func `a stack has a cost for each thread, and a block is its allocator's whoever frees it`() throws {
        let result = try snapshot(program(rings: 3)) {
            $0.ring(1).pointee.tid = 101
            $0.ring(2).pointee.tid = 102
            let stack = $0.addStack([10])
            $0.allocate(0x1000, 100, stack: stack, ring: 1)
            $0.allocate(0x2000, 30, stack: stack, ring: 2)
            $0.allocate(0x3000, 4, stack: stack, ring: 1)
            $0.free(0x1000, ring: 2)
            $0.release(0x2000, ring: 1)
            $0.result(0x2000, 40, stack: stack, ring: 1)
            $0.track(5, 0x9000, 8, stack: stack, ring: 2)
        }
        #expect(result.threads.map(\.id) == [0, 101, 102])
        #expect(result.costs.map(\.stack) == [1, 1, 1])
        #expect(result.costs.map(\.thread) == [1, 2, 2])
        #expect(result.costs.map(\.domain) == [0, 0, 5])
        #expect(result.costs.map(\.current) == [tally(44, 2), .zero, tally(8, 1)])
        #expect(result.costs.map(\.total) == [tally(144, 3), tally(30, 1), tally(8, 1)])
        #expect(try result.statistics(groupedBy: .traceback).map(\.tally) == [tally(52, 3)])
    }

    @Test func `threads beyond the first 64 share their rows`() throws {
        let count = Unsafe.Threads.most + 10
        let program = FakeProgram(FakeProgram.Options(rings: 128, ringsReserved: 128))
        for index in 0..<count { program.ring(program.addRing()).pointee.tid = UInt32(1000 + index) }
        let result = try snapshot(program) {
            let stack = $0.addStack([10])
            for index in 0..<count { $0.allocate(UInt64(index + 1) << 12, 1, stack: stack, ring: index) }
        }
        #expect(result.threads.count == Unsafe.Threads.most + 1)
        #expect(result.costs.count == Unsafe.Threads.most + 1)
        #expect(result.costs[0].thread == 0 && result.costs[0].current == tally(10, 10))
        #expect(result.total(of: .current) == tally(count, count))
    }

    @Test func `a thread is known by its name while it lives`() throws {
        let program = program()
        program.ring(0).pointee.tid = UInt32(getpid())
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 1)
        _ = recording.round()
        let name = try #require(SystemCalls.contents(of: "/proc/self/comm"))
        let thread = recording.snapshot(frameLimit: 1, at: SystemCalls.monotonic()).threads[1]
        #expect(thread == TracedThread(id: getpid(), name: String(decoding: name.dropLast(), as: UTF8.self)))
    }

    @Test func `after clear threads are numbered anew`() throws {
        let program = program(rings: 3)
        program.ring(1).pointee.tid = 101
        program.ring(2).pointee.tid = 102
        let result = try snapshot(program) {
            $0.allocate(0x1000, 1, ring: 1)
            $0.control(TM_CONTROL_CLEAR)
            $0.allocate(0x2000, 2, ring: 2)
            $0.allocate(0x3000, 3, ring: 1)
        }
        let costs = Dictionary(uniqueKeysWithValues: result.costs.map { (result.thread($0.thread).id, $0.current.bytes) })
        #expect(costs == [101: 3, 102: 2])
    }
}
