// SpeedscopeExport.swift: JSON for speedscope.app.
import AllocationProfile

/// Two sampled profiles over one list of frames: the metric in bytes, and in blocks.
struct SpeedscopeExport {
    private let tree: CallTree
    private let metric: Metric
    private let title: String
    /// Frames that stand on a stack, in the file's order, and for each frame of the tree its place among them.
    private var used: [Int32] = []
    private var placeOfFrame: [Int32]

    init(_ snapshots: [Snapshot], measuring metric: Metric) {
        tree = CallTree(snapshots, measuring: metric)
        self.metric = metric
        title = snapshots.first.map { PrintableText.command($0.process.command, limit: 200) } ?? ""
        placeOfFrame = [Int32](repeating: -1, count: tree.frames.count)
        for node in tree.nodes.dropFirst() where placeOfFrame[Int(node.frame)] < 0 {
            placeOfFrame[Int(node.frame)] = Int32(used.count)
            used.append(node.frame)
        }
    }

    func write(to stream: ExportStream) throws {
        try stream.put(#"{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"tracemalloc","#)
        try stream.put(#""name":\#(JSONValue.quoted(title)),"activeProfileIndex":0,"shared":{"frames":["#)
        for frame in used.map({ tree.frames[Int($0)] }) {
            var fields = #""name":\#(JSONValue.quoted(PrintableText.whole(frame.callName)))"#
            if let file = frame.file { fields += #","file":\#(JSONValue.quoted(PrintableText.whole(file)))"# }
            // A frame stands for all lines of its function; where the function is unknown it is a line.
            if let line = frame.line, line > 0 { fields += #","line":\#(line)"# }
            try stream.put("\n{\(fields)},")
        }
        // What no frame is known of needs one too: samples without frames are not shown.
        try stream.put("\n{\"name\":\(JSONValue.quoted(Frame.unknown.description))}]},\"profiles\":[\n")
        try write(to: stream, "\(metric.rawValue) bytes", unit: "bytes") { $0.bytes }
        try stream.put(",\n")
        try write(to: stream, "\(metric.rawValue) blocks", unit: "none") { $0.count }
        try stream.put("]}\n")
    }

    private func write(to stream: ExportStream, _ name: String, unit: String, weight: (Tally) -> Int) throws {
        try stream.put(#"{"type":"sampled","name":"\#(name)","unit":"\#(unit)","startValue":0,"samples":["#)
        var weights: [Int] = []
        try tree.forEachStack { path, own in
            guard weight(own) > 0 else { return }
            try stream.put(weights.isEmpty ? "\n[" : ",\n[")
            weights.append(weight(own))
            if path.isEmpty { try stream.put("\(used.count)") }
            for (depth, frame) in path.enumerated() {
                try stream.put(depth > 0 ? ",\(placeOfFrame[Int(frame)])" : "\(placeOfFrame[Int(frame)])")
            }
            try stream.put("]")
        }
        try stream.put("],\n\"weights\":[")
        for (index, weight) in weights.enumerated() { try stream.put(index > 0 ? ",\(weight)" : "\(weight)") }
        try stream.put("],\"endValue\":\(weights.reduce(0, &+))}")
    }
}
