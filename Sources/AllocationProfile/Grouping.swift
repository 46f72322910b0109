// Grouping.swift: by what statistics are summed up.

/// The key by which the blocks of a snapshot are grouped.
public enum Grouping: String, CaseIterable, Sendable, Codable {
    /// File and line of the call site.
    case line
    /// Function of the call site.
    case function
    /// Source file of the call site.
    case file
    /// Executable or shared library of the call site.
    case module
    /// Type of the allocated object.
    case type
    /// The whole call stack.
    case traceback
}

/// Which frame of a call stack is charged with its cost.
public enum Attribution: String, CaseIterable, Sendable, Codable {
    /// The innermost frame that is not allocator, language runtime or standard library; the innermost if there is none.
    case user
    /// The innermost frame, whatever it is.
    case innermost
}
