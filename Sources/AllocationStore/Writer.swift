// Writer.swift: snapshots into the tables of a new database.
import AllocationProfile

/// Fills the tables. Numbers of rows run through all processes: a snapshot's index plus the rows that were there before it.
struct Writer {
    private let database: Database
    private var numbers: [String: Int] = [:]
    private var texts: [String] = []
    private let file: Insertion
    private let text: Insertion
    private let process: Insertion
    private let argument: Insertion
    private let warning: Insertion
    private let module: Insertion
    private let location: Insertion
    private let frame: Insertion
    private let nodes: Insertion
    /// Nodes of the processes so far.
    private var nodeCount = 0
    private let thread: Insertion
    private let domain: Insertion
    private let costs: CostTables
    /// By process.
    private var figureRows: [CostTables.FigureRows] = []
    private let generation: Insertion
    private let alive: Insertion
    private let object: Insertion
    private let moment: Insertion
    private let momentStack: Insertion

    /// Begins with what does not depend on the names of locations. Time: a quarter of a microsecond a row, like `end`.
    mutating func begin(_ snapshots: [Snapshot], complete: Bool) throws(StoreError) {
        let row = file.next()
        row.set(1, complete)
        try row.insert()
        try addNodes(of: snapshots)
        for snapshot in snapshots { figureRows.append(try costs.addFigures(snapshot)) }
    }

    /// Adds the rest of the same snapshots, in which nothing but names has changed. Returns the finished database.
    consuming func end(_ snapshots: [Snapshot]) throws(StoreError) -> Database {
        for (process, snapshot) in snapshots.enumerated() { try add(snapshot, process) }
        try addTexts()
        try database.run("COMMIT")
        return database
    }

    /// Makes the tables in a new database, which takes two milliseconds.
    init(_ database: Database) throws(StoreError) {
        self.database = database
        try database.run("PRAGMA application_id=\(Schema.applicationID); PRAGMA user_version=\(Schema.version); BEGIN")
        for table in Schema.tables { try database.run(table.creation) }
        for view in Schema.views { try database.run(view) }
        file = try Insertion(database, Schema.file)
        text = try Insertion(database, Schema.text)
        process = try Insertion(database, Schema.process)
        argument = try Insertion(database, Schema.argument)
        warning = try Insertion(database, Schema.warning)
        module = try Insertion(database, Schema.module)
        location = try Insertion(database, Schema.location)
        frame = try Insertion(database, Schema.frame)
        nodes = try Insertion(database, Schema.nodes)
        thread = try Insertion(database, Schema.thread)
        domain = try Insertion(database, Schema.domain)
        costs = try CostTables(database)
        generation = try Insertion(database, Schema.generation)
        alive = try Insertion(database, Schema.alive)
        object = try Insertion(database, Schema.object)
        moment = try Insertion(database, Schema.moment)
        momentStack = try Insertion(database, Schema.momentStack)
    }

    /// The number of a text. They are stored together, at the end.
    private mutating func number(_ text: String) -> Int {
        if let known = numbers[text] { return known }
        let number = texts.count
        numbers[text] = number
        texts.append(text)
        return number
    }

    private func addTexts() throws(StoreError) {
        try text.expect(texts.count)
        for one in texts {
            let row = text.next()
            row.set(1, one)
            try row.insert()
        }
    }

    private mutating func set(_ row: Insertion.Row, _ index: Int32, _ text: String?) {
        if let text { row.set(index, number(text)) } else { row.setNull(index) }
    }

    private mutating func add(_ snapshot: Snapshot, _ process: Int) throws(StoreError) {
        try add(snapshot.process, process, nodeCount: snapshot.nodes.count)
        let firstModule = self.module.count
        for module in snapshot.modules {
            let row = self.module.next()
            row.set(1, process)
            row.set(2, number(module.path))
            row.set(3, module.buildID)
            row.set(4, module.start)
            row.set(5, module.end)
            row.set(6, module.bias)
            try row.insert()
        }
        let firstLocation = self.location.count
        let firstFrame = self.frame.count
        try location.expect(snapshot.locations.count)
        try frame.expect(snapshot.locations.reduce(0) { $0 + $1.frames.count })
        var last = LastFrame()
        for location in snapshot.locations { try add(location, process, firstModule, &last) }
        let firstNode = nodeCount
        nodeCount += snapshot.nodes.count
        let firstThread = self.thread.count
        for thread in snapshot.threads {
            let name = number(thread.name)
            let row = self.thread.next()
            row.set(1, process)
            row.set(2, Int(thread.id))
            row.set(3, name)
            try row.insert()
        }
        try costs.add(
            snapshot, figureRows[process],
            .init(process: process, location: firstLocation, frame: firstFrame, node: firstNode, thread: firstThread))
        try addHistory(snapshot, process, firstNode, firstThread)
    }

    private func addNodes(of snapshots: [Snapshot]) throws(StoreError) {
        var packed: [UInt64] = []
        packed.reserveCapacity(PackedNodes.perRow)
        func add() throws(StoreError) {
            let row = nodes.next()
            row.set(1, packed)
            try row.insert()
            packed.removeAll(keepingCapacity: true)
        }
        var (firstNode, firstLocation) = (0, 0)
        for snapshot in snapshots {
            var rest = snapshot.nodes[...]
            while !rest.isEmpty {
                let part = rest.prefix(PackedNodes.perRow - packed.count)
                packed += part.lazy.map { node in
                    let location = node.location < 0 ? Int(node.location) : firstLocation + Int(node.location)
                    return PackedNodes.word(parent: firstNode + Int(node.parent), location: location)
                }
                rest = rest.dropFirst(part.count)
                if packed.count == PackedNodes.perRow { try add() }
            }
            firstNode += snapshot.nodes.count
            firstLocation += snapshot.locations.count
        }
        if !packed.isEmpty { try add() }
    }

    private mutating func add(_ summary: ProcessSummary, _ process: Int, nodeCount: Int) throws(StoreError) {
        let executable = number(summary.executable)
        let row = self.process.next()
        row.set(1, Int(summary.pid))
        if let parent = summary.parent { row.set(2, Int(parent)) } else { row.setNull(2) }
        row.set(3, executable)
        switch summary.exit {
        case .unknown:
            row.set(4, 0)
            row.set(5, 0)
        case .code(let code):
            row.set(4, 1)
            row.set(5, Int(code))
        case .signal(let signal):
            row.set(4, 2)
            row.set(5, Int(signal))
        }
        row.set(6, summary.started)
        row.set(7, summary.duration)
        row.set(17, summary.peakTime)
        let counts: [(Int32, Int)] = [(8, summary.threads)] + ProcessColumns.integers.map { ($0.column, summary[keyPath: $0.field]) }
        for (column, value) in counts { row.set(column, value) }
        row.set(33, nodeCount)
        try row.insert()
        for domain in summary.domains {
            let row = self.domain.next()
            let values = [
                process, domain.domain, domain.allocations, domain.frees, domain.bytesAllocated, domain.bytesFreed, domain.current.bytes,
                domain.current.count, domain.peak.bytes, domain.peak.count,
            ]
            for (column, value) in values.enumerated() { row.set(Int32(column + 1), value) }
            try row.insert()
        }
        for (insertion, texts) in [(argument, summary.command), (warning, summary.warnings)] {
            for text in texts {
                let value = number(text)
                let row = insertion.next()
                row.set(1, process)
                row.set(2, value)
                try row.insert()
            }
        }
    }

    /// The file and the module of the frame before: often those of the next one, too.
    private struct LastFrame {
        var file: (text: String, number: Int)?
        var module: (text: String, number: Int)?
    }

    private mutating func set(_ row: Insertion.Row, _ index: Int32, _ text: String?, _ last: inout (text: String, number: Int)?) {
        guard let text else { return row.setNull(index) }
        let number = if let last, last.text == text { last.number } else { number(text) }
        last = (text, number)
        row.set(index, number)
    }

    private mutating func add(
        _ location: Location, _ process: Int, _ firstModule: Int, _ last: inout LastFrame
    ) throws(StoreError) {
        let number = self.location.count
        let row = self.location.next()
        row.set(1, process)
        row.set(2, location.address)
        if location.module >= 0 { row.set(3, firstModule + Int(location.module)) } else { row.setNull(3) }
        row.set(4, location.isExact)
        row.set(5, location.isAsync)
        try row.insert()
        for frame in location.frames {
            let row = self.frame.next()
            row.set(1, number)
            set(row, 2, frame.function)
            set(row, 3, frame.file, &last.file)
            if let line = frame.line { row.set(4, line) } else { row.setNull(4) }
            set(row, 5, frame.module, &last.module)
            if let address = frame.address { row.set(6, address) } else { row.setNull(6) }
            row.set(7, frame.isInlined)
            row.set(8, frame.isAsync)
            row.set(9, frame.isSystem)
            try row.insert()
        }
    }

    private mutating func addHistory(_ snapshot: Snapshot, _ process: Int, _ firstNode: Int, _ firstThread: Int) throws(StoreError) {
        let firstGeneration = self.generation.count
        for generation in snapshot.marks {
            let name = number(generation.name)
            let row = self.generation.next()
            row.set(1, process)
            row.set(2, name)
            row.set(3, generation.start)
            try row.insert()
        }
        try alive.expect(snapshot.liveByGeneration.count)
        for cost in snapshot.liveByGeneration {
            let row = self.alive.next()
            row.set(1, process)
            row.set(2, firstNode + Int(cost.stack))
            row.set(3, firstGeneration + Int(cost.generation))
            row.set(4, cost.live.bytes)
            row.set(5, cost.live.count)
            row.set(6, cost.domain)
            row.set(7, firstThread + Int(cost.thread))
            try row.insert()
        }
        for cost in snapshot.objects {
            let type = number(snapshot.types.indices.contains(Int(cost.type)) ? snapshot.types[Int(cost.type)] : Snapshot.unknownType)
            let row = self.object.next()
            row.set(1, process)
            row.set(2, firstNode + Int(cost.stack))
            row.set(3, type)
            row.set(4, cost.live.bytes)
            row.set(5, cost.live.count)
            try row.insert()
        }
        for point in snapshot.timeline {
            let moment = self.moment.count
            let row = self.moment.next()
            row.set(1, process)
            row.set(2, point.time)
            row.set(3, point.live.bytes)
            row.set(4, point.live.count)
            row.set(5, point.residentBytes)
            try row.insert()
            for (stack, bytes) in point.largest {
                let row = self.momentStack.next()
                row.set(1, moment)
                row.set(2, firstNode + Int(stack))
                row.set(3, bytes)
                try row.insert()
            }
        }
    }
}
