// CollapsedExport.swift: stacks as lines, for flamegraph.pl and everything that reads its input.
import AllocationProfile

/// `main;load;parse 4096`: functions from the outside in, and the bytes of the stacks that are made of them.
///
/// A function that was inlined wherever it stands carries the suffix `_[i]`, which flamegraph.pl colors. One that is inlined
/// here and called there has none: with two names it would be two functions. No other suffix is used. A `;` inside of a name
/// becomes `:`. Stacks without bytes (of `malloc(0)`) have no line.
struct CollapsedExport {
    private let tree: CallTree
    private let names: [[UInt8]]

    init(_ snapshots: [Snapshot], measuring metric: Metric) {
        tree = CallTree(snapshots, measuring: metric)
        names = tree.frames.map { frame in
            let name = PrintableText.whole(frame.callName) + (frame.isInlined ? "_[i]" : "")
            return name.utf8.map { $0 == UInt8(ascii: ";") ? UInt8(ascii: ":") : $0 }
        }
    }

    func write(to stream: ExportStream) throws {
        try tree.forEachStack { path, own in
            guard own.bytes > 0 else { return }
            if path.isEmpty { try stream.put(Frame.unknown.description) }
            for (depth, frame) in path.enumerated() {
                if depth > 0 { try stream.put(";") }
                try stream.put(bytes: names[Int(frame)])
            }
            try stream.put(" \(own.bytes)\n")
        }
    }
}
