// HostileTests.swift: a program that scribbled over its recording harms its own figures, never the collector.
import AllocationProfile
import CRecording
import Glibc
import Testing

@testable import AllocationRecording

@Suite struct HostileTests {
    private func busyProgram(_ random: inout Seeded) -> FakeProgram {
        let program = FakeProgram(FakeProgram.Options(nodes: 1 << 12, nodesReserved: 1 << 10, rings: 6, capacityMax: 128))
        let image = program.addImage("/bin/program", buildID: [1, 2, 3])
        for _ in 0..<3 { _ = program.addRing() }
        var nodes = [program.addNode(pc: 1, image: image)]
        for index in 0..<20 {
            nodes.append(program.addNode(parent: nodes.randomElement(using: &random)!, pc: UInt64(index) * 16, image: image))
        }
        for index in 0..<50 {
            let ring = Int.random(in: 0..<3, using: &random)
            program.allocate(UInt64(index + 1) << 4, 16, stack: nodes.randomElement(using: &random)!, ring: ring)
            if index % 3 == 0 { program.free(UInt64(index + 1) << 4, ring: ring) }
            if index % 20 == 7 { program.control(TM_CONTROL_MARK, text: program.header.pointee.command_text) }
        }
        return program
    }

    /// Serves a program like the collector does, without caring what comes out.
    private func serve(_ program: FakeProgram) {
        guard let recording = try? program.recording() else { return }
        for _ in 0..<3 { _ = recording.round() }
        _ = recording.snapshot(frameLimit: 4, at: SystemCalls.monotonic())
        recording.end(at: SystemCalls.monotonic())
        let result = recording.snapshot(frameLimit: 256, at: SystemCalls.monotonic())
        #expect(result.nodes.indices.dropFirst().allSatisfy { Int(result.nodes[$0].parent) < $0 })
        recording.free()
    }

    @Test func `any bit of the header, rings, nodes, images, texts and events may be flipped`() {
        // A crash takes the test's own message with it: the seed is printed first.
        let seed = UInt64.random(in: 0 ... .max)
        print("damage by seed \(seed)")
        var random = Seeded(state: seed)
        for _ in 0..<400 {
            let program = busyProgram(&random)
            let header = program.header.pointee
            let places: [(UInt64, UInt64)] = [
                (0, UInt64(MemoryLayout<tm_header>.size)), (header.rings.offset, 128 * 3), (header.nodes.offset, 16 * 24),
                (header.images.offset, 64), (header.text.offset, 64), (header.events.offset, 24 * 64),
            ]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let (offset, length) = places.randomElement(using: &random)!
                let byte = Int(offset) + Int(UInt64.random(in: 0..<length, using: &random))
                let flipped = program.base.load(fromByteOffset: byte, as: UInt8.self) ^ (1 << UInt8.random(in: 0...7, using: &random))
                program.base.storeBytes(of: flipped, toByteOffset: byte, as: UInt8.self)
            }
            serve(program)
        }
    }

    @Test func `random words in place of any field do no harm either`() {
        // A crash takes the test's own message with it: the seed is printed first.
        let seed = UInt64.random(in: 0 ... .max)
        print("damage by seed \(seed)")
        var random = Seeded(state: seed)
        let words: [UInt64] = [0, 1, .max, .max / 2, 1 << 63, 1 << 32, 0xffff_ffff, 4096, 3]
        for _ in 0..<400 {
            let program = busyProgram(&random)
            let header = program.header.pointee
            let places: [(UInt64, UInt64)] = [
                (0, UInt64(MemoryLayout<tm_header>.size)), (header.rings.offset, 128 * 3), (header.nodes.offset, 16 * 24),
                (header.events.offset, 24 * 64),
            ]
            let (offset, length) = places.randomElement(using: &random)!
            let place = Int(offset) + Int(UInt64.random(in: 0..<(length / 8), using: &random)) * 8
            program.base.storeBytes(of: words.randomElement(using: &random)!, toByteOffset: place, as: UInt64.self)
            serve(program)
        }
    }

    @Test func `figures up to the damage are kept, and a sentence says what happened`() throws {
        let program = FakeProgram()
        _ = program.addRing()
        let recording = try program.recording()
        defer { recording.free() }
        program.allocate(0x1000, 10)
        program.emit(TM_EVENT_ALLOCATE, address: 0x2000, size: 10, stack: 999_999)
        program.allocate(0x3000, 10)
        _ = recording.round()
        #expect(recording.isOver)
        recording.end(at: SystemCalls.monotonic())
        let result = recording.snapshot(frameLimit: 8, at: SystemCalls.monotonic())
        #expect(result.process.current == Tally(bytes: 10, count: 1))
        #expect(result.process.warnings.count == 1)
        #expect(recording.brokenInvariants() == [])
    }

    @Test(
        arguments: [
            { (header: inout tm_header) in header.magic = 1 }, { $0.version = 99 }, { $0.header_size = 8 }, { $0.file_size += 1 },
            { $0.pid = 0 },
            { $0.nodes.offset = 1 << 50 }, { $0.nodes.capacity = .max }, { $0.rings.reserved = .max }, { $0.ring_capacity_max = 3 },
            { $0.ring_capacity_start = 0 }, { $0.ring_capacity_home = 3 }, { $0.events.capacity = 1 }, { $0.clock = 9 },
            { $0.rings.capacity = 0 },
        ] as [@Sendable (inout tm_header) -> Void])
    func `a header that contradicts itself is refused with a sentence`(damage: @Sendable (inout tm_header) -> Void) {
        let program = FakeProgram()
        damage(&program.header.pointee)
        #expect(throws: RecordingError.self) { try program.recording() }
    }
}
