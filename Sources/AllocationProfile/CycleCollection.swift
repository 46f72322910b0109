// CycleCollection.swift: what came of an attempt to free retain cycles.

/// Retain cycles that were freed, and those that were left alone.
public struct CycleCollection: Sendable {
    /// A cycle that was left alone.
    public struct Refusal: Sendable, CustomStringConvertible {
        /// What it consists of.
        public package(set) var cycle: Leak
        /// Why it was not freed, in a sentence.
        public package(set) var reason: String

        package init(cycle: Leak, reason: String) {
            self.cycle = cycle
            self.reason = reason
        }

        /// The cycle and the reason.
        public var description: String { "\(cycle): left alone, because \(reason)" }
    }

    /// Each cycle that was freed, as it was before.
    public package(set) var freed: [Leak] = []
    /// Each cycle that was not.
    public package(set) var refused: [Refusal] = []

    package init() {}

    /// What was freed, with all that only the cycles kept.
    public var total: Tally { freed.reduce(.zero) { $0 + $1.total } }
}
