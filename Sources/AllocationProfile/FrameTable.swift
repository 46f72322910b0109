// FrameTable.swift: the frames of several snapshots under small numbers, so that grouping hundreds of thousands of stacks
// compares and hashes text once per code address and works on integers after that.

/// Numbers for the frames of the snapshots' locations.
///
/// Glossary: an *occurrence* is one frame of one location of one snapshot, numbered through in that order; its *key* is the
/// number of what it is grouped by. Occurrences of equal frames have one key, also across snapshots.
struct FrameTable {
    /// Key of each occurrence.
    private(set) var keys: [Int32] = []
    /// Whether each occurrence is allocator, runtime or standard library.
    private(set) var isSystem: [Bool] = []
    /// What each key stands for.
    private var names: [FrameKey] = []
    /// For each snapshot the first occurrence of each location, and the end.
    private var starts: [[Int32]] = []
    /// Occurrences that every table has, for stacks or parts of stacks without code.
    static let unknown = 0, cut = 1, lost = 2
    static let markers: [Frame] = [.unknown, .cut, .lost]

    /// Numbers all frames by what `grouping` distinguishes. Time: one hash per frame of each location.
    init(_ snapshots: [Snapshot], groupedBy grouping: Grouping) {
        var numbers: [FrameKey: Int32] = [:]
        numbers.reserveCapacity(snapshots.map(\.locations.count).max() ?? 0)
        for marker in FrameTable.markers { add(marker, FrameKey(marker, grouping), &numbers) }
        for snapshot in snapshots {
            var starts: [Int32] = []
            starts.reserveCapacity(snapshot.locations.count + 1)
            for location in snapshot.locations {
                starts.append(Int32(keys.count))
                if location.frames.isEmpty {
                    let frame = snapshot.unnamedFrame(of: location)
                    add(frame, FrameKey(frame, grouping), &numbers)
                }
                for frame in location.frames { add(frame, FrameKey(frame, grouping), &numbers) }
            }
            starts.append(Int32(keys.count))
            self.starts.append(starts)
        }
    }

    private mutating func add(_ frame: Frame, _ key: FrameKey, _ numbers: inout [FrameKey: Int32]) {
        let next = Int32(names.count)
        // Hashing the text is what a table costs: one access both finds and inserts.
        let number = FrameTable.value(of: &numbers[key, default: next])
        if number == next { names.append(key) }
        keys.append(number)
        isSystem.append(frame.isSystem)
    }

    private static func value(of number: inout Int32) -> Int32 { number }

    var keyCount: Int { names.count }

    /// The occurrences of a node's frames, innermost first. None for the root and for what points nowhere.
    func occurrences(of node: StackNode, in snapshot: Int) -> Range<Int> {
        let location = Int(node.location)
        if location >= 0 {
            guard location + 1 < starts[snapshot].count else { return 0..<0 }
            return Int(starts[snapshot][location])..<Int(starts[snapshot][location + 1])
        }
        switch node.location {
        case StackNode.cut: return FrameTable.cut..<FrameTable.cut + 1
        case StackNode.lost: return FrameTable.lost..<FrameTable.lost + 1
        default: return 0..<0
        }
    }

    /// A frame for each key: what those of its occurrences that are `charged` have in common. `snapshots` are those of `init`.
    func frames(_ snapshots: [Snapshot], charged: [Bool]) -> [Frame] {
        var frames = [Frame?](repeating: nil, count: names.count)
        func merge(_ frame: Frame, _ occurrence: Int) {
            guard charged[occurrence] else { return }
            let key = Int(keys[occurrence])
            if frames[key]?.reduce(to: frame) == nil { frames[key] = names[key].siteFields(of: frame) }
        }
        for (occurrence, marker) in FrameTable.markers.enumerated() { merge(marker, occurrence) }
        var occurrence = FrameTable.markers.count
        for snapshot in snapshots {
            for location in snapshot.locations {
                if location.frames.isEmpty {
                    if charged[occurrence] { merge(snapshot.unnamedFrame(of: location), occurrence) }
                    occurrence += 1
                }
                for frame in location.frames {
                    merge(frame, occurrence)
                    occurrence += 1
                }
            }
        }
        return frames.map { $0 ?? .unknown }
    }
}

/// What makes two frames the same group.
private struct FrameKey: Hashable {
    enum Kind { case frame, line, function, file, module, address, unknown }
    var kind: Kind
    var first = ""
    var second = ""
    var third = ""
    var number: UInt64 = 0

    /// Falls back to the next best name where a frame lacks the one that is asked for, so that nothing unrelated is merged.
    init(_ frame: Frame, _ grouping: Grouping) {
        switch grouping {
        case .traceback:
            if frame.function != nil || frame.line != nil {
                self.init(kind: .frame, first: frame.function ?? "", second: frame.file ?? "", third: frame.module ?? "")
                number = UInt64(bitPattern: Int64(frame.line ?? -1))
            } else {
                self.init(unnamed: frame)
            }
        case .line:
            self = FrameKey(line: frame) ?? FrameKey(function: frame) ?? FrameKey(unnamed: frame)
        case .function, .type:
            self = FrameKey(function: frame) ?? FrameKey(line: frame) ?? FrameKey(unnamed: frame)
        case .file:
            if let file = frame.file {
                self.init(kind: .file, first: file)
            } else {
                self.init(module: frame)
            }
        case .module:
            self.init(module: frame)
        }
    }

    private init(kind: Kind, first: String = "", second: String = "", third: String = "") {
        self.kind = kind
        self.first = first
        self.second = second
        self.third = third
    }

    private init?(line frame: Frame) {
        guard let file = frame.file, let line = frame.line else { return nil }
        self.init(kind: .line, first: file)
        number = UInt64(bitPattern: Int64(line))
    }

    private init?(function frame: Frame) {
        guard let function = frame.function else { return nil }
        self.init(kind: .function, first: function, second: frame.module ?? "")
    }

    private init(module frame: Frame) {
        self.init(kind: frame.module == nil ? .unknown : .module, first: frame.module ?? "")
    }

    private init(unnamed frame: Frame) {
        guard let address = frame.address else {
            self.init(module: frame)
            return
        }
        self.init(kind: .address, first: frame.module ?? "")
        number = address
    }

    /// The fields of a frame of this group that say something about the group.
    func siteFields(of frame: Frame) -> Frame {
        var site = frame
        switch kind {
        case .frame, .line, .address: return frame
        case .function:
            site.line = nil
            site.address = nil
        case .file:
            site = Frame(file: frame.file, line: 0, module: frame.module)
        case .module: site = Frame(module: frame.module)
        case .unknown: site = Frame(function: frame.isSystem ? frame.function : nil)
        }
        site.isSystem = frame.isSystem
        return site
    }
}

extension Frame {
    /// Forgets what `other` says differently.
    fileprivate mutating func reduce(to other: Frame) {
        if function != other.function { function = nil }
        if file != other.file { file = nil }
        if line != other.line && line != 0 { line = nil }
        if module != other.module { module = nil }
        if address != other.address { address = nil }
        isInlined = isInlined && other.isInlined
        isAsync = isAsync && other.isAsync
        isSystem = isSystem && other.isSystem
    }
}

extension Snapshot {
    /// A location without a name: `module+0xoffset`.
    package func unnamedFrame(of location: Location) -> Frame {
        guard location.module >= 0, Int(location.module) < modules.count else { return Frame(address: location.address) }
        let module = modules[Int(location.module)]
        return Frame(module: module.path, address: location.address &- module.bias)
    }
}
