// WatchAnswer.swift: what a collector tells who watches a process: the stacks that are new since the last time, and all figures.
package import AllocationProfile

/// How much of a process a watcher knows already. Stacks, code addresses and nodes only ever come to be: what is known stays.
struct WatchCursor: Hashable, Sendable {
    /// Changes when everything begins anew: after exec, and after the program cleared its traces.
    var identity: UInt64 = 0
    var nodes = 0
    var locations = 0
    var rows = 0

    init() {}

    /// From the text of a request; nil when it makes no sense.
    init?(text: String) {
        let words = text.split(separator: " ").map { UInt64($0) }
        guard words.count == 4, let identity = words[0], let nodes = words[1].flatMap({ Int(exactly: $0) }),
            let locations = words[2].flatMap({ Int(exactly: $0) }), let rows = words[3].flatMap({ Int(exactly: $0) })
        else { return nil }
        (self.identity, self.nodes, self.locations, self.rows) = (identity, nodes, locations, rows)
    }

    var text: String { "\(identity) \(nodes) \(locations) \(rows)" }
}

/// One answer. It is written as columns of numbers, by and for processes of one machine and version.
package struct WatchAnswer: Sendable {
    /// What the watcher knew; less than it asked with when everything began anew.
    var begin = WatchCursor()
    package var process = ProcessSummary()
    package var residentBytes = 0
    package var marks: [String] = []
    var modules: [Module] = []
    var newNodes: [StackNode] = []
    var newLocations: [Location] = []
    /// The node of each new row. Two rows may have one node.
    var newRows: [Int32] = []
    /// `figureCount` for each row, known ones included.
    var figures: [Int] = []

    static let figureCount = 8
    private static let version: UInt64 = 1

    // MARK: - Bytes

    var bytes: [UInt8] {
        var writer = Unsafe.ColumnWriter()
        writer.column([Self.version, begin.identity])
        writer.column([begin.nodes, begin.locations, begin.rows, residentBytes] + processFigures)
        writer.column([process.duration.bitPattern, process.peakTime.bitPattern, process.started.bitPattern])
        for text in [process.executable] + process.command { writer.column(Array(text.utf8)) }
        writer.column([marks.count])
        for mark in marks { writer.column(Array(mark.utf8)) }
        writer.column([modules.count])
        for module in modules {
            writer.column(Array(module.path.utf8))
            writer.column(module.buildID)
            writer.column([module.start, module.end, module.bias])
        }
        writer.column(newNodes.map(\.parent))
        writer.column(newNodes.map(\.location))
        writer.column(newLocations.map(\.address))
        writer.column(newLocations.map { ($0.module << 2) | ($0.isExact ? 1 : 0) | ($0.isAsync ? 2 : 0) })
        writer.column(newRows)
        writer.column(figures)
        return writer.bytes
    }

    /// Nil when the bytes are no answer.
    init?(bytes: [UInt8]) {
        var reader = Unsafe.ColumnReader(bytes)
        guard let head: [UInt64] = reader.column(), head.count == 2, head[0] == Self.version, let numbers: [Int] = reader.column(),
            numbers.count == 4 + Self.processFigureCount, let times: [UInt64] = reader.column(), times.count == 3
        else { return nil }
        (begin.identity, begin.nodes, begin.locations, begin.rows) = (head[1], numbers[0], numbers[1], numbers[2])
        residentBytes = numbers[3]
        process.duration = Double(bitPattern: times[0])
        process.peakTime = Double(bitPattern: times[1])
        process.started = Double(bitPattern: times[2])
        guard begin.nodes >= 0, begin.locations >= 0, begin.rows >= 0, setProcess(numbers.dropFirst(4).map(\.self)),
            let executable = reader.text()
        else { return nil }
        process.executable = executable
        for index in process.command.indices {
            guard let word = reader.text() else { return nil }
            process.command[index] = word
        }
        guard let markCount = reader.count() else { return nil }
        for _ in 0..<markCount {
            guard let mark = reader.text() else { return nil }
            marks.append(mark)
        }
        guard let moduleCount = reader.count() else { return nil }
        for _ in 0..<moduleCount {
            guard let path = reader.text(), let buildID: [UInt8] = reader.column(), let range: [UInt64] = reader.column(), range.count == 3
            else { return nil }
            modules.append(Module(path: path, buildID: buildID, start: range[0], end: range[1], bias: range[2]))
        }
        guard let parents: [Int32] = reader.column(), let places: [Int32] = reader.column(), parents.count == places.count,
            let addresses: [UInt64] = reader.column(), let flags: [Int32] = reader.column(), addresses.count == flags.count,
            let rows: [Int32] = reader.column(), let figures: [Int] = reader.column(),
            figures.count == (begin.rows + rows.count) * Self.figureCount
        else { return nil }
        newNodes = zip(parents, places).map { StackNode(parent: $0, location: $1) }
        newLocations = zip(addresses, flags).map {
            Location(address: $0, module: $1 >> 2, isExact: $1 & 1 != 0, isAsync: $1 & 2 != 0)
        }
        newRows = rows
        self.figures = figures
    }

    init() {}

    private static let processFigureCount = 17

    private var processFigures: [Int] {
        [
            Int(process.pid), process.threads, process.allocations, process.frees, process.bytesAllocated, process.bytesFreed,
            process.current.bytes, process.current.count, process.peak.bytes, process.peak.count, process.temporaryAllocations,
            process.temporaryBytes, process.unknownFrees, process.lostEvents, process.peakRSS, process.frameLimit, process.command.count,
        ]
    }

    private mutating func setProcess(_ figures: [Int]) -> Bool {
        process.pid = Int32(truncatingIfNeeded: figures[0])
        (process.threads, process.allocations, process.frees) = (figures[1], figures[2], figures[3])
        (process.bytesAllocated, process.bytesFreed) = (figures[4], figures[5])
        process.current = Tally(bytes: figures[6], count: figures[7])
        process.peak = Tally(bytes: figures[8], count: figures[9])
        (process.temporaryAllocations, process.temporaryBytes) = (figures[10], figures[11])
        (process.unknownFrees, process.lostEvents, process.peakRSS, process.frameLimit) = (
            figures[12], figures[13], figures[14], figures[15]
        )
        guard (0..<1_000_000).contains(figures[16]) else { return false }
        process.command = [String](repeating: "", count: figures[16])
        return true
    }
}
