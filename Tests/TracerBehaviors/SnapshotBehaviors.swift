// SnapshotBehaviors.swift: pictures of the traced memory, in files, generations and figures.
import Glibc
import TraceMalloc

private func temporaryFile() -> String { "/tmp/tracer-behaviors-\(getpid()).tmalloc" }

let snapshotBehaviors = [
    Behavior("a snapshot has each line's live bytes and blocks, largest first") {
        try AllocationTracer.start()
        let small = (0..<3).map { _ in allocate(1000) }
        let large = allocateElsewhere(500_000)
        let snapshot = try AllocationTracer.takeSnapshot()
        try expectEqual(try snapshot.tally(atLine: small[0].line), Tally(bytes: 3000, count: 3))
        let rows = try snapshot.statistics(groupedBy: .line)
        try expectEqual(rows.first?.site?.place, "Allocating.swift:\(large.line)")
        try expect(rows[0].description.hasSuffix("Allocating.swift:\(large.line): size=488 KiB, count=1, average=488 KiB"), "\(rows[0])")
        for block in small { block.release() }
        large.release()
        try expectEqual(try snapshot.tally(atLine: small[0].line), Tally(bytes: 3000, count: 3))
        try expectEqual(try AllocationTracer.takeSnapshot().tally(atLine: small[0].line), .zero)
        try expectEqual(try AllocationTracer.takeSnapshot().tally(atLine: small[0].line, measuring: .total).count, 3)
    },
    Behavior("two snapshots in a row show no growth") {
        // Dispatch lets a thread begin when it likes: that is a growth, but not one of taking snapshots, and not one each time.
        for attempt in 1...5 {
            try AllocationTracer.start()
            let first = try AllocationTracer.takeSnapshot()
            let second = try AllocationTracer.takeSnapshot()
            let third = try AllocationTracer.takeSnapshot()
            if attempt < 5, third.total(of: .total) != first.total(of: .total) {
                AllocationTracer.stop()
                continue
            }
            try expectEqual(third.total(of: .current), first.total(of: .current))
            try expectEqual(third.total(of: .total), first.total(of: .total))
            let growth = try third.differences(from: second, groupedBy: .traceback).filter { $0.difference != .zero }
            return try expect(growth.isEmpty, "\(growth)")
        }
    },
    Behavior("a comparison shows what grew, what is gone and what stayed") {
        try AllocationTracer.start()
        let gone = allocateElsewhere(200)
        let kept = reallocate(allocate(1), 30)
        let old = try AllocationTracer.takeSnapshot()
        gone.release()
        let new = allocate(5000)
        let rows = try AllocationTracer.takeSnapshot().differences(from: old, groupedBy: .line)
        func row(_ line: Int) -> String? {
            rows.first { $0.site?.place == "Allocating.swift:\(line)" }.map { String($0.description.drop { $0 != " " }) }
        }
        try expectEqual(row(new.line), " size=5000 B (+5000 B), count=1 (+1), average=5000 B")
        try expectEqual(row(gone.line), " size=0 B (-200 B), count=0 (-1)")
        try expectEqual(row(kept.line), " size=30 B (+0 B), count=1 (+0), average=30 B")
        kept.release()
        new.release()
    },
    Behavior("a snapshot's figures fit together: totals, peak, traces and statistics") {
        try AllocationTracer.start()
        let blocks = (0..<100).map { allocate($0 * 7) }
        for block in blocks.prefix(40) { block.release() }
        let snapshot = try AllocationTracer.takeSnapshot()
        let process = snapshot.process
        try expectEqual(process.allocations - process.frees, process.current.count)
        try expectEqual(process.bytesAllocated - process.bytesFreed, process.current.bytes)
        try expect(process.peak.bytes >= process.current.bytes)
        try expectEqual(process.pid, getpid())
        try expectEqual(process.lostEvents, 0)
        for grouping in [Grouping.line, .function, .file, .module, .traceback] {
            let sum = try snapshot.statistics(groupedBy: grouping).reduce(Tally.zero) { $0 + $1.tally }
            try expectEqual(sum, process.current)
        }
        try expectEqual(snapshot.traces.reduce(Tally.zero) { $0 + $1.tally }, process.current)
        try expectEqual(snapshot.total(of: .peak), process.peak)
        for block in blocks.dropFirst(40) { block.release() }
    },
    Behavior("a snapshot that is written and read back is the same") {
        try AllocationTracer.start(frames: 9)
        let block = allocate(4321)
        AllocationTracer.markGeneration("written")
        let snapshot = try AllocationTracer.takeSnapshot()
        let path = temporaryFile()
        defer { unlink(path) }
        try snapshot.write(to: path)
        // What is there already is replaced.
        try snapshot.write(to: path)
        let read = try Snapshot(contentsOf: path)
        try expectEqual(read.process, snapshot.process)
        try expectEqual(read.frameLimit, 9)
        try expectEqual(read.generations, snapshot.generations)
        for metric in Metric.allCases {
            let expected = try snapshot.statistics(groupedBy: .traceback, measuring: metric)
            try expectEqual(try read.statistics(groupedBy: .traceback, measuring: metric), expected)
        }
        try expectEqual(try Snapshot.processes(inFile: path).count, 1)
        block.release()
    },
    Behavior("files that are missing, foreign, empty or cannot be written are an error with a sentence") {
        let path = temporaryFile()
        defer { unlink(path) }
        func sentence(_ body: () throws -> Void) throws -> String {
            do {
                try body()
            } catch TracingError.file(let sentence) {
                return sentence
            }
            throw Unmet(reason: "no error", line: #line)
        }
        unlink(path)
        try expectEqual(try sentence { _ = try Snapshot(contentsOf: path) }, "\(path) does not exist")
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        try expectEqual(try sentence { _ = try Snapshot(contentsOf: path) }, "\(path) is empty; it holds no snapshot")
        let file = fopen(path, "w")
        fputs(String(repeating: "This is no database. ", count: 100), file)
        fclose(file)
        try expectEqual(try sentence { _ = try Snapshot(contentsOf: path) }, "\(path) is not a snapshot file of tracemalloc")
        let nowhere = "/nonexistent/directory/x.tmalloc"
        try expectEqual(
            try sentence { try Snapshot(traces: []).write(to: nowhere) }, "\(nowhere) cannot be written: its directory does not exist")
    },
    Behavior("filters keep and drop stacks and leave the snapshot alone") {
        try AllocationTracer.start()
        let block = allocate(100)
        let (node, _) = makeNode()
        let snapshot = try AllocationTracer.takeSnapshot()
        let total = snapshot.total(of: .current)
        let ours = snapshot.filtered(by: [.include(function: "*allocate(*")])
        try expectEqual(ours.total(of: .current), Tally(bytes: 100, count: 1))
        let others = snapshot.filtered(by: [.exclude(file: "*/Allocating.swift", line: block.line)])
        try expectEqual(others.total(of: .current) + ours.total(of: .current), total)
        try expectEqual(snapshot.filtered(by: []).total(of: .current), total)
        try expectEqual(snapshot.filtered(by: [.include(domain: 7)]).total(of: .current), .zero)
        try expectEqual(snapshot.total(of: .current), total)
        withExtendedLifetime(node) {}
        block.release()
    },
    Behavior("generations tell what is still alive of what was allocated since each mark, and ages how many marks it survived") {
        try AllocationTracer.start()
        let line = allocate(0).line
        AllocationTracer.clearTraces()
        let marks = try AllocationTracer.takeSnapshot().generations.count
        AllocationTracer.markGeneration("first")
        let first = allocate(1000)
        AllocationTracer.markGeneration("second")
        let second = allocate(200)
        allocate(999).release()
        AllocationTracer.markGeneration()
        let third = allocate(30)
        let snapshot = try AllocationTracer.takeSnapshot()
        let generations = snapshot.generations.dropFirst(marks)
        try expectEqual(generations.map(\.name), ["first", "second", ""])
        try expect(generations.map(\.live.bytes) == [1000, 200, 30], "\(generations)")
        try expect(zip(generations, generations.dropFirst()).allSatisfy { $0.start <= $1.start })
        try expectEqual(try snapshot.born(in: marks).tally(atLine: line), Tally(bytes: 1000, count: 1))
        try expectEqual(try snapshot.born(in: marks + 1..<marks + 3).tally(atLine: line), Tally(bytes: 230, count: 2))
        try expectEqual(snapshot.born(in: 9999).total(of: .current), .zero)
        try expectEqual(snapshot.ages.new.bytes, 30)
        try expectEqual(snapshot.ages.survivedOne.bytes, 200)
        try expect(snapshot.ages.survivedMore.bytes >= 1000)
        try expectEqual(snapshot.ages.new + snapshot.ages.survivedOne + snapshot.ages.survivedMore, snapshot.total(of: .current))
        for block in [first, second, third] { block.release() }
    },
    Behavior("the blocks of the peak are known although they are gone") {
        try AllocationTracer.start()
        let large = allocate(3_000_000)
        large.release()
        let snapshot = try AllocationTracer.takeSnapshot()
        try expectEqual(try snapshot.tally(atLine: large.line, measuring: .peak), Tally(bytes: 3_000_000, count: 1))
        try expectEqual(try snapshot.tally(atLine: large.line, measuring: .temporary), Tally(bytes: 3_000_000, count: 1))
        try expectEqual(try snapshot.tally(atLine: large.line), .zero)
        try expect(snapshot.peak.bytes >= 3_000_000)
        try expectEqual(snapshot.peak, snapshot.process.peak)
    },
    Behavior("snapshots can be taken in async code, and are Sendable values") {
        try AllocationTracer.start()
        let block = allocate(2222)
        let tallies = try await withThrowingTaskGroup(of: Tally.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let snapshot = try AllocationTracer.takeSnapshot()
                    return try await Task { try snapshot.tally(atLine: block.line) }.value
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        try expectEqual(tallies, Array(repeating: Tally(bytes: 2222, count: 1), count: 4))
        block.release()
    },
    Behavior("memory is grouped by type: objects by theirs, other blocks by the function that allocated them") {
        try AllocationTracer.start()
        let block = allocate(5432)
        let nodes = (0..<10).map { _ in makeNode().node }
        let snapshot = try AllocationTracer.takeSnapshot()
        let rows = try snapshot.statistics(groupedBy: .type)
        let node = try unwrap(rows.first { $0.key == "TracerBehaviors.Node" })
        try expectEqual(node.count, 10)
        try expectEqual(node.site?.type, "TracerBehaviors.Node")
        try expect(rows.contains { $0.key.hasPrefix("malloc in ") && $0.key.contains("allocate(") && $0.bytes == 5432 }, "\(rows)")
        try expectEqual(rows.reduce(Tally.zero) { $0 + $1.tally }, snapshot.process.current)
        withExtendedLifetime(nodes) {}
        block.release()
    },
    Behavior("cumulative statistics charge every caller, and a function that calls itself once") {
        try AllocationTracer.start()
        let block = allocateDeeply(20, 7777)
        let snapshot = try AllocationTracer.takeSnapshot()
        let rows = try snapshot.statistics(groupedBy: .function, cumulative: true)
        func tally(_ name: String) -> Tally? { rows.first { $0.site?.function?.contains(name) == true }?.tally }
        try expectEqual(tally("allocateDeeply("), Tally(bytes: 7777, count: 1))
        try expectEqual(tally("allocate("), Tally(bytes: 7777, count: 1))
        block.release()
    },
]
