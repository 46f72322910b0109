// Metric.swift: the four questions that a profile answers about a call stack.

/// What is counted.
public enum Metric: String, CaseIterable, Sendable, Codable {
    /// Blocks that are alive: at the end of the run, or at the moment of the snapshot.
    case current
    /// Blocks that were alive when the process's live bytes reached their maximum.
    case peak
    /// Everything that was ever allocated.
    case total
    /// Blocks that were freed before the same thread allocated anything else.
    case temporary
}
