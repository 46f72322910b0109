// PeakTests.swift: random programs, counted twice: by the collector in one pass, and by a model that keeps everything.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

/// A small generator whose seed a failing test can print.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Keeps a picture of all stacks at each new maximum, of what it lets a program do.
private struct Model {
    let program: FakeProgram
    var live: [UInt64: (size: Int, stack: UInt32)] = [:]
    var current: [UInt32: Tally] = [:]
    var total: [UInt32: Tally] = [:]
    var peak: [UInt32: Tally] = [:]
    var peakBytes = 0
    var bytes = 0
    var temporary = 0
    var unknownFrees = 0
    var last: [Int: UInt64] = [:]

    mutating func allocate(_ address: UInt64, _ size: Int, _ stack: UInt32, ring: Int) {
        program.allocate(address, UInt64(size), stack: stack, ring: ring)
        note(address, size, stack, ring: ring)
    }

    mutating func free(_ address: UInt64, ring: Int) {
        program.free(address, ring: ring)
        let isTemporary = last[ring] == address
        forget(address)
        if isTemporary {
            temporary += 1
            last[ring] = nil
        }
    }

    mutating func reallocate(_ address: UInt64, _ size: Int, _ stack: UInt32, ring: Int) {
        program.release(address, ring: ring)
        program.result(address, UInt64(size), stack: stack, ring: ring)
        forget(address)
        note(address, size, stack, ring: ring)
    }

    private mutating func note(_ address: UInt64, _ size: Int, _ stack: UInt32, ring: Int) {
        if live[address] != nil {
            // Its free was not seen.
            forget(address)
            unknownFrees += 1
        }
        live[address] = (size, stack)
        current[stack, default: .zero] += Tally(bytes: size, count: 1)
        total[stack, default: .zero] += Tally(bytes: size, count: 1)
        bytes += size
        for (other, block) in last where block == address { last[other] = nil }
        last[ring] = address
        if bytes > peakBytes {
            peakBytes = bytes
            peak = current
        }
    }

    private mutating func forget(_ address: UInt64) {
        let block = live.removeValue(forKey: address)!
        current[block.stack]! -= Tally(bytes: block.size, count: 1)
        bytes -= block.size
    }
}

@Suite struct PeakTests {
    @Test(arguments: 0..<30) func `peak, current, total and temporary agree with a model`(round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        let program = FakeProgram(FakeProgram.Options(capacityStart: 256))
        let rings = Int.random(in: 1...4, using: &random)
        for _ in 0..<rings { _ = program.addRing() }
        let stacks = (1...Int.random(in: 1...12, using: &random)).map { program.addStack([UInt64($0) << 8]) }
        let recording = try program.recording()
        defer { recording.free() }
        var model = Model(program: program)
        var addresses: [UInt64] = []
        let ceiling = Int.random(in: 2...300, using: &random)
        for step in 0..<4000 {
            let ring = Int.random(in: 0..<rings, using: &random)
            let stack = stacks.randomElement(using: &random)!
            let size = Int.random(in: 0...1000, using: &random)
            let choice = Int.random(in: 0..<10, using: &random)
            if addresses.isEmpty || (choice < 5 && addresses.count < ceiling) {
                var address: UInt64
                repeat { address = UInt64.random(in: 1...1000, using: &random) << 4 } while model.live[address] != nil
                addresses.append(address)
                model.allocate(address, size, stack, ring: ring)
            } else {
                let index = Int.random(in: 0..<addresses.count, using: &random)
                // The newest block more often than chance would: temporaries.
                let address = addresses.remove(at: choice == 9 ? addresses.count - 1 : index)
                if choice == 8 {
                    model.reallocate(address, size, stack, ring: ring)
                    addresses.append(address)
                } else {
                    model.free(address, ring: ring)
                }
            }
            if step % 50 == 0 { _ = recording.round() }
        }
        expectAgreement(of: recording, with: model, of: program, seed: seed)
    }

    /// Where threads run at the same time their events alternate, and most of their blocks are freed at once. Sizes are small against what
    /// is alive, and now and then not, so that rings may run ahead of each other until they must not.
    @Test(arguments: 0..<30) func `blocks that several threads free at once leave the peak exact`(round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        let program = FakeProgram(FakeProgram.Options(rings: 8, ringsReserved: 8, capacityStart: 1024))
        let rings = (0..<Int.random(in: 2...6, using: &random)).map { _ in program.addRing() }
        let stacks = (1...6).map { program.addStack([UInt64($0) << 8]) }
        let recording = try program.recording()
        defer { recording.free() }
        var model = Model(program: program)
        var next: UInt64 = 0x1000
        var kept: [UInt64] = []
        var open: [Int: UInt64] = [:]
        let large = Int.random(in: 200...4000, using: &random)
        for step in 0..<6000 {
            let ring = rings.randomElement(using: &random)!
            let choice = Int.random(in: 0..<100, using: &random)
            if let address = open[ring], choice < 90 {
                open[ring] = nil
                model.free(address, ring: ring)
            } else if open[ring] == nil, choice >= 98, !kept.isEmpty {
                let address = kept.remove(at: Int.random(in: 0..<kept.count, using: &random))
                model.free(address, ring: ring)
            } else {
                // An older block of the ring lives on.
                if let address = open[ring] { kept.append(address) }
                let size = choice == 0 ? large : Int.random(in: 0...64, using: &random)
                let stack = stacks.randomElement(using: &random)!
                // An address that was freed is used again, by whichever thread.
                var address = (next - 0x1000) >> 4 == 0 ? next : UInt64.random(in: 0x100...next >> 4, using: &random) << 4
                if model.live[address] != nil {
                    next += 16
                    address = next
                }
                open[ring] = address
                model.allocate(address, size, stack, ring: ring)
            }
            if step % 700 == 0 { _ = recording.round() }
        }
        expectAgreement(of: recording, with: model, of: program, seed: seed)
    }

    /// Thread one allocates a block and frees it; in between, and before either says anything else, thread two has had it.
    @Test(arguments: [false, true]) func `a block that comes back from another thread is not taken for one that was freed at once`(
        isReallocated: Bool
    ) throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1024))
        let (one, two) = (program.addRing(), program.addRing())
        let stacks = [program.addStack([0x100]), program.addStack([0x200])]
        let recording = try program.recording()
        defer { recording.free() }
        var model = Model(program: program)
        // There is room to the peak.
        model.allocate(0x10_0000, 1 << 20, stacks[0], ring: one)
        model.free(0x10_0000, ring: one)
        for step in 0..<400 {
            let (own, others) = (0x1000 + UInt64(step % 40) << 4, 0x8000 + UInt64(step % 40) << 4)
            model.allocate(own, 10, stacks[0], ring: one)
            for _ in 0..<2 {
                model.allocate(others, 20, stacks[1], ring: two)
                model.free(others, ring: two)
            }
            if step % 10 == 5 {
                if isReallocated {
                    model.reallocate(own, 30, stacks[1], ring: two)
                } else {
                    model.free(own, ring: two)
                    model.allocate(own, 30, stacks[1], ring: two)
                }
            }
            model.free(own, ring: one)
            if step % 40 == 39 { _ = recording.round() }
        }
        #expect(model.live.isEmpty)
        expectAgreement(of: recording, with: model, of: program, seed: 0)
    }

    /// Many blocks have the same place in the nursery. They die young for a while, then they live on, so that the nursery is given up and
    /// taken up again; and now and then a free is not seen.
    @Test(arguments: 0..<10) func `blocks that die young and blocks that move on are counted alike`(round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        let program = FakeProgram(FakeProgram.Options(rings: 8, ringsReserved: 8, capacityStart: 1024))
        let rings = (0..<Int.random(in: 1...3, using: &random)).map { _ in program.addRing() }
        let stacks = (1...8).map { program.addStack([UInt64($0) << 8]) }
        let recording = try program.recording()
        defer { recording.free() }
        var model = Model(program: program)
        var addresses: [UInt64] = []
        var wasInUse: Set<Bool> = []
        for step in 0..<60_000 {
            let isShort = step / 12_000 % 2 == 0
            let ring = rings.randomElement(using: &random)!
            let size = Int.random(in: 0...(step % 1000 == 0 ? 50_000 : 400), using: &random)
            let stack = stacks.randomElement(using: &random)!
            if addresses.isEmpty || Int.random(in: 0..<100, using: &random) < (isShort ? 50 : addresses.count < 9000 ? 95 : 20) {
                var address = UInt64.random(in: 1...1 << 12, using: &random) << 22 | UInt64.random(in: 0..<64, using: &random) << 4
                if Int.random(in: 0..<300, using: &random) == 0, let other = addresses.randomElement(using: &random) { address = other }
                if model.live[address] == nil { addresses.append(address) }
                model.allocate(address, size, stack, ring: ring)
            } else {
                let index =
                    isShort
                    ? max(addresses.count - Int.random(in: 1...40, using: &random), 0) : .random(in: addresses.indices, using: &random)
                let address = addresses.remove(at: index)
                if Int.random(in: 0..<20, using: &random) == 0 {
                    model.reallocate(address, size, stack, ring: ring)
                    addresses.append(address)
                } else {
                    model.free(address, ring: ring)
                }
            }
            if step % 500 == 0 {
                _ = recording.round()
                wasInUse.insert(recording.merge.ledger.live.young.isInUse)
                if step % 5000 == 0 { #expect(recording.brokenInvariants() == [], "seed \(seed)") }
            }
        }
        expectAgreement(of: recording, with: model, of: program, seed: seed)
        #expect(wasInUse == [true, false], "seed \(seed)")
        let live = recording.merge.ledger.live
        #expect(live.count == model.live.count, "seed \(seed)")
        #expect(model.live.allSatisfy { live.block(at: $0.key)?.size == $0.value.size }, "seed \(seed)")
    }

    @Test func `an address is not taken for a dead one's after a block went past the nursery`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1024))
        let ring = program.addRing()
        let stack = program.addStack([0x100])
        let recording = try program.recording()
        defer { recording.free() }
        let address: UInt64 = 0x10_0000
        var other: UInt64 = 0x20_0000
        func isInUse() -> Bool {
            _ = recording.round()
            return recording.merge.ledger.live.young.isInUse
        }
        // Its place in the nursery is wanted by no other block.
        func next() -> UInt64 {
            repeat { other += 16 } while recording.merge.ledger.live.young.place(other) == recording.merge.ledger.live.young.place(address)
            return other
        }
        program.allocate(address, 10, stack: stack, ring: ring)
        program.free(address, ring: ring)
        while isInUse() {
            for _ in 0..<500 { program.allocate(next(), 1, stack: stack, ring: ring) }
        }
        program.allocate(address, 20, stack: stack, ring: ring)
        while !isInUse() {
            for _ in 0..<500 { program.allocate(next(), 1, stack: stack, ring: ring) }
        }
        let live = recording.merge.ledger.live.count
        program.allocate(address, 30, stack: stack, ring: ring)
        recording.end(at: SystemCalls.monotonic())
        #expect(recording.merge.ledger.totals.unknownFrees == 1)
        #expect(recording.merge.ledger.live.count == live)
        #expect(recording.merge.ledger.live.block(at: address)?.size == 30)
    }

    private func expectAgreement(of recording: Recording, with model: Model, of program: FakeProgram, seed: UInt64) {
        recording.end(at: SystemCalls.monotonic())
        #expect(recording.brokenInvariants() == [], "seed \(seed)")
        let result = recording.snapshot(frameLimit: 256, at: SystemCalls.monotonic())
        func byStack(_ metric: Metric) -> [UInt64: Tally] {
            Dictionary(
                uniqueKeysWithValues: result.costs.map { cost in
                    (result.locations[Int(result.nodes[Int(cost.stack)].location)].address, cost[metric])
                }
            ).filter { $0.value != .zero }
        }
        func byStack(_ figures: [UInt32: Tally]) -> [UInt64: Tally] {
            Dictionary(uniqueKeysWithValues: figures.map { (program.node($0.key).pointee.pc, $0.value) }).filter { $0.value != .zero }
        }
        #expect(byStack(.peak) == byStack(model.peak), "seed \(seed)")
        #expect(byStack(.current) == byStack(model.current), "seed \(seed)")
        #expect(byStack(.total) == byStack(model.total), "seed \(seed)")
        #expect(result.process.temporaryAllocations == model.temporary, "seed \(seed)")
        #expect(result.process.peak.bytes == model.peakBytes, "seed \(seed)")
        #expect(result.process.unknownFrees == model.unknownFrees, "seed \(seed)")
    }
}
