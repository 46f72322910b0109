// Unsafe+Region.swift: a recording in memory, its header checked once, its areas bounded for good.
import CRecording
import Glibc

extension Unsafe {
    /// A growable array of the recording. Offset and capacity are our own copies: what was checked cannot change any more.
    struct Area {
        let offset: Int
        let capacity: Int
        let stride: Int
        /// Elements with memory behind them. Ours alone to move from now on.
        var reserved: Int
    }

    /// The mapped recording. `file` is kept to reserve memory with.
    final class Region {
        let base: UnsafeMutableRawPointer
        let byteCount: Int
        private let file: Int32
        let header: UnsafeMutablePointer<tm_header>
        var images: Area
        var text: Area
        var nodes: Area
        var rings: Area
        /// `reserved`: what rings were given so far.
        private var events: Area
        let ringCapacityMax: Int
        let ringCapacityStart: Int
        let ringCapacityHome: Int

        /// Maps the recording in `file` and takes the descriptor over, also when it throws.
        init(file: Int32, path: String) throws(RecordingError) {
            func unusable(_ reason: String) -> RecordingError { .unusableRecording(path: path, reason: reason) }
            var info = stat()
            guard fstat(file, &info) == 0, info.st_size >= Int(TM_PAGE), info.st_size <= 1 << 40 else {
                close(file)
                throw unusable("it is no recording by its size")
            }
            let size = Int(info.st_size)
            let flags = MAP_SHARED | Int32(MAP_NORESERVE)
            guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, flags, file, 0), base != MAP_FAILED else {
                close(file)
                throw .outOfMemory(needed: "the recording \(path)")
            }
            var failed = true
            defer {
                if failed {
                    munmap(base, size)
                    close(file)
                }
            }
            self.base = base
            self.file = file
            byteCount = size
            header = base.assumingMemoryBound(to: tm_header.self)

            let copy = header.pointee
            guard copy.magic == 0x3143_5243_4f4c_4c41 else { throw unusable("its first bytes are not a recording's") }
            guard copy.version == TM_RECORDING_VERSION, copy.header_size == MemoryLayout<tm_header>.size else {
                throw unusable("it has version \(copy.version), this is \(TM_RECORDING_VERSION)")
            }
            guard copy.file_size == UInt64(size) else { throw unusable("its size is not what its header says") }
            guard copy.pid > 0, copy.pid < 1 << 30, (1...3).contains(copy.clock) else { throw unusable("its header is damaged") }
            guard let images = Self.area(copy.images, MemoryLayout<tm_image>.stride, size, 1 << 16),
                let text = Self.area(copy.text, 1, size, 1 << 30),
                let nodes = Self.area(copy.nodes, MemoryLayout<tm_node>.stride, size, 1 << 31),
                let rings = Self.area(copy.rings, MemoryLayout<tm_ring>.stride, size, 1 << 16),
                let events = Self.area(copy.events, MemoryLayout<tm_event>.stride, size, 1 << 40)
            else { throw unusable("one of its areas lies outside of it") }
            let most = Int(copy.ring_capacity_max)
            let start = Int(copy.ring_capacity_start)
            let home = Int(copy.ring_capacity_home)
            guard most.nonzeroBitCount == 1, start.nonzeroBitCount == 1, start >= 2, start <= most, rings.capacity >= 1,
                home.nonzeroBitCount <= 1, copy.events.used <= copy.events.capacity
            else { throw unusable("its rings do not fit") }
            self.images = images
            self.text = text
            self.nodes = nodes
            self.rings = rings
            self.events = events
            self.events.reserved = Int(copy.events.used)
            ringCapacityMax = most
            ringCapacityStart = start
            ringCapacityHome = home
            failed = false
        }

        /// Tells whether a process still has it mapped.
        var inode: UInt64 {
            var info = stat()
            return fstat(file, &info) == 0 ? UInt64(info.st_ino) : 0
        }

        func unmap() {
            munmap(base, byteCount)
            close(file)
        }

        private static func area(_ area: tm_area, _ stride: Int, _ size: Int, _ most: UInt64) -> Area? {
            guard area.offset >= UInt64(TM_PAGE), area.offset % UInt64(TM_PAGE) == 0, area.offset <= UInt64(size), area.capacity <= most,
                area.reserved <= area.capacity, Int(area.capacity) * stride <= size - Int(area.offset)
            else { return nil }
            return Area(offset: Int(area.offset), capacity: Int(area.capacity), stride: stride, reserved: Int(area.reserved))
        }

        // MARK: Elements. The index is the caller's to check against `reserved`.

        @inline(__always)
        func ring(_ index: Int) -> UnsafeMutablePointer<tm_ring> {
            (base + rings.offset).assumingMemoryBound(to: tm_ring.self) + index
        }

        var eventElements: UnsafeMutablePointer<tm_event> { (base + events.offset).assumingMemoryBound(to: tm_event.self) }

        /// Whether a ring may have its events there.
        func mayHoldEvents(_ place: UInt64, _ capacity: UInt32) -> Bool {
            capacity.nonzeroBitCount == 1 && capacity <= ringCapacityMax && place <= UInt64(events.reserved)
                && UInt64(capacity) <= UInt64(events.reserved) - place
        }

        var nodeElements: UnsafeMutablePointer<tm_node> { (base + nodes.offset).assumingMemoryBound(to: tm_node.self) }

        func image(_ index: Int) -> tm_image { (base + images.offset).assumingMemoryBound(to: tm_image.self)[index] }

        /// How many elements of an area may be read: published, and with memory behind them.
        func used(_ word: UInt64, _ area: Area) -> Int { Int(min(word, UInt64(area.reserved))) }
        var nodesUsed: Int { used(tm_load64(&header.pointee.nodes.used), nodes) }
        var imagesUsed: Int { used(tm_load64(&header.pointee.images.used), images) }
        var ringsUsed: Int { used(tm_load64(&header.pointee.rings.used), rings) }

        /// Bytes of a text entry; empty for id 0 and for ids that point nowhere.
        func text(_ id: UInt32) -> [UInt8] {
            let used = used(tm_load64(&header.pointee.text.used), text)
            let start = Int(id)
            guard start > 0, start % 4 == 0, start + 4 <= used else { return [] }
            let entry = base + text.offset + start
            let length = Int(tm_load32(entry.assumingMemoryBound(to: UInt32.self)))
            guard length <= used - start - 4 else { return [] }
            return [UInt8](UnsafeRawBufferPointer(start: entry + 4, count: length))
        }

        /// The shared side of an area.
        enum AreaWord: CaseIterable {
            case images, text, nodes, rings
        }

        func shared(_ word: AreaWord) -> UnsafeMutablePointer<tm_area> {
            let first = MemoryLayout<tm_header>.offset(of: \.images)!
            let index =
                switch word {
                case .images: 0
                case .text: 1
                case .nodes: 2
                case .rings: 3
                }
            return (base + first).assumingMemoryBound(to: tm_area.self) + index
        }

        // MARK: Memory behind areas

        /// Puts memory behind bytes of the file. Returns 0 or errno.
        private func reserve(offset: Int, count: Int) -> Int32 {
            while true {
                let result = tm_reserve(file, UInt64(offset), UInt64(count))
                if result != -Int(EINTR) { return Int32(-result) }
            }
        }

        func reserve(_ area: Area, from: Int, to: Int) -> Int32 {
            reserve(offset: area.offset + from * area.stride, count: (to - from) * area.stride)
        }

        /// A place for the events of a ring that never was one, without memory. Nil: there is none.
        func placeForEvents(_ count: Int) -> Int? {
            guard count <= events.capacity - events.reserved else { return nil }
            defer { events.reserved += count }
            return events.reserved
        }

        /// Returns 0 or errno.
        func reserveEvents(at place: Int, count: Int) -> Int32 { reserve(events, from: place, to: place + count) }

        /// Gives memory back whose events have been consumed.
        func releaseEvents(at place: Int, count: Int) {
            _ = tm_release(file, UInt64(events.offset + place * events.stride), UInt64(count * events.stride))
        }

        /// Bytes that the file system has left. One without blocks, as that of a memory file is, sets no limit of its own.
        var room: Int {
            var system = statvfs()
            guard fstatvfs(file, &system) == 0 else { return 0 }
            if system.f_blocks == 0 { return .max }
            return Int(clamping: UInt64(system.f_bavail).multipliedReportingOverflow(by: UInt64(system.f_frsize)).partialValue)
        }

        // MARK: Time

        /// The recording's clock.
        func now() -> UInt64 {
            header.pointee.clock == UInt32(TM_CLOCK_SHARED.rawValue) ? tm_load64(&header.pointee.shared_clock) : tm_clock_now()
        }
    }

    /// Wakes whoever sleeps on a futex word, and makes those who are about to sleep look again.
    static func wake(_ word: UnsafeMutablePointer<UInt32>) {
        _ = tm_add32(word, 1)
        _ = tm_futex_wake(word, .max)
    }
}
