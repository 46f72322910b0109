// ProfileError.swift: questions that a snapshot cannot answer, as sentences.

/// Why statistics cannot be made.
public enum ProfileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A whole call stack has no part that could be charged with what its callees did.
    case cumulativeTraceback
    /// An object has one type, not one for each frame.
    case cumulativeType

    /// A sentence for people, with the way out.
    public var description: String {
        switch self {
        case .cumulativeTraceback:
            "cumulative statistics cannot be grouped by traceback; group by line, function, file or module"
        case .cumulativeType:
            "cumulative statistics cannot be grouped by type; group by line, function, file or module"
        }
    }
}
