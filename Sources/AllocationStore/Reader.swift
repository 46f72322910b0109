// Reader.swift: the tables of a snapshot file back into snapshots, believing nothing.
import AllocationProfile

/// Reads the tables in order. Rows must be numbered without gaps and point to rows that exist, so that no file, however it was
/// made, leads to an index out of range, an endless loop or more memory than a small multiple of its size.
struct Reader {
    private let database: Database
    /// Bytes of text and histograms that can still come.
    private var budget: Int
    private var texts: [String] = []
    private var snapshots: [Snapshot] = []
    private var nodeCounts: [Int] = []

    init(_ path: String, size: Int) throws(StoreError) {
        database = try Database(reading: path)
        budget = size
    }

    mutating func read() throws(StoreError) -> (snapshots: [Snapshot], complete: Bool) {
        try checkSchema()
        var complete: [Bool] = []
        try forEach(Schema.file) { row throws(StoreError) in complete.append(try row.flag(1)) }
        guard complete.count == 1 else { throw damaged("file should have one row and has \(complete.count)") }
        try readTexts()
        try readProcesses()
        let modules = try readModules()
        let locations = try readLocations(modules)
        try readFrames(locations)
        let nodes = try readNodes(locations)
        let threads = try readThreads()
        try readCosts(nodes, threads)
        try readGenerations(nodes, threads)
        try readObjects(nodes)
        try readTimeline(nodes)
        return (snapshots, complete[0])
    }

    /// The tables must be ours to the letter: a view or a computed column of the same name could do anything.
    private mutating func checkSchema() throws(StoreError) {
        let statement = try Statement(database, "SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        var found: [String: String] = [:]
        while try statement.next() {
            let name = try statement.text(0, &budget)
            if found.updateValue(try statement.text(1, &budget), forKey: name) != nil { throw damaged("table \(name) exists twice") }
        }
        for table in Schema.tables where found[table.name] != table.creation {
            throw damaged(found[table.name] == nil ? "table \(table.name) is missing" : "table \(table.name) has other columns")
        }
    }

    private func forEach(_ table: Schema.Table, _ body: (Statement) throws(StoreError) -> Void) throws(StoreError) {
        let row = try Statement(database, table.selection)
        var number = 0
        while try row.next() {
            guard try row.integer(0) == number else { throw damaged("\(table.name) has no row \(number)") }
            guard number < Int32.max else { throw damaged("\(table.name) has too many rows") }
            try body(row)
            number += 1
        }
    }

    private func damaged(_ detail: String) -> StoreError { .damaged(path: database.name, detail: detail) }

    // Texts and processes

    private mutating func readTexts() throws(StoreError) {
        var (texts, budget) = ([String](), budget)
        try forEach(Schema.text) { row throws(StoreError) in texts.append(try row.text(1, &budget)) }
        (self.texts, self.budget) = (texts, budget)
    }

    private func text(_ row: Statement, _ column: Int32) throws(StoreError) -> String {
        let number = try row.integer(column)
        guard texts.indices.contains(number) else { throw damaged("there is no text \(number)") }
        return texts[number]
    }

    private func optionalText(_ row: Statement, _ column: Int32) throws(StoreError) -> String? {
        row.isNull(column) ? nil : try text(row, column)
    }

    private mutating func readProcesses() throws(StoreError) {
        var (snapshots, nodeCounts) = ([Snapshot](), [Int]())
        try forEach(Schema.process) { row throws(StoreError) in
            var summary = ProcessSummary()
            summary.pid = try row.int32(1)
            summary.parent = row.isNull(2) ? nil : try row.int32(2)
            summary.executable = try text(row, 3)
            switch try row.integer(4) {
            case 0: summary.exit = .unknown
            case 1: summary.exit = .code(try row.int32(5))
            case 2: summary.exit = .signal(try row.int32(5))
            default: throw damaged("a process ended in no known way")
            }
            summary.started = try row.real(6)
            summary.duration = try row.real(7)
            summary.threads = try row.amount(8)
            summary.peakTime = try row.real(17)
            for (column, field) in ProcessColumns.integers { summary[keyPath: field] = try row.amount(column) }
            nodeCounts.append(try row.amount(33))
            snapshots.append(Snapshot(process: summary))
        }
        _ = try readGrouped(Schema.argument, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].process.command.append(try text(row, 2))
        }
        _ = try readGrouped(Schema.warning, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].process.warnings.append(try text(row, 2))
        }
        _ = try readGrouped(Schema.domain, snapshots.count) { row, process throws(StoreError) in
            let number = try row.domain(2)
            guard number > snapshots[process].process.domains.last?.domain ?? 0 else { throw damaged("domain is out of order") }
            snapshots[process].process.domains.append(
                DomainSummary(
                    domain: number, allocations: try row.amount(3), frees: try row.amount(4), bytesAllocated: try row.amount(5),
                    bytesFreed: try row.amount(6), current: try row.tally(7), peak: try row.tally(9)))
        }
        (self.snapshots, self.nodeCounts) = (snapshots, nodeCounts)
    }

    /// Reads a table whose column 1 is the process, ascending.
    private func readGrouped(
        _ table: Schema.Table, _ processCount: Int, _ body: (Statement, Int) throws(StoreError) -> Void
    ) throws(StoreError) -> Numbering {
        var numbering = Numbering(groups: processCount)
        try forEach(table) { row throws(StoreError) in
            let process = try row.integer(1)
            guard numbering.add(to: process) else { throw damaged("\(table.name) is out of order at process \(process)") }
            try body(row, process)
        }
        numbering.finish()
        return numbering
    }

    private mutating func readModules() throws(StoreError) -> Numbering {
        var (snapshots, budget) = (take(), budget)
        let numbering = try readGrouped(Schema.module, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].modules.append(
                Module(
                    path: try text(row, 2), buildID: try row.bytes(3, &budget), start: try row.bits(4), end: try row.bits(5),
                    bias: try row.bits(6)))
        }
        (self.snapshots, self.budget) = (snapshots, budget)
        return numbering
    }

    // The tables of snapshots are filled in a local variable: appending through `self` in a closure would copy them.
    private mutating func take() -> [Snapshot] {
        let taken = snapshots
        snapshots = []
        return taken
    }

    // Stacks

    private mutating func readLocations(_ modules: Numbering) throws(StoreError) -> Numbering {
        var snapshots = take()
        let numbering = try readGrouped(Schema.location, snapshots.count) { row, process throws(StoreError) in
            var module: Int32 = -1
            if !row.isNull(3) {
                guard let index = modules.index(of: try row.integer(3), in: process) else { throw damaged("a location has no module") }
                module = index
            }
            snapshots[process].locations.append(
                Location(address: try row.bits(2), module: module, isExact: try row.flag(4), isAsync: try row.flag(5)))
        }
        self.snapshots = snapshots
        return numbering
    }

    private mutating func readFrames(_ locations: Numbering) throws(StoreError) {
        var snapshots = take()
        var (process, last) = (0, 0)
        try forEach(Schema.frame) { row throws(StoreError) in
            let number = try row.integer(1)
            guard number >= last else { throw damaged("frame is out of order") }
            last = number
            while process < snapshots.count, locations.index(of: number, in: process) == nil { process += 1 }
            guard process < snapshots.count, let location = locations.index(of: number, in: process) else {
                throw damaged("a frame has no location")
            }
            var frame = Frame(
                function: try optionalText(row, 2), file: try optionalText(row, 3), line: row.isNull(4) ? nil : try row.amount(4),
                module: try optionalText(row, 5), address: row.isNull(6) ? nil : try row.bits(6), isInlined: try row.flag(7),
                isAsync: try row.flag(8))
            frame.isSystem = try row.flag(9)
            snapshots[process].locations[Int(location)].frames.append(frame)
        }
        self.snapshots = snapshots
    }

    private mutating func readNodes(_ locations: Numbering) throws(StoreError) -> Numbering {
        var nodes: [StackNode] = []
        var numbering = Numbering(groups: snapshots.count)
        var (snapshots, budget) = (take(), budget)
        var (process, first) = (0, 0)
        var isLast = false
        try forEach(Schema.nodes) { row throws(StoreError) in
            guard !isLast, let words = try row.words(1, &budget), !words.isEmpty, words.count <= PackedNodes.perRow else {
                throw damaged("a row of nodes has the wrong size")
            }
            isLast = words.count < PackedNodes.perRow
            for word in words {
                guard process < nodeCounts.count, nodes.count < Int32.max else { throw damaged("there are nodes of no process") }
                let index = nodes.count
                _ = numbering.add(to: process)
                let (number, location) = PackedNodes.node(word)
                let parent = number - first
                guard parent >= 0, parent < max(index, 1) else { throw damaged("a node has no parent before it") }
                var found = Int32(truncatingIfNeeded: location)
                if location >= 0 {
                    guard index > 0, let known = locations.index(of: location, in: process) else { throw damaged("a node has no location") }
                    found = known
                }
                nodes.append(StackNode(parent: Int32(parent), location: found))
                if nodes.count == nodeCounts[process] {
                    snapshots[process].nodes = nodes
                    first += nodes.count
                    nodes = []
                    process += 1
                }
            }
        }
        guard process == snapshots.count else { throw damaged("nodes are missing") }
        numbering.finish()
        (self.snapshots, self.budget) = (snapshots, budget)
        return numbering
    }

    private mutating func readThreads() throws(StoreError) -> Numbering {
        var snapshots = take()
        for index in snapshots.indices { snapshots[index].threads = [] }
        let numbering = try readGrouped(Schema.thread, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].threads.append(TracedThread(id: try row.int32(2), name: try text(row, 3)))
        }
        for index in snapshots.indices {
            if snapshots[index].threads.isEmpty { snapshots[index].threads = [.others] }
            guard snapshots[index].threads[0].id == 0 else { throw damaged("thread does not begin with all others") }
        }
        self.snapshots = snapshots
        return numbering
    }

    /// Who is charged, and where.
    private struct Place {
        var process: Int
        var domain: Int
        var thread: Int32
    }

    private mutating func readCosts(_ nodes: Numbering, _ threads: Numbering) throws(StoreError) {
        var snapshots = take()
        var places: [Place] = []
        _ = try readGrouped(Schema.place, snapshots.count) { row, process throws(StoreError) in
            guard let thread = threads.index(of: try row.integer(5), in: process) else { throw damaged("a place has no thread") }
            places.append(Place(process: process, domain: try row.domain(4), thread: thread))
        }
        let (figures, histograms) = try readFigures()
        for index in snapshots.indices { snapshots[index].histograms = histograms }
        var (process, costs) = (0, [StackCost]())
        try forEach(Schema.cost) { row throws(StoreError) in
            let (number, kind) = (try row.integer(2), try row.integer(3))
            guard places.indices.contains(number), figures.indices.contains(kind) else { throw damaged("a cost has no place or figures") }
            let place = places[number]
            if place.process != process {
                guard place.process > process else { throw damaged("cost is out of order") }
                snapshots[process].costs = costs
                (process, costs) = (place.process, [])
            }
            guard let stack = nodes.index(of: try row.integer(1), in: process) else { throw damaged("a cost has no stack") }
            var cost = figures[kind]
            (cost.stack, cost.domain, cost.thread) = (stack, place.domain, place.thread)
            if !costs.isEmpty, !costs[costs.count - 1].isBefore(cost) { throw damaged("cost is out of order") }
            costs.append(cost)
        }
        if !costs.isEmpty { snapshots[process].costs = costs }
        self.snapshots = snapshots
    }

    /// Costs that still have no stack.
    private mutating func readFigures() throws(StoreError) -> (figures: [StackCost], histograms: Histograms) {
        var (figures, histograms, budget) = ([StackCost](), Histograms(), budget)
        var (sizes, lifetimes) = (Recent<Int32>(), Recent<Int32>())
        try forEach(Schema.figures) { row throws(StoreError) in
            var cost = StackCost(stack: 0)
            cost.current = try row.tally(1)
            cost.peak = try row.tally(3)
            cost.total = try row.tally(5)
            cost.temporary = try row.tally(7)
            cost.growth = try row.tally(9)
            cost.sizes = try histogram(row, 11, StackCost.sizeBuckets, &histograms, &budget, &sizes)
            cost.lifetimes = try histogram(row, 12, StackCost.lifetimeBuckets, &histograms, &budget, &lifetimes)
            figures.append(cost)
        }
        self.budget = budget
        return (figures, histograms)
    }

    /// Stacks that allocated once or twice have the histograms of many others.
    private func histogram(
        _ row: Statement, _ column: Int32, _ count: Int, _ histograms: inout Histograms, _ budget: inout Int,
        _ recent: inout Recent<Int32>
    ) throws(StoreError) -> Int32 {
        if row.isNull(column) { return Histograms.unknown }
        return try row.decoded(column, &budget, &recent) { bytes throws(StoreError) in
            guard let counts = Histogram.decoded(bytes, count: count) else { throw damaged("a histogram is broken") }
            return histograms.number(of: counts)
        }
    }

    // History

    private mutating func readGenerations(_ nodes: Numbering, _ threads: Numbering) throws(StoreError) {
        var snapshots = take()
        let generations = try readGrouped(Schema.generation, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].marks.append(Mark(name: try text(row, 2), start: try row.real(3)))
        }
        _ = try readGrouped(Schema.alive, snapshots.count) { row, process throws(StoreError) in
            guard let stack = nodes.index(of: try row.integer(2), in: process),
                let generation = generations.index(of: try row.integer(3), in: process),
                let thread = threads.index(of: try row.integer(7), in: process)
            else { throw damaged("live memory has no stack, generation or thread") }
            let cost = GenerationCost(
                stack: stack, domain: try row.domain(6), thread: thread, generation: generation, live: try row.tally(4))
            if let last = snapshots[process].liveByGeneration.last,
                (last.stack, last.domain, last.thread, last.generation) >= (cost.stack, cost.domain, cost.thread, cost.generation)
            {
                throw damaged("alive is out of order")
            }
            snapshots[process].liveByGeneration.append(cost)
        }
        self.snapshots = snapshots
    }

    private mutating func readObjects(_ nodes: Numbering) throws(StoreError) {
        var snapshots = take()
        var numbers: [String: Int32] = [:]
        var process = 0
        _ = try readGrouped(Schema.object, snapshots.count) { row, index throws(StoreError) in
            if index != process {
                process = index
                numbers = [:]
            }
            guard let stack = nodes.index(of: try row.integer(2), in: index) else { throw damaged("objects have no stack") }
            if let last = snapshots[index].objects.last, last.stack > stack { throw damaged("object is out of order") }
            let name = try text(row, 3)
            let type = numbers[name] ?? Int32(snapshots[index].types.count)
            if Int(type) == snapshots[index].types.count {
                snapshots[index].types.append(name)
                numbers[name] = type
            }
            snapshots[index].objects.append(ObjectCost(stack: stack, type: type, live: try row.tally(4)))
        }
        self.snapshots = snapshots
    }

    private mutating func readTimeline(_ nodes: Numbering) throws(StoreError) {
        var snapshots = take()
        let moments = try readGrouped(Schema.moment, snapshots.count) { row, process throws(StoreError) in
            snapshots[process].timeline.append(
                TimelinePoint(time: try row.real(2), live: try row.tally(3), residentBytes: try row.amount(5)))
        }
        var (process, last) = (0, 0)
        try forEach(Schema.momentStack) { row throws(StoreError) in
            let number = try row.integer(1)
            guard number >= last else { throw damaged("moment_stack is out of order") }
            last = number
            while process < snapshots.count, moments.index(of: number, in: process) == nil { process += 1 }
            guard process < snapshots.count, let moment = moments.index(of: number, in: process),
                let stack = nodes.index(of: try row.integer(2), in: process)
            else { throw damaged("a moment has no such stack") }
            snapshots[process].timeline[Int(moment)].largest.append((stack, try row.amount(3)))
        }
        self.snapshots = snapshots
    }
}

/// Which rows of a table belong to which process.
struct Numbering {
    /// First row of each process.
    private var starts: [Int]
    private var counts: [Int]

    init(groups: Int) {
        starts = [Int](repeating: 0, count: groups)
        counts = starts
    }

    private var last = 0

    /// Counts a row; false when rows of later processes came before it.
    mutating func add(to group: Int) -> Bool {
        guard group >= last, group < counts.count else { return false }
        last = group
        counts[group] += 1
        return true
    }

    mutating func finish() {
        var start = 0
        for group in counts.indices {
            starts[group] = start
            start += counts[group]
        }
    }

    /// The index within its process of a row; nil when it is another process's.
    func index(of row: Int, in group: Int) -> Int32? {
        guard row >= starts[group], row - starts[group] < counts[group] else { return nil }
        return Int32(row - starts[group])
    }
}

extension Statement {
    fileprivate func flag(_ column: Int32) throws(StoreError) -> Bool {
        let value = try integer(column)
        guard value == 0 || value == 1 else { throw damaged("\(value) is neither yes nor no") }
        return value == 1
    }

    /// A number of bytes, blocks or events.
    fileprivate func amount(_ column: Int32) throws(StoreError) -> Int {
        let value = try integer(column)
        guard value >= 0 else { throw damaged("an amount is negative") }
        return value
    }

    /// 0 for malloc's blocks, else a number that a program gave.
    fileprivate func domain(_ column: Int32) throws(StoreError) -> Int {
        let value = try integer(column)
        guard UInt32(exactly: value) != nil else { throw damaged("there is no domain \(value)") }
        return value
    }

    fileprivate func int32(_ column: Int32) throws(StoreError) -> Int32 {
        guard let value = Int32(exactly: try integer(column)) else { throw damaged("a number is too large") }
        return value
    }

    fileprivate func bits(_ column: Int32) throws(StoreError) -> UInt64 { UInt64(bitPattern: Int64(try integer(column))) }

    fileprivate func tally(_ column: Int32) throws(StoreError) -> Tally {
        Tally(bytes: try amount(column), count: try amount(column + 1))
    }
}

extension StackCost {
    /// In the order of a snapshot's costs.
    fileprivate func isBefore(_ other: StackCost) -> Bool {
        (stack, domain, thread) < (other.stack, other.domain, other.thread)
    }
}
