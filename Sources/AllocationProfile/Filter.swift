// Filter.swift: which stacks of a snapshot to keep.

/// A condition on call stacks. The parts that look at frames must all hold of one frame, domain and thread of the stack's memory;
/// a filter without parts matches every stack.
///
///     snapshot.filtered(by: [.include(file: "*/Sources/*"), .exclude(function: "*Cache*", allFrames: true)])
///     snapshot.filtered(by: [.include(thread: "worker*"), .exclude(domain: 3)])
public struct Filter: Hashable, Sendable {
    /// Whether stacks that match are kept or dropped.
    public let isInclusive: Bool
    /// Source line; nil for any.
    public let line: Int?
    /// Looks at all frames of a stack instead of the call site only.
    public let allFrames: Bool
    /// Domain; nil for any. Blocks of malloc are in 0, ranges that the program tracks by itself in others.
    public let domain: Int?
    private let filePattern: Pattern?
    private let functionPattern: Pattern?
    private let modulePattern: Pattern?
    private let threadPattern: Pattern?

    /// Keeps stacks that match. Patterns are matched with the whole path or name: `*` any text, `?` any character, `[seq]`,
    /// `[!seq]`; case counts. What is not known of a frame matches as empty text. `thread` is a pattern for the name of the
    /// allocating thread, or its number.
    public static func include(
        file: String? = nil, line: Int? = nil, function: String? = nil, module: String? = nil, allFrames: Bool = false, domain: Int? = nil,
        thread: String? = nil
    ) -> Filter {
        Filter(isInclusive: true, file, line, function, module, allFrames, domain, thread)
    }

    /// Drops stacks that match; patterns as for `include`.
    public static func exclude(
        file: String? = nil, line: Int? = nil, function: String? = nil, module: String? = nil, allFrames: Bool = false, domain: Int? = nil,
        thread: String? = nil
    ) -> Filter {
        Filter(isInclusive: false, file, line, function, module, allFrames, domain, thread)
    }

    private init(
        isInclusive: Bool, _ file: String?, _ line: Int?, _ function: String?, _ module: String?, _ allFrames: Bool, _ domain: Int?,
        _ thread: String?
    ) {
        self.isInclusive = isInclusive
        self.line = line
        self.allFrames = allFrames
        self.domain = domain
        filePattern = file.map(Pattern.init)
        functionPattern = function.map(Pattern.init)
        modulePattern = module.map(Pattern.init)
        threadPattern = thread.map(Pattern.init)
    }

    /// Pattern for source files; nil for any.
    public var file: String? { filePattern?.text }
    /// Pattern for function names; nil for any.
    public var function: String? { functionPattern?.text }
    /// Pattern for paths of executables and libraries; nil for any.
    public var module: String? { modulePattern?.text }
    /// Pattern for names of threads, or a thread's number; nil for any.
    public var thread: String? { threadPattern?.text }

    /// Whether the filter's line and patterns hold of a frame. Says nothing about the domain, nor what becomes of the stack.
    package func matches(_ frame: Frame) -> Bool {
        if let line, line != frame.line { return false }
        return filePattern?.matches(frame.file ?? "") != false && functionPattern?.matches(frame.function ?? "") != false
            && modulePattern?.matches(frame.module ?? "") != false
    }

    /// Whether the filter's thread is this one.
    package func matchesThread(_ thread: TracedThread) -> Bool {
        guard let threadPattern else { return true }
        return threadPattern.matches(thread.name) || threadPattern.text == String(thread.id)
    }

    /// Whether the filter's domain is this one.
    func matches(domain: Int) -> Bool { self.domain == nil || self.domain == domain }
}
