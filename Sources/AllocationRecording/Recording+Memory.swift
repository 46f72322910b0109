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
            var code = region.reserve(region.rings, from: index, to: index + 1)
            if code == 0 { code = region.reserveEvents(ofRing: index, from: 0, to: region.ringCapacityStart) }
            if code != 0 {
                refuse(shared, code, used: used)
                break
            }
            let ring = region.ring(index)
            let capacity = UInt32(region.ringCapacityStart)
            if tm_load32(&ring.pointee.capacity) == 0 { tm_store32(&ring.pointee.capacity, capacity) }
            tm_store32(&ring.pointee.reserved_capacity, capacity)
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

    /// Twice the room for a ring whose producer had to wait. True when it has more than it uses now.
    func growRing(_ index: Int) -> Bool {
        let ring = region.ring(index)
        let capacity = Int(tm_load32(&ring.pointee.capacity))
        let reserved = Int(tm_load32(&ring.pointee.reserved_capacity))
        guard reserved.nonzeroBitCount == 1, reserved <= region.ringCapacityMax else { return false }
        guard reserved <= capacity, reserved < region.ringCapacityMax, tm_load32(&ring.pointee.refused) == 0 else { return false }
        if region.reserveEvents(ofRing: index, from: reserved, to: reserved * 2) != 0 {
            tm_store32(&ring.pointee.refused, 1)
            warn(
                "no more memory for the recording of process \(pid): its threads wait for the collector more often; "
                    + "give its file system more room (in a container: --shm-size)")
            return false
        }
        tm_store32(&ring.pointee.reserved_capacity, UInt32(reserved * 2))
        return true
    }
}
