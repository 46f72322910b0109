// Filter.swift: which stacks of a snapshot to keep.

/// A condition on call stacks. All parts that are given must hold of one frame; a filter without parts matches every stack.
///
///     snapshot.filtered(by: [.include(file: "*/Sources/*"), .exclude(function: "*Cache*", allFrames: true)])
public struct Filter: Hashable, Sendable {
    /// Whether stacks that match are kept or dropped.
    public let isInclusive: Bool
    /// Source line; nil for any.
    public let line: Int?
    /// Looks at all frames of a stack instead of the call site only.
    public let allFrames: Bool
    /// Address space; nil for any. All blocks of a recording are in 0.
    public let domain: Int?
    private let filePattern: Pattern?
    private let functionPattern: Pattern?
    private let modulePattern: Pattern?

    /// Keeps stacks that match. Patterns are matched with the whole path or name: `*` any text, `?` any character, `[seq]`,
    /// `[!seq]`; case counts. What is not known of a frame matches as empty text.
    public static func include(
        file: String? = nil, line: Int? = nil, function: String? = nil, module: String? = nil, allFrames: Bool = false, domain: Int? = nil
    ) -> Filter {
        Filter(isInclusive: true, file, line, function, module, allFrames, domain)
    }

    /// Drops stacks that match; patterns as for `include`.
    public static func exclude(
        file: String? = nil, line: Int? = nil, function: String? = nil, module: String? = nil, allFrames: Bool = false, domain: Int? = nil
    ) -> Filter {
        Filter(isInclusive: false, file, line, function, module, allFrames, domain)
    }

    private init(
        isInclusive: Bool, _ file: String?, _ line: Int?, _ function: String?, _ module: String?, _ allFrames: Bool, _ domain: Int?
    ) {
        self.isInclusive = isInclusive
        self.line = line
        self.allFrames = allFrames
        self.domain = domain
        filePattern = file.map(Pattern.init)
        functionPattern = function.map(Pattern.init)
        modulePattern = module.map(Pattern.init)
    }

    /// Pattern for source files; nil for any.
    public var file: String? { filePattern?.text }
    /// Pattern for function names; nil for any.
    public var function: String? { functionPattern?.text }
    /// Pattern for paths of executables and libraries; nil for any.
    public var module: String? { modulePattern?.text }

    /// Whether the filter's line and patterns hold of a frame. Says nothing about the domain, nor what becomes of the stack.
    package func matches(_ frame: Frame) -> Bool {
        if let line, line != frame.line { return false }
        return filePattern?.matches(frame.file ?? "") != false && functionPattern?.matches(frame.function ?? "") != false
            && modulePattern?.matches(frame.module ?? "") != false
    }

    /// Whether it can match a recorded block at all.
    var matchesDomain: Bool { domain == nil || domain == 0 }
}
