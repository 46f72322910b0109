// LeakReport.swift: the blocks that a program cannot reach any more.

/// What a program lost: blocks to which no register, stack, thread-local, global variable or reachable block refers.
///
/// What is merely still alive is not called a leak.
public struct LeakReport: Sendable {
    /// The process that was looked at.
    public package(set) var processID: Int32
    /// Everything that was alive.
    public package(set) var live: Tally
    /// All leaked blocks.
    public package(set) var leaked: Tally
    /// Blocks that are not reachable, and not reported because a suppression says so.
    public package(set) var suppressed: Tally
    /// The leaks, each kind once: the one that holds most bytes first.
    public package(set) var leaks: [Leak]
    /// Seconds for which the program stood still.
    public package(set) var pause: Double
    /// The part of the pause that went into copying memory.
    package var copying: Double
    /// What limits the answer, in sentences.
    public package(set) var warnings: [String]

    package init(processID: Int32) {
        self.processID = processID
        live = .zero
        leaked = .zero
        suppressed = .zero
        leaks = []
        pause = 0
        copying = 0
        warnings = []
    }
}

/// Leaks that are alike: allocated by the same stack, of the same type, held in the same way.
public struct Leak: Hashable, Sendable {
    /// Why the memory was never freed.
    public enum Kind: String, Hashable, Sendable {
        /// Nobody refers to it.
        case root = "root leak"
        /// Swift objects that keep each other alive.
        case cycle = "retain cycle"
    }

    /// Why the memory was never freed.
    public package(set) var kind: Kind
    /// How many leaks are alike.
    public package(set) var instances: Int
    /// The leaked blocks themselves: of a cycle all of its objects.
    public package(set) var own: Tally
    /// With everything that only they keep alive.
    public package(set) var total: Tally
    /// Swift type; nil for other memory.
    public package(set) var typeName: String?
    /// For a cycle the references around it: `Parent.children`, `[0]`, `Child.parent`.
    public package(set) var path: [String]
    /// The objects of the first one.
    public package(set) var objects: [LeakedObject]
    /// Where it was allocated, innermost frame first.
    public package(set) var callStack: CallStack

    package init(kind: Kind, typeName: String?, path: [String], callStack: CallStack) {
        self.kind = kind
        instances = 0
        own = .zero
        total = .zero
        self.typeName = typeName
        self.path = path
        objects = []
        self.callStack = callStack
    }
}

/// One block of a leak.
public struct LeakedObject: Hashable, Sendable {
    /// Where it is. A report that is kept does not keep what it reports, in the eyes of the next search.
    public var address: UInt64 { hidden.value }
    private var hidden: HiddenAddress
    /// Requested bytes.
    public package(set) var size: Int
    /// Swift type; nil for other memory.
    public package(set) var typeName: String?
    /// References to a Swift object, as its counts have them; nil for other memory.
    public package(set) var strong: Int?
    /// Unowned references; nil for other memory.
    public package(set) var unowned: Int?
    /// Weak references; nil for other memory.
    public package(set) var weak: Int?
    /// Where it was allocated, innermost frame first.
    public package(set) var callStack: CallStack

    package init(address: UInt64, size: Int, typeName: String? = nil, callStack: CallStack) {
        hidden = HiddenAddress(address)
        self.size = size
        self.typeName = typeName
        self.callStack = callStack
    }
}
