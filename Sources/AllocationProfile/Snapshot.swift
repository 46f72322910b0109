// Snapshot.swift: what is known about one process's memory at one moment, as a value.

/// A frozen picture of one process's allocations.
///
/// A snapshot holds each distinct call stack once, with its costs, and the tables that give the stacks names. It is a
/// value: filtering, grouping and comparing make new values, and it outlives the process that it describes.
///
/// The tables are columns, not object graphs: a compiler run has several hundred thousand distinct stacks.
public struct Snapshot: Sendable {
    /// Who was traced, and the figures of the whole process.
    public package(set) var process: ProcessSummary
    /// Executable and shared libraries, in the order in which they were seen. `Location.module` indexes it.
    package var modules: [Module]
    /// Distinct code addresses. `StackNode.location` indexes it.
    package var locations: [Location]
    /// The tree of stacks. Node 0 is the root "outside of everything"; a node's parent has a smaller index.
    package var nodes: [StackNode]
    /// Threads that have costs of their own. Element 0 stands for all others; `StackCost.thread` indexes it.
    package var threads: [TracedThread]
    /// Costs of each stack that allocated, apart for each domain and thread: `stack` is the innermost node. Unique and ascending
    /// by (stack, domain, thread).
    package var costs: [StackCost]
    /// What `StackCost.sizes` and `StackCost.lifetimes` index.
    package var histograms: Histograms
    /// Memory over time, oldest first.
    package var timeline: [TimelinePoint]
    /// Marks, oldest first; element 0 begins with the recording. Each begins a generation.
    package var marks: [Mark]
    /// Bytes and blocks that are alive, by stack and generation. Only for stacks with live blocks; ascending by
    /// (stack, domain, thread, generation).
    package var liveByGeneration: [GenerationCost]
    /// Names of object types. `ObjectCost.type` indexes it; the empty name stands for objects whose type was not seen.
    package var types: [String]
    /// The types of stacks that allocate objects; ascending by (stack, type).
    package var objects: [ObjectCost]

    package init(process: ProcessSummary) {
        self.process = process
        modules = []
        locations = []
        nodes = [StackNode(parent: 0, location: StackNode.noLocation)]
        threads = [.others]
        costs = []
        histograms = Histograms()
        timeline = []
        marks = []
        liveByGeneration = []
        types = []
        objects = []
    }
}

/// A loaded executable or shared library.
package struct Module: Hashable, Sendable {
    package var path: String
    /// Empty when the file has none.
    package var buildID: [UInt8]
    /// Mapped range.
    package var start: UInt64
    package var end: UInt64
    /// Run-time address minus address in the file.
    package var bias: UInt64

    package init(path: String, buildID: [UInt8] = [], start: UInt64 = 0, end: UInt64 = 0, bias: UInt64 = 0) {
        self.path = path
        self.buildID = buildID
        self.start = start
        self.end = end
        self.bias = bias
    }
}

/// Addresses in one module that stand in stacks, and will be asked for their names.
package struct ModuleAddresses: Sendable {
    package var module: Module
    /// As in its file: without the bias. In no order, and unique.
    package var addresses: [UInt64]

    package init(module: Module, addresses: [UInt64]) {
        self.module = module
        self.addresses = addresses
    }
}

/// One code address, named or not yet.
package struct Location: Hashable, Sendable {
    /// Return address, or the interrupted instruction when `isExact`: see `lookupAddress`.
    package var address: UInt64
    /// Index into `Snapshot.modules`, -1 when the address lies in none.
    package var module: Int32
    /// `address` is the instruction itself, not the one after a call (signal frames).
    package var isExact: Bool
    /// An async parent's resume address.
    package var isAsync: Bool
    /// Innermost first: inlined functions, then the function that contains the code. Empty until symbolicated.
    package var frames: [Frame]

    package init(address: UInt64, module: Int32, isExact: Bool = false, isAsync: Bool = false, frames: [Frame] = []) {
        self.address = address
        self.module = module
        self.isExact = isExact
        self.isAsync = isAsync
        self.frames = frames
    }

    /// The address of the call instruction: the one place where the return-address-minus-one rule lives.
    /// An async parent resumes at the start of a function: nothing was called there.
    package var lookupAddress: UInt64 { isExact || isAsync || address == 0 ? address : address - 1 }
}

/// A frame under its caller.
package struct StackNode: Hashable, Sendable {
    /// The caller's node; 0 for outermost frames.
    package var parent: Int32
    /// Index into `Snapshot.locations`, or `noLocation` for the root and `cut`.
    package var location: Int32

    package static let noLocation: Int32 = -1
    /// Location of a node that stands for outer frames that were cut off by the depth limit.
    package static let cut: Int32 = -2
    /// Location of the node that stands for stacks that found no room in the recording.
    package static let lost: Int32 = -3

    package init(parent: Int32, location: Int32) {
        self.parent = parent
        self.location = location
    }
}

/// What one call stack allocated in one domain on one thread.
package struct StackCost: Hashable, Sendable {
    /// Index into `Snapshot.nodes`.
    package var stack: Int32
    /// 0 for blocks of malloc; others are the program's own, see `AllocationTracer.track`.
    package var domain = 0
    /// Index into `Snapshot.threads`: who allocated it, whoever freed it.
    package var thread: Int32 = 0
    package var current = Tally.zero
    package var peak = Tally.zero
    package var total = Tally.zero
    package var temporary = Tally.zero
    /// Reallocations that grew a block to this stack's size, and by how many bytes in all.
    package var growth = Tally.zero
    /// Index into `Snapshot.histograms`. Allocations by size: element i counts sizes in [2^(i-1), 2^i), element 0 size 0; the last
    /// one takes the rest. Empty when unknown, else `sizeBuckets` elements.
    package var sizes = Histograms.unknown
    /// The same for freed blocks by lifetime: element i counts lifetimes in [4^(i-1), 4^i) microseconds, element 0 below 1 µs. A
    /// lifetime is known to a few microseconds. Empty when unknown, else `lifetimeBuckets` elements.
    package var lifetimes = Histograms.unknown

    @inlinable package static var sizeBuckets: Int { 32 }
    @inlinable package static var lifetimeBuckets: Int { 20 }

    package init(stack: Int32) { self.stack = stack }

    /// The two are costs of the same stack, domain and thread.
    package func isSameGroup(as other: StackCost) -> Bool {
        (stack, domain, thread) == (other.stack, other.domain, other.thread)
    }

    package subscript(metric: Metric) -> Tally {
        switch metric {
        case .current: current
        case .peak: peak
        case .total: total
        case .temporary: temporary
        }
    }
}

/// Histograms that stacks have in common, each hardly ever twice: costs have their numbers, and so are copied and compared without them.
package struct Histograms: Sendable {
    /// By number. Number 0 is unknown, and has no elements.
    package private(set) var all: [[UInt64]] = [[]]
    private var numbers: [[UInt64]: Int32] = [:]

    package static let unknown: Int32 = 0

    package init() {}

    /// The number of these counts, given at their first use.
    package mutating func number(of counts: [UInt64]) -> Int32 {
        if counts.isEmpty { return Histograms.unknown }
        if let known = numbers[counts] { return known }
        let number = add(counts)
        numbers[counts] = number
        return number
    }

    /// A number of its own for counts, at least one, that are not there yet.
    package mutating func add(_ counts: [UInt64]) -> Int32 {
        all.append(counts)
        return Int32(truncatingIfNeeded: all.count - 1)
    }

    /// Empty when there is no such number.
    package subscript(number: Int32) -> [UInt64] { all.indices.contains(Int(number)) ? all[Int(number)] : [] }
}

/// Memory at one moment.
package struct TimelinePoint: Hashable, Sendable {
    /// Seconds since the recording started.
    package var time: Double
    package var live: Tally
    /// Resident set size in bytes; 0 when unknown.
    package var residentBytes: Int
    /// The largest stacks at that time: (stack, live bytes), largest first, a handful.
    package var largest: [(stack: Int32, bytes: Int)]

    package init(time: Double, live: Tally, residentBytes: Int, largest: [(stack: Int32, bytes: Int)] = []) {
        self.time = time
        self.live = live
        self.residentBytes = residentBytes
        self.largest = largest
    }

    package static func == (left: TimelinePoint, right: TimelinePoint) -> Bool {
        left.time == right.time && left.live == right.live && left.residentBytes == right.residentBytes
            && left.largest.elementsEqual(right.largest, by: ==)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(time)
        hasher.combine(live)
    }
}

/// The beginning of a generation.
package struct Mark: Hashable, Sendable {
    /// Empty when the mark has no name.
    package var name: String
    /// Seconds since the recording started.
    package var start: Double

    package init(name: String, start: Double) {
        self.name = name
        self.start = start
    }
}

/// Live memory of one stack, domain and thread that was born in one generation.
package struct GenerationCost: Hashable, Sendable {
    package var stack: Int32
    /// As in `StackCost`.
    package var domain: Int
    package var thread: Int32
    package var generation: Int32
    package var live: Tally

    /// The two differ in nothing but the memory.
    package func isSameGroup(as other: GenerationCost) -> Bool {
        (stack, domain, thread, generation) == (other.stack, other.domain, other.thread, other.generation)
    }

    package init(stack: Int32, domain: Int = 0, thread: Int32 = 0, generation: Int32, live: Tally) {
        self.stack = stack
        self.domain = domain
        self.thread = thread
        self.generation = generation
        self.live = live
    }
}
