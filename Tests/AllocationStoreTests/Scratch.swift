// Scratch.swift: a folder for one test, SQL by hand, and made-up snapshots.
import AllocationProfile
import CSQLite
import Glibc

/// A folder that goes away with the test.
final class Scratch {
    let path: String

    init() {
        var template = Array("/tmp/store-tests-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        for name in names where unlink("\(path)/\(name)") != 0 { rmdir("\(path)/\(name)") }
        rmdir(path)
    }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

func bytes(of path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var status = stat()
    fstat(fileno(file), &status)
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes.prefix(count))
}

func write(_ bytes: some Collection<UInt8>, to path: String) {
    let file = fopen(path, "w")!
    fwrite(Array(bytes), 1, bytes.count, file)
    fclose(file)
}

/// Runs SQL as somebody with `sqlite3` would; returns the rows, columns joined with `|`, or the error.
@discardableResult
func sql(_ path: String, _ text: String) -> [String] {
    var database: OpaquePointer?
    guard sqlite3_open(path, &database) == SQLITE_OK else { return ["cannot open"] }
    defer { sqlite3_close(database) }
    final class Rows { var lines: [String] = [] }
    let rows = Rows()
    let code = sqlite3_exec(
        database, "PRAGMA writable_schema=ON; \(text)",
        { context, count, values, _ in
            let columns = (0..<Int(count)).map { values?[$0].map { String(cString: $0) } ?? "NULL" }
            Unmanaged<Rows>.fromOpaque(context!).takeUnretainedValue().lines.append(columns.joined(separator: "|"))
            return 0
        }, Unmanaged.passUnretained(rows).toOpaque(), nil)
    return code == SQLITE_OK ? rows.lines : ["error: \(String(cString: sqlite3_errmsg(database)))"]
}

/// Numbers that repeat with the seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

extension Snapshot {
    /// A snapshot in which every property has a value of its own.
    static func random(seed: UInt64, size: Int) -> Snapshot {
        var random = SeededGenerator(seed: seed)
        func amount() -> Int { Int.random(in: 0...(Bool.random(using: &random) ? 100 : .max), using: &random) }
        func tally() -> Tally { Tally(bytes: amount(), count: amount()) }
        func name() -> String {
            ["", "main", "é\n<b>", "a\u{0}b", "std::vector<int>", "/usr/lib/x y.so", "f\(amount())"].randomElement(using: &random)!
        }
        func maybe<Value>(_ value: @autoclosure () -> Value) -> Value? { Bool.random(using: &random) ? value() : nil }

        var summary = ProcessSummary()
        summary.pid = Int32.random(in: 1...(.max), using: &random)
        summary.parent = maybe(7)
        summary.executable = name()
        summary.command = [name(), "", name()]
        summary.exit = [.code(3), .signal(11), .unknown].randomElement(using: &random)!
        (summary.started, summary.duration, summary.peakTime) = (1.7e9 + 0.25, 1.0 / 3, 0)
        for field in [
            \ProcessSummary.threads, \.allocations, \.frees, \.bytesAllocated, \.bytesFreed, \.temporaryAllocations, \.temporaryBytes,
            \.unknownFrees, \.reentrantEvents, \.lostEvents, \.lostStacks, \.truncatedStacks, \.incompleteStacks, \.walks,
            \.walkDifferences, \.walkFallbacks, \.peakRSS, \.collectorEvents, \.collectorMemory, \.frameLimit,
        ] { summary[keyPath: field] = amount() }
        (summary.current, summary.peak) = (tally(), tally())
        summary.warnings = [name()]
        for domain in [1, 7, Int(UInt32.max)] where Bool.random(using: &random) {
            summary.domains.append(
                DomainSummary(
                    domain: domain, allocations: amount(), frees: amount(), bytesAllocated: amount(), bytesFreed: amount(),
                    current: tally(), peak: tally()))
        }

        var snapshot = Snapshot(process: summary)
        for _ in 0..<size / 10 {
            let id = (0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            snapshot.modules.append(Module(path: name(), buildID: id, start: random.next(), end: random.next(), bias: random.next()))
        }
        for _ in 0..<size {
            var location = Location(
                address: random.next(), module: Int32.random(in: -1..<Int32(snapshot.modules.count), using: &random),
                isExact: .random(using: &random), isAsync: .random(using: &random))
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                var frame = Frame(
                    function: maybe(name()), file: maybe(name()), line: maybe(amount()), module: maybe(name()), address: maybe(.max),
                    isInlined: .random(using: &random), isAsync: .random(using: &random))
                frame.isSystem = .random(using: &random)
                location.frames.append(frame)
            }
            snapshot.locations.append(location)
        }
        for index in 1..<size * 2 {
            let location = Int32.random(in: StackNode.lost..<Int32(size), using: &random)
            snapshot.nodes.append(StackNode(parent: Int32.random(in: 0..<Int32(index), using: &random), location: location))
        }
        snapshot.threads.append(TracedThread(id: .max, name: name()))
        snapshot.threads.append(TracedThread(id: 1, name: ""))
        snapshot.marks = [Mark(name: "", start: 0), Mark(name: name(), start: 0.5)]
        let places = (0..<Int32(size * 2)).flatMap { stack in
            [0, 5, Int(UInt32.max)].flatMap { domain in (0..<Int32(3)).map { (stack, domain, $0) } }
        }
        for (stack, domain, thread) in places where Int.random(in: 0..<8, using: &random) == 0 {
            var cost = StackCost(stack: stack)
            (cost.domain, cost.thread) = (domain, thread)
            (cost.current, cost.peak, cost.total, cost.temporary, cost.growth) = (tally(), tally(), tally(), tally(), tally())
            if Bool.random(using: &random) {
                cost.sizes = snapshot.histograms.number(
                    of: (0..<StackCost.sizeBuckets).map { _ in random.next() >> UInt64.random(in: 0...63, using: &random) })
            }
            if Bool.random(using: &random) { cost.lifetimes = snapshot.histograms.number(of: Array(0..<UInt64(StackCost.lifetimeBuckets))) }
            snapshot.costs.append(cost)
            for generation in 0..<Int32(2) where Bool.random(using: &random) {
                snapshot.liveByGeneration.append(
                    GenerationCost(stack: stack, domain: domain, thread: thread, generation: generation, live: tally()))
            }
            snapshot.types = ["", "App.Node", "App.Leaf"]
            for type in Int32(0)..<3 where Bool.random(using: &random) {
                snapshot.objects.append(ObjectCost(stack: stack, type: type, live: tally()))
            }
        }
        for time in 0..<5 {
            let largest = (0..<time).map { _ in (stack: Int32.random(in: 0..<Int32(size), using: &random), bytes: amount()) }
            snapshot.timeline.append(TimelinePoint(time: Double(time) / 7, live: tally(), residentBytes: amount(), largest: largest))
        }
        return snapshot
    }

    /// Numbers of types are a file's own affair.
    private var namedObjects: [String] { objects.map { "\($0.stack) \(types[Int($0.type)]) \($0.live)" } }

    /// Numbers of histograms are, too.
    private var costsWithHistograms: [[AnyHashable]] {
        costs.map { cost in
            var bare = cost
            (bare.sizes, bare.lifetimes) = (Histograms.unknown, Histograms.unknown)
            return [bare, histograms[cost.sizes], histograms[cost.lifetimes]]
        }
    }

    /// Names of the tables that differ.
    func differences(to other: Snapshot) -> [String] {
        [
            ("process", process == other.process), ("modules", modules == other.modules), ("locations", locations == other.locations),
            ("nodes", nodes == other.nodes), ("threads", threads == other.threads),
            ("costs", costsWithHistograms == other.costsWithHistograms),
            ("timeline", timeline == other.timeline),
            ("marks", marks == other.marks), ("liveByGeneration", liveByGeneration == other.liveByGeneration),
            ("objects", namedObjects == other.namedObjects),
        ].filter { !$0.1 }.map(\.0)
    }
}
