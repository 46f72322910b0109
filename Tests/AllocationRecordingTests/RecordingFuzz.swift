// RecordingFuzz.swift: a program that writes what it likes into its recording while the collector serves it; for tools/fuzz.
import AllocationProfile
import CRecording
import Glibc

@testable import AllocationRecording

/// Reads an input as a list of steps: events as a program makes them, words anywhere, rounds and snapshots of the collector.
struct RecordingFuzz {
    private var input: Slice<UnsafeRawBufferPointer>
    private let program: FakeProgram
    private var recording: Recording?

    /// Where the areas were before anything was written over: offset and length of what is worth writing to.
    private let areas: [(offset: Int, length: Int)]
    private static let rings = 4
    private static let capacity = 64
    private static let capacityMax = 256
    /// Of each ring's events, as the program knows it, whatever is written over.
    private var memories = (0..<rings).map { (place: $0 * capacity, capacity: capacity) }

    /// Never traps, whatever the input is; ends in time that is proportional to its length.
    static func run(_ bytes: UnsafeRawBufferPointer) {
        var fuzz = RecordingFuzz(bytes)
        while !fuzz.input.isEmpty { fuzz.step() }
        fuzz.end()
    }

    private init(_ bytes: UnsafeRawBufferPointer) {
        input = bytes[...]
        program = FakeProgram(
            FakeProgram.Options(
                nodes: 256, nodesReserved: 256, rings: Self.rings, ringsReserved: Self.rings, capacityStart: Self.capacity,
                capacityMax: Self.capacityMax))
        let image = program.addImage("/bin/program", buildID: [1, 2, 3])
        _ = program.addStack([0x1100, 0x1200, 0x1300])
        program.node(3).pointee.image = image
        for _ in 0..<2 { _ = program.addRing() }
        let header = program.header.pointee
        areas = [
            (0, MemoryLayout<tm_header>.size), (Int(header.rings.offset), Self.rings * 128), (Int(header.nodes.offset), 256 * 16),
            (Int(header.images.offset), 4 * 64), (Int(header.text.offset), 512),
            (Int(header.events.offset), Int(header.events.capacity) * 24),
        ]
    }

    // MARK: The input

    private mutating func byte() -> UInt8 { input.popFirst() ?? 0 }

    private mutating func number(_ bytes: Int) -> UInt64 {
        (0..<bytes).reduce(0) { sum, index in sum | UInt64(byte()) << (8 * UInt64(index)) }
    }

    // MARK: Steps

    private mutating func step() {
        switch byte() & 15 {
        case 0...4: event(time: nil)
        case 5: event(time: number(8))
        case 6: write(number(8), bytes: 8)
        case 7: write(number(4), bytes: 4)
        case 8: write(number(1), bytes: 1)
        case 9: node()
        case 10: copy()
        case 11: _ = serve()?.round()
        case 12: wait()
        case 13:
            let limit = Int(byte())
            if let recording = serve() { check(recording.snapshot(frameLimit: limit, at: SystemCalls.monotonic())) }
        case 14: serve()?.mark(name: "mark")
        default:
            let address = number(6)
            _ = serve()?.block(containing: address, domain: Int(byte() & 1), frameLimit: 8)
        }
    }

    /// The collector, which sees the recording for the first time now.
    private mutating func serve() -> Recording? {
        if recording == nil {
            recording = try? program.recording()
            recording?.reserveAhead()
        }
        return recording
    }

    /// An event in the next slot of a ring, published whether or not there is room.
    private mutating func event(time: UInt64?) {
        let selector = byte()
        let ring = Int(selector >> 4) % Self.rings
        let words = ringWords(ring)
        let head = words.load(as: UInt64.self)
        let memory = memories[ring]
        let slot = program.base + areas[5].offset + (memory.place + Int(head % UInt64(memory.capacity))) * 24
        let control = selector & 15 == UInt8(TM_EVENT_CONTROL.rawValue)
        let address = control ? UInt64(byte() & 7) : 0x10000 + UInt64(byte()) << 4
        let size = number(selector & 8 == 0 ? 1 : 5)
        let stack = UInt64(byte())
        let clock = time ?? tick()
        let kind = UInt64(selector & 7)
        slot.storeBytes(of: clock << 4 | kind, as: UInt64.self)
        slot.storeBytes(of: address | (size >> 32) << 48, toByteOffset: 8, as: UInt64.self)
        slot.storeBytes(of: stack | (size & 0xffff_ffff) << 32, toByteOffset: 16, as: UInt64.self)
        words.storeBytes(of: head &+ 1, as: UInt64.self)
        words.storeBytes(of: head &+ 1, toByteOffset: 8, as: UInt64.self)
    }

    /// A ring's producer asks for room, and takes what it has been given.
    private mutating func wait() {
        let index = Int(byte()) % Self.rings
        program.ring(index).pointee.waiting = 1
        let place = program.ring(index).pointee.place
        let count = Int(program.ring(index).pointee.reserved_capacity)
        guard count > memories[index].capacity, count <= Self.capacityMax, place <= UInt64(areas[5].length / 24 - count) else { return }
        memories[index] = (Int(place), count)
        program.ring(index).pointee.at = place
        program.ring(index).pointee.moved = program.ring(index).pointee.head
        program.ring(index).pointee.capacity = UInt32(count)
    }

    private func tick() -> UInt64 {
        let word = program.base + MemoryLayout<tm_header>.offset(of: \.shared_clock)!
        return tm_add64(word.assumingMemoryBound(to: UInt64.self), 1)
    }

    private func ringWords(_ ring: Int) -> UnsafeMutableRawPointer { program.base + areas[1].offset + ring * 128 }

    private mutating func write(_ value: UInt64, bytes: Int) {
        let area = areas[Int(byte()) % areas.count]
        let place = Int(number(2)) % area.length / bytes * bytes
        withUnsafeBytes(of: value.littleEndian) { (program.base + area.offset + place).copyMemory(from: $0.baseAddress!, byteCount: bytes) }
    }

    /// A node as a program makes it, or nearly.
    private mutating func node() {
        let words = program.base + areas[2].offset + Int(byte()) * 16
        words.storeBytes(of: number(3), as: UInt64.self)
        words.storeBytes(of: UInt32(byte()), toByteOffset: 8, as: UInt32.self)
        words.storeBytes(of: UInt16(byte() & 3), toByteOffset: 12, as: UInt16.self)
        words.storeBytes(of: UInt16(byte() & 7), toByteOffset: 14, as: UInt16.self)
        let used = program.base + MemoryLayout<tm_header>.offset(of: \.nodes.used)!
        used.storeBytes(of: min(used.load(as: UInt64.self) &+ 1, 256), as: UInt64.self)
    }

    /// Text and images with bytes of the input.
    private mutating func copy() {
        let area = areas[3 + Int(byte()) % 2]
        let place = Int(byte()) % area.length / 4 * 4
        for offset in 0..<min(Int(byte()) % 64, area.length - place) {
            program.base.storeBytes(of: byte(), toByteOffset: area.offset + place + offset, as: UInt8.self)
        }
    }

    private mutating func end() {
        guard let recording = serve() else { return }
        _ = recording.round()
        recording.end(at: SystemCalls.monotonic())
        check(recording.snapshot(frameLimit: 256, at: SystemCalls.monotonic()))
        recording.free()
    }

    // MARK: What must hold whatever was written

    private func check(_ snapshot: Snapshot) {
        for index in snapshot.nodes.indices.dropFirst() {
            precondition(Int(snapshot.nodes[index].parent) < index, "a caller stands before its callees")
            precondition(Int(snapshot.nodes[index].location) < snapshot.locations.count, "a node's location exists")
        }
        for location in snapshot.locations { precondition(Int(location.module) < snapshot.modules.count, "a location's module exists") }
        for cost in snapshot.costs { precondition(snapshot.nodes.indices.contains(Int(cost.stack)), "a cost's stack exists") }
        precondition(snapshot.process.current.count >= 0 && snapshot.process.current.bytes >= 0, "nothing is negative")
        for metric in [Metric.current, .peak, .total, .temporary] {
            _ = try? snapshot.statistics(groupedBy: .traceback, measuring: metric, limit: 3)
        }
    }
}
