// PageData.swift: everything that a page shows, as columns over one table of strings.
import AllocationProfile

/// The data of a page. `model.js` reads it; both sides change together.
///
/// Tables are objects of columns, as objects for each row would be several times as large. Strings stand once in `strings`,
/// whose element 0 is empty and means "unknown"; everything else refers to them by number.
struct PageData {
    private var strings: [String: Int] = ["": 0]
    private var texts: [String] = [""]
    private let snapshots: [Snapshot]
    /// The first so many snapshots are those that are compared with.
    private let oldCount: Int
    private let question: PageQuestion

    /// Longer names are elided in their middle: a page of whole C++ names would be mostly names.
    private static let longestName = 1000

    init(old: [Snapshot], new: [Snapshot], _ question: PageQuestion) {
        snapshots = old + new
        oldCount = old.count
        self.question = question
    }

    /// - Parameter sourceLine: finds the text of a source line.
    mutating func json(title: String, sourceLine: (_ file: String, _ line: Int) -> String?) -> String {
        let tree = PageTree(snapshots, attribution: question.attribution, nodeLimit: question.callLimit)
        var fields: [(String, JSONValue)] = [
            ("version", .integer(1)), ("title", .string(title)), ("isComparison", .bool(oldCount > 0)),
            ("metric", .string(question.metric.rawValue)), ("by", .string(question.grouping.rawValue)),
            ("order", .string(question.order.rawValue)),
            (
                "omitted",
                tree.omission.map { .object([("calls", .integer($0.calls)), ("share", .number($0.largestShare))]) } ?? .null
            ),
            ("frames", frames(tree.frames, sourceLine)),
            ("nodes", .object([("parent", PageData.column(tree.parents)), ("frame", PageData.column(tree.calls))])),
            ("costs", PageData.costs(tree.rows)),
            ("alive", PageData.alive(tree.aliveRows)),
            ("processes", processes()), ("threads", threads(tree)), ("types", types()),
            ("timelines", .array(snapshots.indices.map { timeline(of: snapshots[$0], tree.sites[$0]) })),
            ("generations", generations()),
            ("sizes", .array(snapshots.map { PageData.histogram($0, \.sizes, StackCost.sizeBuckets) })),
            ("lifetimes", .array(snapshots.map { PageData.histogram($0, \.lifetimes, StackCost.lifetimeBuckets) })),
        ]
        fields.append(("strings", .array(texts.map(JSONValue.string))))
        return JSONValue.object(fields).text(outerLevels: 1)
    }

    // MARK: - Strings and columns

    private mutating func string(_ text: String?) -> JSONValue {
        guard let text, !text.isEmpty else { return .integer(0) }
        let name = PrintableText.name(text, limit: PageData.longestName)
        if let number = strings[name] { return .integer(number) }
        strings[name] = texts.count
        texts.append(name)
        return .integer(texts.count - 1)
    }

    private static func column<Numbers: Sequence>(_ numbers: Numbers) -> JSONValue where Numbers.Element: BinaryInteger {
        .array(numbers.map { .integer(Int(truncatingIfNeeded: $0)) })
    }

    // MARK: - Calls and costs

    private mutating func frames(_ frames: [Frame], _ sourceLine: (String, Int) -> String?) -> JSONValue {
        func flags(_ frame: Frame) -> Int { (frame.isSystem ? 1 : 0) + (frame.isAsync ? 2 : 0) }
        return .object([
            ("function", .array(frames.map { string($0.function) })), ("file", .array(frames.map { string($0.file) })),
            ("line", PageData.column(frames.map { $0.line ?? 0 })), ("module", .array(frames.map { string($0.module) })),
            // As text: not every address is a number that a browser can hold.
            ("address", .array(frames.map { string($0.address.map { "0x" + String($0, radix: 16) }) })),
            ("flags", PageData.column(frames.map(flags))),
            (
                "source",
                .array(
                    frames.map { frame in
                        guard let file = frame.file, let line = frame.line else { return .integer(0) }
                        return string(sourceLine(file, line))
                    })
            ),
        ])
    }

    private static func costs(_ rows: [PageTree.Row]) -> JSONValue {
        let figures = Metric.allCases.enumerated().flatMap { index, metric in
            [
                (metric.rawValue + "Bytes", column(rows.map { $0.tallies[index].bytes })),
                (metric.rawValue + "Count", column(rows.map { $0.tallies[index].count })),
            ]
        }
        return .object(places(rows) + figures)
    }

    private static func alive(_ rows: [PageTree.Row]) -> JSONValue {
        .object(
            places(rows) + [
                ("generation", column(rows.map(\.place.generation))), ("currentBytes", column(rows.map { $0.tallies[0].bytes })),
                ("currentCount", column(rows.map { $0.tallies[0].count })),
            ])
    }

    private static func places(_ rows: [PageTree.Row]) -> [(String, JSONValue)] {
        [
            ("node", column(rows.map(\.place.node))), ("site", column(rows.map(\.place.site))),
            ("process", column(rows.map(\.place.snapshot))), ("thread", column(rows.map(\.place.thread))),
        ]
    }

    // MARK: - Processes

    /// The memory of each type of objects, and of what is none by its function; of comparisons both sides.
    private mutating func types() -> JSONValue {
        guard snapshots.contains(where: { !$0.objects.isEmpty }) else { return .null }
        let (old, new) = (Array(snapshots.prefix(oldCount)), Array(snapshots.dropFirst(oldCount)))
        var numbers: [String: Int] = [:]
        var names: [String] = []
        /// By side and metric, as `costs` names them.
        var figures: [[Tally]] = []
        for side in oldCount > 0 ? [new, old] : [new] {
            for metric in Metric.allCases {
                var tallies = [Tally](repeating: .zero, count: names.count)
                // Types cannot be refused: they are not cumulative.
                for row in (try? side.statistics(groupedBy: .type, measuring: metric, attribution: question.attribution)) ?? [] {
                    let number = numbers[row.key] ?? names.count
                    if number == names.count {
                        numbers[row.key] = number
                        names.append(row.key)
                    }
                    while tallies.count < names.count { tallies.append(.zero) }
                    tallies[number] += row.tally
                }
                figures.append(tallies)
            }
        }
        func side(_ first: Int) -> JSONValue {
            .object(
                Metric.allCases.enumerated().flatMap { index, metric in
                    let tallies = figures[first + index] + Array(repeating: .zero, count: names.count - figures[first + index].count)
                    return [
                        (metric.rawValue + "Bytes", PageData.column(tallies.map(\.bytes))),
                        (metric.rawValue + "Count", PageData.column(tallies.map(\.count))),
                    ]
                })
        }
        let metrics = Metric.allCases.count
        return .object([
            ("name", .array(names.map { string($0) })), ("now", side(0)), ("old", oldCount > 0 ? side(metrics) : .null),
        ])
    }

    /// Threads with costs have a number of their own in `costs`; others are not asked for.
    private mutating func threads(_ tree: PageTree) -> JSONValue {
        let used = Set(tree.rows.map(\.place.thread))
        return .object([
            ("process", PageData.column(tree.threads.map(\.snapshot))),
            ("name", .array(tree.threads.map { string($0.thread.description) })),
            ("isUsed", PageData.column(tree.threads.indices.map { used.contains(Int32($0)) ? 1 : 0 })),
        ])
    }

    private mutating func processes() -> JSONValue {
        let rows = snapshots.enumerated().map { index, snapshot in
            let process = snapshot.process
            let run = (index < oldCount ? snapshots[..<oldCount] : snapshots[oldCount...]).map(\.process)
            let isReplaced = ProcessFigures.isReplaced(index < oldCount ? index : index - oldCount, among: run)
            return JSONValue.object([
                ("isOld", .bool(index < oldCount)), ("pid", .integer(Int(process.pid))),
                ("parent", process.parent.map { .integer(Int($0)) } ?? .null),
                ("command", string(PrintableText.command(process.command))), ("executable", string(process.executable)),
                ("end", string(ProcessFigures.end(of: process, isReplaced))),
                ("hasEnded", .bool(isReplaced || process.exit != .unknown)),
                ("started", .number(process.started)), ("duration", .number(process.duration)), ("threads", .integer(process.threads)),
                ("allocations", .integer(process.allocations)), ("bytesAllocated", .integer(process.bytesAllocated)),
                ("frees", .integer(process.frees)), ("bytesFreed", .integer(process.bytesFreed)),
                ("current", JSONValue(process.current)), ("peak", JSONValue(process.peak)), ("peakTime", .number(process.peakTime)),
                ("temporaryAllocations", .integer(process.temporaryAllocations)), ("peakRSS", .integer(process.peakRSS)),
                ("frameLimit", .integer(process.frameLimit)), ("truncatedStacks", .integer(process.truncatedStacks)),
                ("incompleteStacks", .integer(process.incompleteStacks)), ("lostStacks", .integer(process.lostStacks)),
                ("lostEvents", .integer(process.lostEvents)), ("unknownFrees", .integer(process.unknownFrees)),
                ("reentrantEvents", .integer(process.reentrantEvents)), ("warnings", .array(process.warnings.map { string($0) })),
            ])
        }
        return .array(rows)
    }

    /// The largest stacks of a moment are given as pairs of call site and bytes.
    private func timeline(of snapshot: Snapshot, _ sites: [Int32]) -> JSONValue {
        let moments = snapshot.timeline
        let largest = moments.map { moment in
            PageData.column(moment.largest.flatMap { [snapshot.hasNode($0.stack) ? Int(sites[Int($0.stack)]) : -1, $0.bytes] })
        }
        return .object([
            ("time", .array(moments.map { .number($0.time) })), ("bytes", PageData.column(moments.map(\.live.bytes))),
            ("count", PageData.column(moments.map(\.live.count))), ("resident", PageData.column(moments.map(\.residentBytes))),
            ("largest", .array(largest)),
        ])
    }

    private mutating func generations() -> JSONValue {
        var columns: (process: [Int], generation: [Int], name: [JSONValue], start: [JSONValue]) = ([], [], [], [])
        for (index, snapshot) in snapshots.enumerated() {
            for (number, generation) in snapshot.marks.enumerated() {
                columns.process.append(index)
                columns.generation.append(number)
                columns.name.append(string(generation.name))
                columns.start.append(.number(generation.start))
            }
        }
        return .object([
            ("process", PageData.column(columns.process)), ("generation", PageData.column(columns.generation)),
            ("name", .array(columns.name)), ("start", .array(columns.start)),
        ])
    }

    private static func histogram(_ snapshot: Snapshot, _ number: KeyPath<StackCost, Int32>, _ buckets: Int) -> JSONValue {
        var sum = [UInt64](repeating: 0, count: buckets)
        for cost in snapshot.costs {
            for (bucket, count) in zip(sum.indices, snapshot.histograms[cost[keyPath: number]]) { sum[bucket] &+= count }
        }
        return column(sum)
    }
}
