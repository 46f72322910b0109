// PprofExport.swift: `profile.proto`, the format of Go's pprof.
import AllocationProfile

/// Numbers of fields as https://github.com/google/pprof/blob/main/proto/profile.proto has them.
private enum Field {
    enum Profile {
        static let sampleType = 1, sample = 2, mapping = 3, location = 4, function = 5, stringTable = 6, timeNanos = 9
        static let durationNanos = 10, periodType = 11, period = 12, comment = 13, defaultSampleType = 14
    }
    enum ValueType { static let type = 1, unit = 2 }
    enum Sample { static let locationID = 1, value = 2, label = 3 }
    enum Label { static let key = 1, number = 3 }
    enum Mapping {
        static let id = 1, start = 2, limit = 3, fileName = 5, buildID = 6
        static let hasFunctions = 7, hasFileNames = 8, hasLineNumbers = 9, hasInlineFrames = 10
    }
    enum Location { static let id = 1, mappingID = 2, address = 3, line = 4 }
    enum Line { static let functionID = 1, line = 2 }
    enum Function { static let id = 1, name = 2, systemName = 3, fileName = 4 }
}

/// A profile with a sample for each stack of each process; with several processes each sample has the label `pid`.
///
/// The four sample types of Go's heap profiles stand in their usual order, `alloc` first and `inuse` last, because viewers
/// show the first or the last one; `peak` stands between them, and so does `temporary` when it is the metric that is asked
/// for. Viewers that know `default_sample_type` show the metric.
struct PprofExport {
    private let snapshots: [Snapshot]
    private let metric: Metric
    private let columns: [(name: String, metric: Metric)]

    init(_ snapshots: [Snapshot], measuring metric: Metric) {
        self.snapshots = snapshots
        self.metric = metric
        let temporary = metric == .temporary ? [("temporary", Metric.temporary)] : []
        columns = [("alloc", .total)] + temporary + [("peak", .peak), ("inuse", .current)]
    }

    func write(to stream: ExportStream) throws {
        let gzip = try GzipStream(to: stream)
        var tables = Tables()
        try gzip.put(bytes: head(&tables).bytes)
        for snapshot in snapshots { try write(snapshot, &tables, to: gzip) }
        try tables.writeFunctions(to: gzip)
        try tables.writeTexts(to: gzip)
        try gzip.finish()
    }

    private func head(_ tables: inout Tables) -> ProtobufMessage {
        var profile = ProtobufMessage()
        func type(_ name: String, _ unit: String) -> ProtobufMessage {
            var type = ProtobufMessage()
            type.add(Field.ValueType.type, tables.text(name))
            type.add(Field.ValueType.unit, tables.text(unit))
            return type
        }
        for column in columns {
            profile.add(Field.Profile.sampleType, type("\(column.name)_objects", "count"))
            profile.add(Field.Profile.sampleType, type("\(column.name)_space", "bytes"))
        }
        // Every byte counts: nothing is sampled.
        profile.add(Field.Profile.periodType, type("space", "bytes"))
        profile.add(Field.Profile.period, 1)
        let shown = columns.first { $0.metric == metric }?.name ?? "inuse"
        profile.add(Field.Profile.defaultSampleType, tables.text("\(shown)_space"))
        if let process = snapshots.first?.process {
            profile.add(Field.Profile.timeNanos, PprofExport.nanoseconds(process.started))
            profile.add(Field.Profile.durationNanos, PprofExport.nanoseconds(process.duration))
        }
        for snapshot in snapshots {
            let command = "\(PrintableText.command(snapshot.process.command, limit: .max)) (pid \(snapshot.process.pid))"
            profile.add(packed: Field.Profile.comment, [tables.text(command)])
        }
        return profile
    }

    private static func nanoseconds(_ seconds: Double) -> Int64 { Int64(exactly: (seconds * 1e9).rounded()) ?? 0 }

    private func write(_ snapshot: Snapshot, _ tables: inout Tables, to gzip: GzipStream) throws {
        try writeMappings(of: snapshot, &tables, to: gzip)
        try writeLocations(of: snapshot, &tables, to: gzip)

        var profile = ProtobufMessage()
        var values: [UInt64] = []
        var stack: [UInt64] = []
        let pid = snapshots.count > 1 ? label(pid: snapshot.process.pid, &tables) : nil
        for cost in snapshot.costs {
            values.removeAll(keepingCapacity: true)
            for column in columns {
                values.append(UInt64(bitPattern: Int64(cost[column.metric].count)))
                values.append(UInt64(bitPattern: Int64(cost[column.metric].bytes)))
            }
            guard values.contains(where: { $0 != 0 }) else { continue }
            stack.removeAll(keepingCapacity: true)
            var node = snapshot.node(of: cost)
            if node == 0 { stack.append(tables.markerLocations + PprofExport.marker(StackNode.noLocation)) }
            while node != 0 {
                let marker = tables.markerLocations + PprofExport.marker(snapshot.nodes[node].location)
                stack.append(snapshot.location(of: node).map { tables.firstLocation + UInt64($0) } ?? marker)
                node = snapshot.caller(of: node)
            }
            var sample = ProtobufMessage()
            sample.add(packed: Field.Sample.locationID, stack)
            sample.add(packed: Field.Sample.value, values)
            if let pid { sample.add(Field.Sample.label, pid) }
            profile.removeAll()
            profile.add(Field.Profile.sample, sample)
            try gzip.put(bytes: profile.bytes)
        }
        tables.firstMapping += UInt64(snapshot.modules.count)
        tables.firstLocation += UInt64(snapshot.locations.count) + UInt64(PprofExport.markers.count)
    }

    private func label(pid: Int32, _ tables: inout Tables) -> ProtobufMessage {
        var label = ProtobufMessage()
        label.add(Field.Label.key, tables.text("pid"))
        label.add(Field.Label.number, pid)
        return label
    }

    private func writeMappings(of snapshot: Snapshot, _ tables: inout Tables, to gzip: GzipStream) throws {
        struct Knowledge { var functions = false, files = false, lines = false, inlined = false }
        var known = [Knowledge](repeating: Knowledge(), count: snapshot.modules.count)
        for location in snapshot.locations where known.indices.contains(Int(location.module)) {
            for frame in location.frames {
                if frame.function != nil { known[Int(location.module)].functions = true }
                if frame.file != nil { known[Int(location.module)].files = true }
                if frame.line != nil { known[Int(location.module)].lines = true }
                if frame.isInlined { known[Int(location.module)].inlined = true }
            }
        }
        // pprof takes the first mapping for the program's own.
        let program = snapshot.modules.firstIndex { $0.path == snapshot.process.executable } ?? 0
        let order = snapshot.modules.indices.sorted { ($0 == program ? 0 : 1, $0) < ($1 == program ? 0 : 1, $1) }
        for index in order {
            let module = snapshot.modules[index]
            var mapping = ProtobufMessage()
            mapping.add(Field.Mapping.id, tables.firstMapping + UInt64(index))
            mapping.add(Field.Mapping.start, module.start)
            mapping.add(Field.Mapping.limit, module.end)
            mapping.add(Field.Mapping.fileName, tables.text(PrintableText.whole(module.path)))
            let buildID = module.buildID.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            mapping.add(Field.Mapping.buildID, tables.text(buildID))
            mapping.add(Field.Mapping.hasFunctions, known[index].functions)
            mapping.add(Field.Mapping.hasFileNames, known[index].files)
            mapping.add(Field.Mapping.hasLineNumbers, known[index].lines)
            mapping.add(Field.Mapping.hasInlineFrames, known[index].inlined)
            var profile = ProtobufMessage()
            profile.add(Field.Profile.mapping, mapping)
            try gzip.put(bytes: profile.bytes)
        }
    }

    /// What stands for nodes that are no code, as locations behind those of the snapshot.
    private static let markers: [Frame] = [.unknown, .cut, .lost]

    private static func marker(_ location: Int32) -> UInt64 { location == StackNode.cut ? 1 : location == StackNode.lost ? 2 : 0 }

    private func writeLocations(of snapshot: Snapshot, _ tables: inout Tables, to gzip: GzipStream) throws {
        tables.markerLocations = tables.firstLocation + UInt64(snapshot.locations.count)
        for (index, location) in snapshot.locations.enumerated() {
            let mapping = snapshot.modules.indices.contains(Int(location.module)) ? tables.firstMapping + UInt64(location.module) : 0
            try gzip.put(
                bytes: message(
                    tables.firstLocation + UInt64(index), mapping: mapping, address: location.lookupAddress,
                    snapshot.frames(of: location), &tables
                ).bytes)
        }
        for (index, marker) in PprofExport.markers.enumerated() {
            try gzip.put(bytes: message(tables.markerLocations + UInt64(index), mapping: 0, address: 0, [marker], &tables).bytes)
        }
    }

    /// `frames`: innermost first, as the format has inlined functions.
    private func message(_ id: UInt64, mapping: UInt64, address: UInt64, _ frames: [Frame], _ tables: inout Tables) -> ProtobufMessage {
        var location = ProtobufMessage()
        location.add(Field.Location.id, id)
        location.add(Field.Location.mappingID, mapping)
        location.add(Field.Location.address, address)
        for frame in frames {
            var line = ProtobufMessage()
            line.add(Field.Line.functionID, tables.function(frame))
            line.add(Field.Line.line, frame.line ?? 0)
            location.add(Field.Location.line, line)
        }
        var profile = ProtobufMessage()
        profile.add(Field.Profile.location, location)
        return profile
    }
}

/// Texts and functions under their numbers, for all processes, and where the numbers of the next process begin.
private struct Tables {
    private struct Function: Hashable {
        var name: UInt64
        var file: UInt64
    }

    // Text 0 must be empty; all other numbers count from 1, as 0 is "none".
    private var texts = [""]
    private var numberOfText: [String: UInt64] = ["": 0]
    private var functions: [Function] = []
    private var numberOfFunction: [Function: UInt64] = [:]
    var firstMapping: UInt64 = 1
    var firstLocation: UInt64 = 1
    /// Where the markers of the current process begin.
    var markerLocations: UInt64 = 0

    mutating func text(_ text: String) -> UInt64 {
        if let number = numberOfText[text] { return number }
        let number = UInt64(texts.count)
        texts.append(text)
        numberOfText[text] = number
        return number
    }

    mutating func function(_ frame: Frame) -> UInt64 {
        let function = Function(name: text(PrintableText.whole(frame.callName)), file: text(PrintableText.whole(frame.file ?? "")))
        if let number = numberOfFunction[function] { return number }
        functions.append(function)
        numberOfFunction[function] = UInt64(functions.count)
        return UInt64(functions.count)
    }

    func writeFunctions(to gzip: GzipStream) throws {
        for (index, function) in functions.enumerated() {
            var message = ProtobufMessage()
            message.add(Field.Function.id, index + 1)
            message.add(Field.Function.name, function.name)
            message.add(Field.Function.systemName, function.name)
            message.add(Field.Function.fileName, function.file)
            var profile = ProtobufMessage()
            profile.add(Field.Profile.function, message)
            try gzip.put(bytes: profile.bytes)
        }
    }

    func writeTexts(to gzip: GzipStream) throws {
        for text in texts {
            var profile = ProtobufMessage()
            profile.add(Field.Profile.stringTable, text)
            try gzip.put(bytes: profile.bytes)
        }
    }
}
