// ProfileError.swift: questions that a snapshot cannot answer, as sentences.

/// Why statistics cannot be made.
public enum ProfileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A whole call stack has no part that could be charged with what its callees did.
    case cumulativeTraceback
    /// The snapshot knows no types.
    case typesNotRecorded

    /// A sentence for people, with the way out.
    public var description: String {
        switch self {
        case .cumulativeTraceback:
            "cumulative statistics cannot be grouped by traceback; group by line, function, file or module"
        case .typesNotRecorded:
            "types are not recorded in this snapshot; group by line, function, file, module or traceback"
        }
    }
}
