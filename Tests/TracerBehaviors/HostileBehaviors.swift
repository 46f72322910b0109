// HostileBehaviors.swift: damaged files, impossible questions and odd names are errors or answers, never a trap.
import Glibc
import TraceMalloc

private func contents(ofFile path: String) throws -> [UInt8] {
    let file = try unwrap(fopen(path, "r"))
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk.prefix(count)
    }
}

private func write(_ bytes: some Collection<UInt8>, to path: String) throws {
    let file = try unwrap(fopen(path, "w"))
    defer { fclose(file) }
    let bytes = Array(bytes)
    try expectEqual(fwrite(bytes, 1, bytes.count, file), bytes.count)
}

/// Everything that can be asked of a snapshot.
private func askEverything(of snapshot: Snapshot) {
    for metric in Metric.allCases {
        for grouping in Grouping.allCases { _ = try? snapshot.statistics(groupedBy: grouping, measuring: metric) }
        _ = try? snapshot.statistics(groupedBy: .line, measuring: metric, cumulative: true)
    }
    _ = try? snapshot.differences(from: snapshot, groupedBy: .traceback)
    _ = snapshot.filtered(by: [.include(function: "*a*", allFrames: true), .exclude(domain: 2)])
    _ = snapshot.traces.map { $0.callStack.formatted() }
    _ = (snapshot.generations, snapshot.ages, snapshot.born(in: 0..<2), snapshot.peak)
}

let hostileBehaviors = [
    Behavior("a file that is cut off or damaged anywhere is an error with a sentence, or a snapshot that answers") {
        let path = "/tmp/tracer-behaviors-\(getpid())-hostile.tmalloc"
        defer { unlink(path) }
        try AllocationTracer.start(frames: 16)
        let block = allocate(4040)
        try AllocationTracer.takeSnapshot().write(to: path)
        block.release()
        AllocationTracer.stop()
        let whole = try contents(ofFile: path)
        try expect(whole.count > 10_000, "\(whole.count) bytes")
        let seed = UInt64.random(in: 0 ... .max)
        var random = Shuffler(state: seed)
        var (answers, errors) = (0, 0)
        for round in 0..<150 {
            if round % 3 == 0 {
                try write(whole.prefix(Int.random(in: 0..<whole.count, using: &random)), to: path)
            } else {
                var damaged = whole
                for _ in 0..<(round % 7 + 1) {
                    damaged[Int.random(in: 0..<whole.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
                try write(damaged, to: path)
            }
            do throws(TracingError) {
                askEverything(of: try Snapshot(contentsOf: path))
                answers += 1
            } catch {
                guard case .file(let sentence) = error, sentence.contains(path) else {
                    throw Unmet(reason: "seed \(seed): \(error)", line: #line)
                }
                errors += 1
            }
        }
        try expect(answers > 0 && errors > 0, "seed \(seed): \(answers) answers, \(errors) errors")
    },
    Behavior("questions that cannot be answered are errors with a sentence, and rows that do not exist are none") {
        try AllocationTracer.start()
        let block = allocate(100)
        let snapshot = try AllocationTracer.takeSnapshot()
        func refused(_ expected: ProfileError, _ body: () throws(ProfileError) -> Void) throws {
            do throws(ProfileError) { try body() } catch { return try expectEqual(error, expected) }
            throw Unmet(reason: "no error", line: #line)
        }
        try refused(.cumulativeTraceback) { () throws(ProfileError) in
            _ = try snapshot.statistics(groupedBy: .traceback, cumulative: true)
        }
        try refused(.cumulativeType) { () throws(ProfileError) in _ = try snapshot.statistics(groupedBy: .type, cumulative: true) }
        try refused(.cumulativeType) { () throws(ProfileError) in
            _ = try snapshot.differences(from: snapshot, groupedBy: .type, cumulative: true)
        }
        try expect("\(ProfileError.cumulativeTraceback)".contains("group by line"))
        for limit in [0, -1, .min] { try expectEqual(try snapshot.statistics(groupedBy: .line, limit: limit).count, 0) }
        try expectEqual(try snapshot.statistics(groupedBy: .line, limit: .max), try snapshot.statistics(groupedBy: .line))
        try expectEqual(snapshot.born(in: -5).total(of: .current), .zero)
        try expectEqual(snapshot.born(in: .max).total(of: .current), .zero)
        try expectEqual(snapshot.filtered(by: [.include(line: .min), .include(domain: .max)]).total(of: .current), .zero)
        block.release()
    },
    Behavior("a generation may have any name: it is kept, cut where it is very long, and never harms the next one") {
        try AllocationTracer.start()
        let names = ["", "été 🌧", "two\nlines \u{1b}[31m", String(repeating: "x", count: 100_000), "last"]
        for name in names { AllocationTracer.markGeneration(name) }
        let found = try AllocationTracer.takeSnapshot().generations.suffix(names.count).map(\.name)
        try expectEqual(found.count, names.count)
        try expectEqual([found[0], found[1], found[2], found[4]], [names[0], names[1], names[2], names[4]])
        try expect(found[3].hasPrefix("xxx") && found[3].count <= 100_000, "\(found[3].count) characters")
    },
]

/// Numbers from a seed, so that a failure can be repeated.
private struct Shuffler: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
