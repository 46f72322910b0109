// Recording+Snapshot.swift: the state of a recording, frozen into a value.
import AllocationProfile
import CRecording

extension Recording {
    /// Costs about 50 ms for 250,000 stacks, and 0.1 microseconds for each node that came since the last time; the producers' rings fill
    /// meanwhile.
    func snapshot(frameLimit: Int, at time: UInt64, whenLocated: (([ModuleAddresses]) -> Void)? = nil) -> Snapshot {
        picture(frameLimit: frameLimit, at: time, whenLocated: whenLocated).snapshot
    }

    /// The snapshot, and which of its stacks each row of the ledger became. `whenLocated` is told the addresses in it, half-way.
    func picture(
        frameLimit: Int, at time: UInt64, whenLocated: (([ModuleAddresses]) -> Void)? = nil
    ) -> (snapshot: Snapshot, stackOfRow: [Int32]) {
        merge.ledger.settle()
        if endMonotonic == nil {
            look(at: time)
            objects?.look(merge.ledger)
        }
        var snapshot = Snapshot(process: summary(frameLimit: frameLimit, at: time))
        let table = moduleTable
        snapshot.modules = table.modules
        let stacks = stacks(frameLimit: frameLimit, table)
        let (tree, stackOfRow) = (stacks.tree, stacks.ofRow)
        if tree.isDamaged {
            warn("some stacks of process \(pid) are damaged and end early; the program may have overwritten the recording")
        }
        if tree.window < frameLimit {
            warn("process \(pid) has so many stacks deeper than \(frameLimit) frames that \(tree.window) frames of each of them were kept")
        }
        snapshot.process.warnings = warnings + [snapshot.process.samplingNote].compactMap(\.self)
        snapshot.nodes = tree.nodes
        snapshot.locations = tree.locations
        whenLocated?(addresses(of: snapshot))
        snapshot.threads = readThreads(at: time)
        addCosts(to: &snapshot, tree, stackOfRow)
        addTimes(to: &snapshot, stackOfRow, at: time)
        addGenerations(to: &snapshot, stackOfRow)
        objects?.add(to: &snapshot, merge.ledger, stackOfRow: stackOfRow)
        return (snapshot, stackOfRow)
    }

    // MARK: The process

    func summary(frameLimit: Int, at time: UInt64) -> ProcessSummary {
        let header = region.header.pointee
        let totals = merge.ledger.totals
        var process = ProcessSummary()
        process.pid = pid
        process.parent = parentPid > 0 ? parentPid : nil
        process.exit = exit
        process.executable = String(decoding: region.text(header.executable_text), as: UTF8.self)
        process.command = arguments(region.text(header.command_text))
        process.started = Double(startRealtime) / 1e9
        process.duration = scale.seconds(monotonic: endMonotonic ?? time)
        process.threads = threadCount
        process.allocations = totals.allocations
        process.frees = totals.frees
        process.bytesAllocated = totals.bytesAllocated
        process.bytesFreed = totals.bytesFreed
        process.current = Tally(bytes: totals.currentBytes, count: merge.ledger.liveCount)
        process.peak = Tally(bytes: totals.peakBytes, count: totals.peakCount)
        process.peakTime = scale.seconds(totals.peakClock)
        process.temporaryAllocations = totals.temporaryCount
        process.temporaryBytes = totals.temporaryBytes
        process.domains = merge.ledger.domains.map { domain in
            DomainSummary(
                domain: Int(domain.number), allocations: domain.totals.allocations, frees: domain.totals.frees,
                bytesAllocated: domain.totals.bytesAllocated, bytesFreed: domain.totals.bytesFreed,
                current: Tally(bytes: domain.totals.currentBytes, count: domain.live.count),
                peak: Tally(bytes: domain.totals.peakBytes, count: domain.totals.peakCount))
        }.sorted { $0.domain < $1.domain }
        process.unknownFrees = totals.unknownFrees
        process.reentrantEvents = Int(clamping: header.reentrant_events)
        process.lostEvents = Int(clamping: header.lost_events)
        process.lostStacks = Int(clamping: header.lost_stacks)
        process.walks = Int(clamping: header.walks)
        process.walkDifferences = Int(clamping: header.walk_differences)
        process.walkFallbacks = Int(clamping: header.walk_fallbacks)
        process.peakRSS = peakRSS
        process.collectorEvents = totals.events
        process.collectorMemory = peakMemory
        process.frameLimit = frameLimit
        process.sampledEvery = Int(clamping: header.sample_interval)
        if header.bypasses & UInt64(TM_BYPASS_EXECUTABLE) != 0 {
            warn("an allocator inside the executable of process \(pid) bypasses malloc: what it hands out is not seen")
        }
        if header.bypasses & UInt64(TM_BYPASS_NEW) != 0 {
            warn(
                "the allocator that process \(pid) runs on has an operator new of its own, which bypasses malloc: "
                    + "what C++ code allocates by new is not seen")
        }
        if header.libunwind_missing != 0 {
            warn("libunwind.so.8 was not found: some stacks of process \(pid) end early; install the package libunwind8")
        }
        if merge.ledger.untrackedRanges > 0 {
            warn(
                "process \(pid) tracks memory in more than \(Unsafe.Ledger.mostDomains) domains: "
                    + "\(merge.ledger.untrackedRanges) ranges of further ones are not in the figures")
        }
        if merge.ledger.rows.repeatedCount >= Unsafe.StackRows.mostRepeated {
            warn("process \(pid) has so many stacks on so many threads that some of their memory is shown under \"other threads\"")
        }
        if header.state == TM_STATE_ABANDONED.rawValue {
            warn("process \(pid) went on without being traced, because its collector had ended")
        }
        process.warnings = warnings
        return process
    }

    private func arguments(_ text: [UInt8]) -> [String] {
        var parts = text.split(separator: 0, omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }
        return parts.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Modules seen so far.
    var moduleCount: Int { region.imagesUsed }

    func module(_ image: tm_image) -> Module {
        let length = min(Int(image.build_id_length), Int(TM_BUILD_ID_MAX))
        let buildID = withUnsafeBytes(of: image.build_id) { [UInt8]($0.prefix(length)) }
        return Module(
            path: String(decoding: region.text(image.path), as: UTF8.self), buildID: buildID, start: image.start, end: image.end,
            bias: image.bias)
    }

    // MARK: Time

    private static let largestStacks = 5

    private func addTimes(to snapshot: inout Snapshot, _ stackOfRow: [Int32], at time: UInt64) {
        snapshot.timeline = timeline.points.map { point in
            var largest: [(stack: Int32, bytes: Int)] = []
            for (row, bytes) in point.largest where row < stackOfRow.count {
                if let same = largest.firstIndex(where: { $0.stack == stackOfRow[row] }) {
                    largest[same].bytes += bytes
                } else {
                    largest.append((stackOfRow[row], bytes))
                }
            }
            largest.sort { ($1.bytes, $0.stack) < ($0.bytes, $1.stack) }
            largest = Array(largest.prefix(Self.largestStacks))
            let seconds = seconds(clock: point.clock, otherwise: point.seconds)
            return TimelinePoint(time: seconds, live: point.live, residentBytes: point.residentBytes, largest: largest)
        }
        // The line ends where the recording does.
        let last = max(scale.seconds(monotonic: endMonotonic ?? time), snapshot.timeline.last?.time ?? 0)
        let resident = endMonotonic == nil ? files.residentBytes() ?? 0 : snapshot.timeline.last?.residentBytes ?? 0
        snapshot.timeline.append(TimelinePoint(time: last, live: snapshot.process.current, residentBytes: resident))
        snapshot.marks = marks.map { Mark(name: $0.name, start: seconds(clock: $0.clock, otherwise: $0.seconds)) }
    }

    private func addGenerations(to snapshot: inout Snapshot, _ stackOfRow: [Int32]) {
        guard marks.count > 1 else {
            for index in snapshot.costs.indices where snapshot.costs[index].current != .zero {
                let cost = snapshot.costs[index]
                snapshot.liveByGeneration.append(
                    GenerationCost(stack: cost.stack, domain: cost.domain, thread: cost.thread, generation: 0, live: cost.current))
            }
            return
        }
        // By row and generation first: blocks are many.
        var sums: [UInt64: Tally] = [:]
        func add(_ block: Unsafe.Block, count: Int) {
            sums[UInt64(block.row) << 16 | UInt64(generation(of: block)), default: .zero] += Tally(
                bytes: block.size &* count, count: count)
        }
        merge.ledger.live.visit { add($0, count: merge.ledger.count(of: $0)) }
        for domain in merge.ledger.domains { domain.live.visit { add($0, count: 1) } }
        var costs: [GenerationCost] = sums.map { key, live in
            let row = Int(key >> 16)
            let values = merge.ledger.rows.rows[row]
            return GenerationCost(
                stack: row < stackOfRow.count ? stackOfRow[row] : 0, domain: merge.ledger.domain(of: values), thread: Int32(values.thread),
                generation: Int32(key & 0xffff), live: live)
        }
        costs.sort { ($0.stack, $0.domain, $0.thread, $0.generation) < ($1.stack, $1.domain, $1.thread, $1.generation) }
        // Rows whose stacks became one by the frame limit.
        for cost in costs {
            if let last = snapshot.liveByGeneration.last, last.isSameGroup(as: cost) {
                snapshot.liveByGeneration[snapshot.liveByGeneration.count - 1].live += cost.live
            } else {
                snapshot.liveByGeneration.append(cost)
            }
        }
    }
}
