// FakeProgram.swift: the traced side of a recording, in Swift: what the interposer writes, written by a test.
import CRecording
import Glibc

@testable import AllocationRecording

/// Writes a recording by the layout of its header. Times are the test's own unless it asks for the real clock.
final class FakeProgram: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let size: Int
    let file: Int32
    private let path: String
    private let capacityMax: Int

    struct Options {
        var pid = getpid()
        var parent: Int32 = 0
        var processStart: UInt64 = 0
        var clock = TM_CLOCK_SHARED
        var nodes = 1 << 16
        var nodesReserved = 1 << 12
        var rings = 16
        var ringsReserved = 4
        var capacityStart = 64
        var capacityMax = 1024
        var capacityHome = 0
        var directory = "/dev/shm"
        var command: [String] = ["program", "argument"]
    }

    var header: UnsafeMutablePointer<tm_header> { base.assumingMemoryBound(to: tm_header.self) }

    init(_ options: Options = Options()) {
        func pages(_ bytes: Int) -> Int { (bytes + 4095) / 4096 * 4096 }
        let images = 4096
        let text = images + pages(64 * 64)
        let nodes = text + pages(1 << 16)
        let rings = nodes + pages(options.nodes * 16)
        let events = rings + pages(options.rings * 128)
        size = events + pages(options.rings * options.capacityMax * 2 * 24)
        capacityMax = options.capacityMax
        path = "\(options.directory)/fake-program-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        precondition(file >= 0 && ftruncate(file, size) == 0)
        base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)!
        var header = tm_header()
        header.magic = 0x3143_5243_4f4c_4c41
        header.version = TM_RECORDING_VERSION
        header.header_size = UInt32(MemoryLayout<tm_header>.size)
        header.file_size = UInt64(size)
        header.pid = UInt32(options.pid)
        header.parent_pid = UInt32(options.parent)
        header.process_start = options.processStart
        header.clock = UInt32(options.clock.rawValue)
        header.fence = TM_FENCE_PRODUCER
        header.start_clock = options.clock == TM_CLOCK_SHARED ? 1 : tm_clock_now()
        header.start_monotonic = SystemCalls.monotonic()
        header.start_realtime = 1_700_000_000_000_000_000
        header.shared_clock = 1
        header.state = TM_STATE_RECORDING.rawValue
        header.images = tm_area(offset: UInt64(images), capacity: 64, reserved: 64, used: 0, refused: 0, waiting: 0, wake: 0, padding: 0)
        header.text = tm_area(
            offset: UInt64(text), capacity: 1 << 16, reserved: 4096, used: 4, refused: 0, waiting: 0, wake: 0, padding: 0)
        header.nodes = tm_area(
            offset: UInt64(nodes), capacity: UInt64(options.nodes), reserved: UInt64(min(options.nodesReserved, options.nodes)),
            used: UInt64(TM_NODE_FIRST), refused: 0, waiting: 0, wake: 0, padding: 0)
        header.rings = tm_area(
            offset: UInt64(rings), capacity: UInt64(options.rings), reserved: UInt64(options.ringsReserved), used: 0, refused: 0,
            waiting: 0, wake: 0, padding: 0)
        header.events = tm_area(
            offset: UInt64(events), capacity: UInt64(options.rings * options.capacityMax * 2), reserved: 0,
            used: UInt64(options.ringsReserved * options.capacityStart), refused: 0, waiting: 0, wake: 0, padding: 0)
        header.ring_capacity_max = UInt32(options.capacityMax)
        header.ring_capacity_start = UInt32(options.capacityStart)
        header.ring_capacity_home = UInt32(options.capacityHome)
        self.header.pointee = header
        for index in 0..<options.ringsReserved {
            ring(index).pointee.capacity = UInt32(options.capacityStart)
            ring(index).pointee.reserved_capacity = UInt32(options.capacityStart)
            ring(index).pointee.place = UInt64(index * options.capacityStart)
            ring(index).pointee.at = UInt64(index * options.capacityStart)
        }
        self.header.pointee.command_text = self.text(options.command.map { $0 + "\0" }.joined())
        self.header.pointee.executable_text = self.text("/bin/program")
    }

    deinit {
        munmap(base, size)
        close(file)
        unlink(path)
    }

    /// A recording of its own, as the collector would map it.
    func recording() throws -> Recording {
        try Recording(region: Unsafe.Region(file: dup(file), path: path), name: "a test")
    }

    /// Shows the recording to a collector.
    func publish(in session: Session, number: Int = 0) {
        precondition(rename(path, "\(session.directory)/\(header.pointee.pid).\(number).recording") == 0)
        Session.ringBell(in: session.directory)
    }

    var hasCollector: Bool { tm_load32(collectorWord) != 0 && !collectorIsDead }
    var collectorIsDead: Bool { tm_load32(collectorWord) & TM_FUTEX_OWNER_DIED != 0 }
    private var collectorWord: UnsafeMutablePointer<UInt32> { (base + 112).assumingMemoryBound(to: UInt32.self) }

    // MARK: Tables

    func ring(_ index: Int) -> UnsafeMutablePointer<tm_ring> {
        (base + Int(header.pointee.rings.offset)).assumingMemoryBound(to: tm_ring.self) + index
    }

    /// The place of the ring's next event.
    func nextEvent(ring index: Int) -> UnsafeMutablePointer<tm_event> {
        let ring = ring(index).pointee
        return (base + Int(header.pointee.events.offset)).assumingMemoryBound(to: tm_event.self)
            + Int(ring.at + ring.head % UInt64(ring.capacity))
    }

    /// Goes on in the memory that the collector granted. False: there is none.
    func takeGrant(ring index: Int) -> Bool {
        let ring = ring(index)
        let granted = tm_load32(&ring.pointee.reserved_capacity)
        guard granted > ring.pointee.capacity, granted <= capacityMax else { return false }
        move(ring: index, to: tm_load64(&ring.pointee.place), granted)
        return true
    }

    /// Goes on in memory that was granted, now or earlier.
    func move(ring index: Int, to place: UInt64, _ capacity: UInt32) {
        let ring = ring(index)
        ring.pointee.at = place
        tm_store64(&ring.pointee.moved, ring.pointee.head)
        tm_store32(&ring.pointee.capacity, capacity)
    }

    private func hasRoom(_ index: Int) -> Bool {
        let ring = ring(index)
        return ring.pointee.head - max(tm_load64(&ring.pointee.tail), ring.pointee.moved) < UInt64(ring.pointee.capacity)
    }

    func node(_ index: UInt32) -> UnsafeMutablePointer<tm_node> {
        (base + Int(header.pointee.nodes.offset)).assumingMemoryBound(to: tm_node.self) + Int(index)
    }

    func text(_ string: String) -> UInt32 {
        let bytes = Array(string.utf8)
        let id = header.pointee.text.used
        let entry = base + Int(header.pointee.text.offset) + Int(id)
        entry.storeBytes(of: UInt32(bytes.count), as: UInt32.self)
        (entry + 4).copyMemory(from: bytes, byteCount: bytes.count)
        tm_store64(&header.pointee.text.used, id + 4 + UInt64((bytes.count + 3) / 4 * 4))
        return UInt32(id)
    }

    func addImage(_ path: String, start: UInt64 = 0x1000, end: UInt64 = 0x2000, bias: UInt64 = 0, buildID: [UInt8] = []) -> UInt16 {
        let index = header.pointee.images.used
        let image = (base + Int(header.pointee.images.offset)).assumingMemoryBound(to: tm_image.self) + Int(index)
        image.pointee.start = start
        image.pointee.end = end
        image.pointee.bias = bias
        image.pointee.path = text(path)
        image.pointee.build_id_length = UInt8(buildID.count)
        withUnsafeMutableBytes(of: &image.pointee.build_id) { $0.copyBytes(from: buildID) }
        image.pointee.state = 1
        tm_store64(&header.pointee.images.used, index + 1)
        return UInt16(index)
    }

    func addNode(parent: UInt32 = 0, pc: UInt64, image: UInt16 = UInt16(TM_IMAGE_NONE), flags: UInt32 = 0) -> UInt32 {
        let index = UInt32(header.pointee.nodes.used)
        node(index).pointee = tm_node(pc: pc, parent: parent, image: image, flags: UInt16(flags))
        tm_store64(&header.pointee.nodes.used, UInt64(index) + 1)
        return index
    }

    /// The innermost node of a stack of these return addresses, outermost first.
    func addStack(_ addresses: [UInt64], root: UInt32 = 0) -> UInt32 { addresses.reduce(root) { addNode(parent: $0, pc: $1) } }

    func addRing(tid: UInt32 = 0) -> Int {
        let index = Int(header.pointee.rings.used)
        ring(index).pointee.tid = tid
        ring(index).pointee.state = TM_RING_LIVE.rawValue
        tm_store64(&header.pointee.rings.used, UInt64(index) + 1)
        return index
    }

    // MARK: Events

    /// The next time of the shared clock.
    func tick() -> UInt64 { tm_add64(&header.pointee.shared_clock, 1) }

    func claim(_ ring: Int) { tm_store64(&self.ring(ring).pointee.claim, self.ring(ring).pointee.head + 1) }

    /// Writes and publishes an event; the ring must have room.
    func emit(
        _ kind: tm_event_kind, ring index: Int = 0, address: UInt64, size: UInt64 = 0, stack: UInt32 = 0, time: UInt64? = nil
    ) {
        let ring = ring(index)
        let head = ring.pointee.head
        precondition(hasRoom(index), "the test's ring is full")
        claim(index)
        let time = time ?? tick()
        nextEvent(ring: index).pointee = tm_event(
            time_kind: time << 4 | UInt64(kind.rawValue), address_size: address | (size >> 32) << 48,
            stack_size: UInt64(stack) | (size & 0xffff_ffff) << 32)
        tm_store64(&ring.pointee.head, head + 1)
    }

    /// As the interposer does it: waits for room. False when the collector died.
    func emitWaiting(_ kind: tm_event_kind, ring index: Int, address: UInt64, size: UInt64 = 0, stack: UInt32 = 0) -> Bool {
        let ring = ring(index)
        while !hasRoom(index), !takeGrant(ring: index) {
            ring.pointee.waits += 1
            let wake = tm_load32(&ring.pointee.wake)
            tm_store32(&ring.pointee.waiting, 1)
            tm_fence()
            if !hasRoom(index), tm_load32(&ring.pointee.reserved_capacity) <= ring.pointee.capacity {
                _ = tm_add32(&header.pointee.doorbell, 1)
                if tm_load32(&header.pointee.collector_sleeping) != 0 { _ = tm_futex_wake(doorbell, 1) }
                if collectorIsDead { return false }
                _ = tm_futex_wait(&ring.pointee.wake, wake, 100_000_000)
            }
            tm_store32(&ring.pointee.waiting, 0)
        }
        claim(index)
        tm_fence()
        let time = header.pointee.clock == UInt32(TM_CLOCK_SHARED.rawValue) ? tick() : tm_clock_after()
        emit(kind, ring: index, address: address, size: size, stack: stack, time: time)
        return true
    }

    private var doorbell: UnsafeMutablePointer<UInt32> { (base + 92).assumingMemoryBound(to: UInt32.self) }

    func allocate(_ address: UInt64, _ size: UInt64, stack: UInt32 = 0, ring: Int = 0) {
        emit(TM_EVENT_ALLOCATE, ring: ring, address: address, size: size, stack: stack)
    }

    func free(_ address: UInt64, ring: Int = 0) { emit(TM_EVENT_FREE, ring: ring, address: address) }

    func release(_ address: UInt64, ring: Int = 0) { emit(TM_EVENT_REALLOC_RELEASE, ring: ring, address: address) }

    func result(_ address: UInt64, _ size: UInt64, stack: UInt32 = 0, ring: Int = 0) {
        emit(TM_EVENT_REALLOC_RESULT, ring: ring, address: address, size: size, stack: stack)
    }

    func fail(_ address: UInt64, ring: Int = 0) { emit(TM_EVENT_REALLOC_FAILED, ring: ring, address: address) }

    func control(_ kind: tm_control, text: UInt32 = 0) { emit(TM_EVENT_CONTROL, address: UInt64(kind.rawValue), size: UInt64(text)) }
}
