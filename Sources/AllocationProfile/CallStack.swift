// CallStack.swift: the named frames of one stack.

/// The frames of a call stack, innermost (most recent call) first.
///
/// Two call stacks are equal when their frames are; `totalFrameCount` does not count. They are ordered by their frames,
/// innermost first.
public struct CallStack: RandomAccessCollection, Hashable, Comparable, Sendable {
    private let frames: [Frame]
    /// Frames that the stack had before it was cut at the frame limit; nil when that is not known.
    public let totalFrameCount: Int?

    /// - Parameters:
    ///   - frames: innermost first.
    ///   - totalFrameCount: frames before the stack was cut; nil when not known.
    public init(_ frames: [Frame], totalFrameCount: Int? = nil) {
        self.frames = frames
        self.totalFrameCount = totalFrameCount
    }

    /// Index of the innermost frame.
    public var startIndex: Int { frames.startIndex }
    /// Number of frames.
    public var endIndex: Int { frames.endIndex }
    /// A frame, counted from the innermost.
    public subscript(index: Int) -> Frame { frames[index] }

    /// Whether the frames are equal.
    public static func == (left: CallStack, right: CallStack) -> Bool { left.frames == right.frames }
    /// By the frames, innermost first.
    public static func < (left: CallStack, right: CallStack) -> Bool { left.frames.lexicographicallyPrecedes(right.frames) }
    /// Hashes the frames.
    public func hash(into hasher: inout Hasher) { hasher.combine(frames) }

    /// The stack as lines of text in the form of Python's tracebacks, outermost frame first:
    ///
    ///     File "main.swift", line 12
    ///       let table = load()
    ///
    /// A frame without a line prints as its function or address instead.
    /// - Parameters:
    ///   - limit: at most so many of the innermost frames; a negative limit leaves so many of the innermost frames out.
    ///   - mostRecentFirst: innermost frame first.
    ///   - sourceLine: finds the text of a source line; nil when the source is not there.
    public func formatted(
        limit: Int? = nil, mostRecentFirst: Bool = false, sourceLine: (_ file: String, _ line: Int) -> String? = { _, _ in nil }
    ) -> [String] {
        var selected = frames[...]
        if let limit { selected = limit >= 0 ? frames.prefix(limit) : frames.dropFirst(limit == .min ? .max : -limit) }
        var lines: [String] = []
        for frame in mostRecentFirst ? Array(selected) : selected.reversed() {
            guard let file = frame.file, let line = frame.line else {
                lines.append("  \(frame)")
                continue
            }
            lines.append("  File \"\(file)\", line \(line)")
            let source = CallStack.trimmed(sourceLine(file, line) ?? "")
            if !source.isEmpty { lines.append("    \(source)") }
        }
        return lines
    }

    private static func trimmed(_ text: String) -> Substring {
        let start = text.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return start[...last]
    }
}

extension CallStack: CustomStringConvertible, CustomDebugStringConvertible {
    /// The innermost frame.
    public var description: String { (frames.first ?? .unknown).description }

    /// All frames: `<CallStack (b.swift:4, main.swift:2) totalFrameCount=2>`.
    public var debugDescription: String {
        let names = frames.map(\.description).joined(separator: ", ")
        return "<CallStack (\(names))\(totalFrameCount.map { " totalFrameCount=\($0)" } ?? "")>"
    }
}
