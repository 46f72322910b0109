// Recording+Look.swift: what is looked up now and then: the clock's rate, resident memory, a point of the time line.
import AllocationProfile
import CRecording

extension Recording {
    /// Rows, of which several may be one stack on several threads.
    private static let largestRows = 16

    func look(at time: UInt64) {
        lastLook = time
        if scale.measuresTime {
            scale.calibrate(clock: region.now(), monotonic: SystemCalls.monotonic())
            if scale.ticksPerSecond > 0 { merge.ledger.setRate(ticksPerSecond: scale.ticksPerSecond) }
        }
        if let peak = files.peakResidentBytes() { peakRSS = max(peakRSS, peak) }
    }

    /// Adds the points that are due before an event at `clock`; nothing happened since the last event that was taken.
    func addPoints(before clock: UInt64, time: UInt64) {
        for _ in 0..<2 where timeline.next < clock {
            addPoint(at: timeline.next, time: time)
            timeline.skip(to: clock)
        }
    }

    private func addPoint(at clock: UInt64, time: UInt64) {
        let totals = merge.ledger.totals
        let resident = files.residentBytes() ?? 0
        peakRSS = max(peakRSS, resident)
        var largest: [(row: Int, bytes: Int)] = []
        // A look at all stacks; the longer it takes, the rarer: about half a percent of the time.
        if time >= nextLargest {
            let start = SystemCalls.monotonic()
            largest = merge.ledger.rows.largest(Self.largestRows)
            nextLargest = time &+ max(5_000_000, (SystemCalls.monotonic() &- start) &* 200)
        }
        timeline.add(
            Timeline.Point(
                clock: clock, seconds: scale.seconds(monotonic: time),
                live: Tally(bytes: totals.currentBytes, count: merge.ledger.liveCount), residentBytes: resident, largest: largest))
    }

    /// Seconds since the start of the recording.
    func seconds(clock: UInt64, otherwise seconds: Double) -> Double {
        scale.ticksPerSecond > 0 ? scale.seconds(clock) : seconds
    }

    /// What must hold, whatever the events were; a sentence for each that does not.
    func brokenInvariants() -> [String] {
        merge.ledger.settle()
        let ledger = merge.ledger
        var broken: [String] = []
        var sums = [StackCost](repeating: StackCost(stack: 0), count: ledger.domains.count + 1)
        for row in 1..<ledger.rows.count {
            let values = ledger.rows.rows[row]
            let detail = ledger.rows.details[row]
            let domain = Int(values.domain)
            sums[domain].current += Tally(bytes: values.currentBytes, count: values.currentCount)
            sums[domain].total += Tally(bytes: values.totalBytes, count: values.totalCount)
            sums[domain].peak += values.peak(ledger.peakNumber(values))
            sums[domain].temporary += Tally(bytes: detail.temporaryBytes, count: detail.temporaryCount)
        }
        func check(_ name: String, _ left: Tally, _ right: Tally) {
            if left != right { broken.append("\(name): \(left) by stack, \(right) in all") }
        }
        func check(_ sum: StackCost, _ totals: Unsafe.Totals, live: Int, released: Int, of name: String) {
            check("current\(name)", sum.current, Tally(bytes: totals.currentBytes, count: live))
            check("total\(name)", sum.total, Tally(bytes: totals.bytesAllocated, count: totals.allocations))
            check("peak\(name)", sum.peak, Tally(bytes: totals.peakBytes, count: totals.peakCount))
            check("temporary\(name)", sum.temporary, Tally(bytes: totals.temporaryBytes, count: totals.temporaryCount))
            let alive = totals.allocations - totals.frees - totals.forgotten - released
            if alive != live { broken.append("\(live) live blocks\(name), \(alive) allocations without a free") }
        }
        check(sums[0], ledger.totals, live: ledger.liveCount, released: ledger.knownReleases, of: "")
        var tracked = Tally.zero
        for (domain, sum) in zip(ledger.domains, sums.dropFirst()) {
            check(sum, domain.totals, live: domain.live.count, released: 0, of: " of domain \(domain.number)")
            tracked += sum.current
        }
        check("current of all domains", tracked, ledger.tracked)
        return broken
    }
}
