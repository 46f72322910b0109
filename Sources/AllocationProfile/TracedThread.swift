// TracedThread.swift: a thread that allocated.

/// A thread of the traced program.
public struct TracedThread: Hashable, Sendable, CustomStringConvertible {
    /// The kernel's number of the thread; 0 for `others`.
    public let id: Int32
    /// What the program called it, at most 15 bytes; of the thread that began the program the program's name. Empty when it ended
    /// before its name was looked up.
    public let name: String

    /// A thread.
    public init(id: Int32, name: String) {
        self.id = id
        self.name = name
    }

    /// All threads together that have no figures of their own: those that began when there were 64 others.
    public static let others = TracedThread(id: 0, name: "")

    /// `worker (4711)`, `thread 4711`, or `other threads`.
    public var description: String {
        if id == 0 { return "other threads" }
        return name.isEmpty ? "thread \(id)" : "\(name) (\(id))"
    }
}

extension Snapshot {
    /// The thread of a cost; `others` for what a damaged file says of no thread.
    package func thread(_ number: Int32) -> TracedThread {
        threads.indices.contains(Int(number)) ? threads[Int(number)] : .others
    }
}
