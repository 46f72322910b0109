// CountingTests.swift: what each kind of event adds to the figures.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

/// The final snapshot of a program that did what `body` says, checked against the invariants.
func snapshot(
    _ program: FakeProgram, limit: Int = 256, _ location: SourceLocation = #_sourceLocation, _ body: (FakeProgram) -> Void = { _ in }
) throws -> Snapshot {
    let recording = try program.recording()
    defer { recording.free() }
    body(program)
    _ = recording.round()
    recording.end(at: SystemCalls.monotonic())
    #expect(recording.brokenInvariants() == [], sourceLocation: location)
    return recording.snapshot(frameLimit: limit, at: SystemCalls.monotonic())
}

@Suite struct CountingTests {
    private func program() -> FakeProgram {
        let program = FakeProgram()
        _ = program.addRing()
        return program
    }

    private func tally(_ bytes: Int, _ count: Int) -> Tally { Tally(bytes: bytes, count: count) }

    @Test func `a block that is not freed is current, one that was is not`() throws {
        let result = try snapshot(program()) {
            let stack = $0.addStack([10, 20])
            $0.allocate(0x1000, 100, stack: stack)
            $0.allocate(0x2000, 7, stack: stack)
            $0.free(0x1000)
        }
        #expect(result.process.allocations == 2)
        #expect(result.process.frees == 1)
        #expect(result.process.bytesAllocated == 107)
        #expect(result.process.bytesFreed == 100)
        #expect(result.process.current == tally(7, 1))
        #expect(result.process.peak == tally(107, 2))
        #expect(result.process.collectorEvents == 3)
        #expect(result.process.threads == 1)
        #expect(result.costs.map(\.total) == [tally(107, 2)])
        #expect(result.costs.map(\.current) == [tally(7, 1)])
    }

    @Test func `the tracer's own free ends a block that is known, and says nothing otherwise`() throws {
        let result = try snapshot(program()) { program in
            _ = program.addRing()
            program.allocate(0x1000, 100, stack: program.addStack([10, 20]))
            for address: UInt64 in [0x1000, 0x2000, 0x1000] { program.emit(TM_EVENT_OWN_FREE, ring: 1, address: address) }
        }
        #expect(result.process.frees == 1 && result.process.unknownFrees == 0)
        #expect(result.process.current == .zero)
        // A thread that says nothing else did not allocate.
        #expect(result.process.threads == 1 && result.process.collectorEvents == 1)
    }

    @Test func `a block in the middle of a realloc is neither alive nor forgotten`() throws {
        let program = program()
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 100, stack: program.addStack([10, 20]))
        program.release(0x1000)
        _ = recording.round()
        var released: [UInt64?] = []
        recording.merge.ledger.visitReleases { released.append($0?.address) }
        #expect(released == [0x1000] && recording.merge.ledger.live.count == 0)
        program.result(0x2000, 200, stack: 3)
        _ = recording.round()
        recording.merge.ledger.visitReleases { released.append($0?.address) }
        #expect(released.count == 1 && recording.merge.ledger.live.count == 1)
    }

    @Test func `sizes above 4 GiB and of 0 bytes are kept`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x7fff_ffff_f000, 0x1234_5678_9abc)
            $0.allocate(0x2000, 0)
        }
        #expect(result.process.current == tally(0x1234_5678_9abc, 2))
        #expect(result.histograms[result.costs[0].sizes][0] == 1)
        #expect(result.histograms[result.costs[0].sizes][31] == 1)
    }

    @Test func `a realloc is one free and one allocation, and growth when the block became larger`() throws {
        let result = try snapshot(program()) {
            let first = $0.addStack([10])
            let second = $0.addStack([20])
            $0.allocate(0x1000, 100, stack: first)
            $0.release(0x1000)
            $0.result(0x1000, 150, stack: second)
            $0.release(0x1000)
            $0.result(0x3000, 30, stack: second)
        }
        #expect(result.process.allocations == 3)
        #expect(result.process.frees == 2)
        #expect(result.process.bytesFreed == 250)
        #expect(result.process.current == tally(30, 1))
        #expect(result.process.peak == tally(150, 1))
        #expect(result.process.temporaryAllocations == 0)
        #expect(result.costs.map(\.growth) == [.zero, tally(50, 1)])
    }

    @Test func `a failed realloc leaves the block what it was`() throws {
        let result = try snapshot(program()) {
            let stack = $0.addStack([10])
            $0.allocate(0x1000, 100, stack: stack)
            $0.control(TM_CONTROL_MARK)
            $0.release(0x1000)
            $0.fail(0x1000)
        }
        #expect(result.process.allocations == 1)
        #expect(result.process.frees == 0)
        #expect(result.process.current == tally(100, 1))
        #expect(result.process.peak == tally(100, 1))
        #expect(result.liveByGeneration == [GenerationCost(stack: 1, generation: 0, live: tally(100, 1))])
    }

    @Test func `realloc to nothing is a free`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.release(0x1000)
            $0.result(0, 0)
        }
        #expect(result.process.allocations == 1)
        #expect(result.process.frees == 1)
        #expect(result.process.current == .zero)
        #expect(result.process.temporaryAllocations == 0)
    }

    @Test func `a realloc of a block older than the recording is an unknown free and an allocation`() throws {
        let result = try snapshot(program()) {
            $0.release(0x1000)
            $0.result(0x2000, 10)
            $0.free(0x3000)
        }
        #expect(result.process.allocations == 1)
        #expect(result.process.frees == 0)
        #expect(result.process.unknownFrees == 2)
        #expect(result.process.current == tally(10, 1))
    }

    @Test func `a realloc that the process did not live to finish leaves the block alive`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.release(0x1000)
        }
        #expect(result.process.current == tally(100, 1))
        #expect(result.process.frees == 0)
    }

    @Test func `threads that share ring 0 may be in a realloc at the same time`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.allocate(0x2000, 200)
            $0.release(0x1000)
            $0.release(0x2000)
            $0.fail(0x1000)
            $0.result(0x3000, 300)
        }
        #expect(result.process.current == tally(400, 2))
        #expect(result.process.frees == 1)
        #expect(result.process.bytesFreed == 200)
    }

    @Test func `an allocation at a live address replaces the block whose free was not seen`() throws {
        let result = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.allocate(0x1000, 10)
        }
        #expect(result.process.current == tally(10, 1))
        #expect(result.process.unknownFrees == 1)
        #expect(result.process.allocations == 2)
    }

    @Test func `temporary is what the same thread frees before it allocates again`() throws {
        let result = try snapshot(program()) {
            let other = $0.addRing(tid: 0)
            $0.allocate(0x1000, 1)
            $0.free(0x1000)  // temporary
            $0.allocate(0x2000, 2)
            $0.allocate(0x3000, 4)
            $0.free(0x2000)  // not the last one
            $0.free(0x3000)  // temporary: frees do not matter
            $0.allocate(0x4000, 8)
            $0.free(0x4000, ring: other)  // another thread
            $0.allocate(0x4000, 16, ring: other)
            $0.free(0x4000)  // not the block that this thread allocated there
        }
        #expect(result.process.temporaryAllocations == 2)
        #expect(result.process.temporaryBytes == 5)
        #expect(result.costs.map(\.temporary) == [tally(5, 2)])
    }

    @Test func `generations know what was born in them and still lives`() throws {
        let result = try snapshot(program()) {
            let stack = $0.addStack([10])
            $0.allocate(0x1000, 1, stack: stack)
            $0.allocate(0x2000, 2, stack: stack)
            $0.control(TM_CONTROL_MARK, text: $0.text("warm"))
            $0.allocate(0x3000, 4, stack: stack)
            $0.free(0x1000)
            $0.control(TM_CONTROL_MARK)
            $0.release(0x2000)
            $0.result(0x2000, 8, stack: stack)
        }
        #expect(result.generations.map(\.name) == ["", "warm", ""])
        #expect(
            result.liveByGeneration == [
                GenerationCost(stack: 1, generation: 1, live: tally(4, 1)), GenerationCost(stack: 1, generation: 2, live: tally(8, 1)),
            ])
    }

    @Test func `reset peak makes the peak what is current, clear forgets everything, forget only what is alive`() throws {
        let reset = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.free(0x1000)
            $0.allocate(0x2000, 10)
            $0.control(TM_CONTROL_RESET_PEAK)
            $0.free(0x2000)
        }
        #expect(reset.process.peak == tally(10, 1))
        #expect(reset.process.allocations == 2)
        let clear = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.control(TM_CONTROL_CLEAR)
            $0.free(0x1000)
            $0.allocate(0x2000, 10)
        }
        #expect(clear.process.allocations == 1)
        #expect(clear.process.unknownFrees == 1)
        #expect(clear.process.peak == tally(10, 1))
        let forget = try snapshot(program()) {
            $0.allocate(0x1000, 100)
            $0.control(TM_CONTROL_FORGET)
            $0.allocate(0x1000, 10)
        }
        #expect(forget.process.current == tally(10, 1))
        #expect(forget.process.peak == tally(100, 1))
        #expect(forget.process.unknownFrees == 0)
    }

    @Test func `histograms count sizes by powers of two, however many different ones`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1024))
        _ = program.addRing()
        let stack = program.addStack([10])
        let result = try snapshot(program) {
            for power in 0..<20 {
                for copy in 0...power { $0.allocate(UInt64(1 + power * 100 + copy) << 4, 1 << UInt64(power), stack: stack) }
            }
        }
        #expect(result.histograms[result.costs[0].sizes] == (0..<StackCost.sizeBuckets).map { (1...20).contains($0) ? UInt64($0) : 0 })
        // A shared counter knows no durations.
        #expect(result.histograms[result.costs[0].lifetimes] == [])
    }

    @Test func `stacks that allocate the same sizes in another order share their histogram`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1024))
        _ = program.addRing()
        let stacks = (10...12).map { program.addStack([$0]) }
        let result = try snapshot(program) {
            for (index, size) in [1, 100, 10_000, 100, 10_000, 1, 100, 1, 1].enumerated() {
                $0.allocate(UInt64(1 + index) << 16, UInt64(size), stack: stacks[index / 3])
            }
        }
        let sizes = result.costs.map(\.sizes)
        #expect(sizes.count == 3 && sizes[0] == sizes[1] && sizes[1] != sizes[2])
        #expect(result.histograms[sizes[0]].enumerated().filter { $0.element != 0 }.map(\.offset) == [1, 7, 14])
        #expect(result.histograms[sizes[2]][1] == 2)
    }

    @Test func `lifetimes are counted by powers of four of microseconds`() throws {
        let program = FakeProgram(FakeProgram.Options(clock: TM_CLOCK_TSC))
        _ = program.addRing()
        usleep(20_000)
        let recording = try program.recording()
        defer { recording.free() }
        let start = program.header.pointee.start_clock
        let second = recording.scale.ticksPerSecond
        func time(_ microseconds: Double) -> UInt64 { start + UInt64(microseconds / 1e6 * second) }
        for (index, life) in [0.5, 2, 10, 1000, 5000].enumerated() {
            let begin = Double(index) * 1000
            program.emit(TM_EVENT_ALLOCATE, address: 0x1000, size: 1, time: time(begin))
            program.emit(TM_EVENT_FREE, address: 0x1000, time: time(begin + life))
        }
        recording.end(at: SystemCalls.monotonic())
        let result = recording.snapshot(frameLimit: 8, at: SystemCalls.monotonic())
        #expect(result.histograms[result.costs[0].lifetimes].enumerated().filter { $0.element != 0 }.map(\.offset) == [0, 1, 2, 5, 7])
    }

    @Test func `the program's own words about itself reach the summary`() throws {
        let program = self.program()
        program.header.pointee.reentrant_events = 3
        program.header.pointee.lost_events = 4
        program.header.pointee.lost_stacks = 5
        program.header.pointee.bypasses = UInt64(TM_BYPASS_EXECUTABLE | TM_BYPASS_NEW)
        let summary = try snapshot(program).process
        #expect(summary.executable == "/bin/program")
        #expect(summary.command == ["program", "argument"])
        #expect(summary.reentrantEvents == 3)
        #expect(summary.lostEvents == 4)
        #expect(summary.lostStacks == 5)
        #expect(summary.warnings.count == 2)
        #expect(summary.started == 1_700_000_000)
    }
}
