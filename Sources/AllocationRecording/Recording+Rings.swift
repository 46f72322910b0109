// Recording+Rings.swift: which events are published, and up to which time none is missing.
import CRecording

extension Recording {
    /// Makes each running thread of the program show its claim, or take its time after the present.
    func readRings(upTo limit: UInt64) -> Published {
        let clock = region.now()
        tm_turn_take_back(turn)
        if fencesItself { tm_fence() } else { _ = tm_membarrier_global() }
        var published = readRings(clock: clock, isFinal: false)
        lastRound = clock &- 1
        published.horizon = min(clock &- 1, published.horizon, max(limit, settled))
        published.settled = published.horizon
        return published
    }

    /// Looks which events are published; the horizon is the time before which none is missing.
    func readRings(clock: UInt64, isFinal: Bool) -> Published {
        var published = Published()
        for index in 0..<region.ringsUsed {
            guard addCursor(index) else { break }
            let cursor = merge.cursors.base + index
            let claim = tm_load64(&cursor.pointee.ring.pointee.claim)
            let head = tm_load64(&cursor.pointee.ring.pointee.head)
            guard let fill = follow(index, to: head) else { break }
            published.fill = max(published.fill, fill)
            if claim == head &+ 1 && !isFinal {
                // An event is being written. It is not older than the one before it, nor than the last round that did not see it.
                let floor = claim == cursor.pointee.claim ? cursor.pointee.floor : max(lastRound, cursor.pointee.floor)
                cursor.pointee.floor = max(floor, merge.lastTime(index))
                published.horizon = min(published.horizon, cursor.pointee.floor)
            } else {
                cursor.pointee.floor = clock &- 1
            }
            cursor.pointee.claim = claim
        }
        return published
    }

    /// The same without asking, while one thread has the turn (turn.h): what it has published is older than everything that is not
    /// published. Nil: that is not certain.
    ///
    /// Whoever wants to write must take the turn first. If nobody has since the watch began, then what others claimed before is visible
    /// now, and what they claim from now on has a time after the writer's events that were published before the turn was looked at.
    func readRingsBesideWriter() -> Published? {
        guard let writer = turnWatch.writer(turn), writer < region.ringsUsed else { return nil }
        for index in 0..<region.ringsUsed where !addCursor(index) { return nil }
        let head = tm_load64(&merge.cursors.base[writer].ring.pointee.head)
        guard turnWatch.stands(turn) else { return nil }
        var published = Published()
        for index in 0..<merge.cursorCount {
            let ring = merge.cursors.base[index].ring
            let claim = tm_load64(&ring.pointee.claim)
            let end = index == writer ? head : tm_load64(&ring.pointee.head)
            if index != writer && claim == end &+ 1 {
                turnWatch.rest()
                return nil
            }
            guard let fill = follow(index, to: end) else { return nil }
            published.fill = max(published.fill, fill)
        }
        published.horizon = merge.lastTime(writer)
        // Its next event may have the same time.
        published.settled = published.horizon == 0 ? 0 : published.horizon &- 1
        published.isQuick = true
        return published
    }

    /// Events of a ring are published up to here. Returns how full it is, 0...1; nil: that is impossible.
    private func follow(_ index: Int, to head: UInt64) -> Double? {
        let cursor = merge.cursors.base + index
        let count = head &- cursor.pointee.tail
        cursor.pointee.head = head
        if count == 0 { return 0 }
        let thread = tm_load32(&cursor.pointee.ring.pointee.tid)
        if thread != cursor.pointee.threadID { merge.setThread(ofRing: index, id: thread) }
        guard cursor.pointee.follow() else {
            giveUp("ring \(index) has impossible positions")
            return nil
        }
        return min(Double(count) / Double(min(cursor.pointee.capacity, Self.calmRing)), 1)
    }

    /// Larger ones are as full as this one would be: what piles up there comes out of the caches.
    private static let calmRing: UInt64 = 1 << 13

    /// Rings are numbered in the order in which they appear. False: a new one is impossible, or memory is short.
    private func addCursor(_ index: Int) -> Bool {
        if index < merge.cursorCount { return true }
        let ring = region.ring(index)
        let capacity = tm_load32(&ring.pointee.reserved_capacity)
        let place = tm_load64(&ring.pointee.place)
        guard region.mayHoldEvents(place, capacity) else {
            giveUp("ring \(index) has an impossible place")
            return false
        }
        let memory = Unsafe.Cursor.Memory(place: Int(place), capacity: UInt64(capacity))
        guard merge.add(Unsafe.Cursor(ring: ring, area: region.eventElements, granted: memory)) else {
            giveUp("no memory for its rings")
            return false
        }
        // Rings that did not exist in the last round hold nothing older than that.
        merge.cursors.base[index].floor = lastRound
        countedTails.append(merge.cursors[index].said)
        return true
    }
}
