// Recording+Memory.swift: memory behind the recording, always somewhat more than its producers use.
import CRecording
import Glibc

extension Recording {
    /// Nodes are reserved in steps of at most this many: 16 MiB.
    private static let nodeStep = 1 << 20
    private static let freeRings = 4

    func reserveAhead() {
        let nodes = region.nodes.reserved
        reserve(.nodes, &region.nodes, headroom: min(max(nodes / 4, 8192), 1 << 18), step: min(max(nodes, 8192), Self.nodeStep))
        reserve(.images, &region.images, headroom: 64, step: 256)
        reserve(.text, &region.text, headroom: 64 << 10, step: 256 << 10)
        reserveRings()
    }

    private func reserve(_ word: Unsafe.Region.AreaWord, _ area: inout Unsafe.Area, headroom: Int, step: Int) {
        let shared = region.shared(word)
        let used = Int(min(tm_load64(&shared.pointee.used), UInt64(area.capacity)))
        let wanted = min(used + headroom, area.capacity)
        if wanted > area.reserved && tm_load32(&shared.pointee.refused) == 0 {
            var code = ENOSPC
            // A large step first; when memory is short, what is needed next.
            for target in [min(max(wanted, area.reserved + step), area.capacity), wanted] where code != 0 && target > area.reserved {
                code = region.reserve(area, from: area.reserved, to: target)
                if code == 0 { area.reserved = target }
            }
            if code == 0 {
                tm_store64(&shared.pointee.reserved, UInt64(area.reserved))
            } else {
                refuse(shared, code, used: used)
            }
        }
        if tm_load32(&shared.pointee.waiting) != 0 { Unsafe.wake(&shared.pointee.wake) }
    }

    private func reserveRings() {
        let shared = region.shared(.rings)
        let used = Int(min(tm_load64(&shared.pointee.used), UInt64(region.rings.capacity)))
        let wanted = min(used + Self.freeRings, region.rings.capacity)
        while region.rings.reserved < wanted && tm_load32(&shared.pointee.refused) == 0 {
            let index = region.rings.reserved
            let place = region.placeForEvents(region.ringCapacityStart)
            var code = region.reserve(region.rings, from: index, to: index + 1)
            if code == 0 { code = place.map { region.reserveEvents(at: $0, count: region.ringCapacityStart) } ?? ENOSPC }
            guard let place, code == 0 else {
                refuse(shared, code, used: used)
                break
            }
            Unsafe.Cursor.Memory(place: place, capacity: UInt64(region.ringCapacityStart)).grant(to: region.ring(index))
            region.rings.reserved = index + 1
            tm_store64(&shared.pointee.reserved, UInt64(index + 1))
        }
        if tm_load32(&shared.pointee.waiting) != 0 { Unsafe.wake(&shared.pointee.wake) }
    }

    private func refuse(_ shared: UnsafeMutablePointer<tm_area>, _ code: Int32, used: Int) {
        tm_store32(&shared.pointee.refused, 1)
        warn(
            "no more memory for the recording of process \(pid) (\(SystemCalls.message(code))): give its file system more room "
                + "(in a container: --shm-size); stacks that found no place are charged to an outer frame")
    }

    /// A step towards more room for a ring whose producer has none. True when it has been given some.
    ///
    /// More than a step at once would take as long as the producer needs to fill what it has: then it would wait for that, and be
    /// given more again.
    func growRing(_ index: Int) -> Bool {
        let cursor = merge.cursors.base + index
        guard var growth = cursor.pointee.growing ?? beginGrowth(of: index) else { return false }
        if growth.step > 0, region.reserveEvents(at: growth.memory.place + growth.ready, count: growth.step) != 0 {
            region.releaseEvents(at: growth.memory.place, count: growth.ready)
            cursor.pointee.growing = nil
            cursor.pointee.isFullyGrown = true
            tm_store32(&cursor.pointee.ring.pointee.refused, 1)
            warn(
                "no more memory for the recording of process \(pid): its threads wait for the collector more often; "
                    + "give its file system more room (in a container: --shm-size)")
            return false
        }
        growth.ready += growth.step
        cursor.pointee.growing = growth
        // From its small memory the producer may go back to the large one that it has.
        guard growth.step == 0, cursor.pointee.isInLargest else { return false }
        cursor.pointee.growing = nil
        cursor.pointee.grant(growth.memory, keeping: region.ringCapacityHome)
        return true
    }

    /// A place for more, without memory so far; nil: the ring keeps what it has.
    private func beginGrowth(of index: Int) -> Unsafe.Growth? {
        let cursor = merge.cursors.base + index
        guard cursor.pointee.mayGrow else { return nil }
        let (capacity, home) = (cursor.pointee.capacity, UInt64(region.ringCapacityHome))
        let head = tm_load64(&cursor.pointee.ring.pointee.head)
        let since = head &- cursor.pointee.filled
        cursor.pointee.filled = head
        // Now and then anybody is late: to write to fresh memory costs more than to wait for that.
        if capacity > home, since == 0 || since > 16 * capacity { return nil }
        let larger = capacity < home ? min(4 * capacity, home) : 4 * capacity
        guard larger <= region.ringCapacityMax, mayBeLarge(index, larger), let place = region.placeForEvents(Int(larger)) else {
            cursor.pointee.isFullyGrown = true
            return nil
        }
        return Unsafe.Growth(memory: Unsafe.Cursor.Memory(place: place, capacity: larger))
    }

    /// Large rings take what comes while the collector makes a snapshot or grows a table. All of a program's together have room for a
    /// million events (24 MiB), and only where memory is plenty.
    private func mayBeLarge(_ index: Int, _ capacity: UInt64) -> Bool {
        if capacity <= Self.plainRing { return true }
        var sum = capacity
        for other in 0..<merge.cursorCount where other != index {
            let cursor = merge.cursors[other]
            let largest = max(cursor.granted.capacity, cursor.growing?.memory.capacity ?? 0)
            if largest > Self.plainRing { sum += largest }
        }
        return sum <= 1 << 20 && Int(capacity) * MemoryLayout<tm_event>.stride <= region.room / 8
    }

    private static let plainRing: UInt64 = 1 << 16
}
