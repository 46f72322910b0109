// Allocating.swift: known allocations at known lines. The optimizer must neither remove them nor move them into callers.
import Glibc
import Synchronization
import TraceMalloc

/// What passes through a variable that others could read is not optimized away.
nonisolated(unsafe) public var keptBlock: UnsafeMutableRawPointer?

@inline(never)
func keep(_ block: UnsafeMutableRawPointer?) {
    keptBlock = block
}

/// A block and the line that allocated it.
struct Block: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    let line: Int

    func release() { free(address) }
}

@inline(never)
func allocate(_ size: Int) -> Block {
    Block(address: malloc(size)!, line: #line)
}

@inline(never)
func allocateElsewhere(_ size: Int) -> Block {
    Block(address: malloc(size)!, line: #line)
}

@inline(never)
func reallocate(_ block: Block, _ size: Int) -> Block {
    Block(address: realloc(block.address, size)!, line: #line)
}

/// Calls itself `depth` times before it allocates.
@inline(never)
func allocateDeeply(_ depth: Int, _ size: Int) -> Block {
    if depth == 0 { return allocate(size) }
    let block = allocateDeeply(depth - 1, size)
    return Block(address: block.address, line: block.line)
}

/// What initializes it stands on the stack of its allocation.
final class Node {
    var next: Node?
    weak var observer: Node?
    unowned var owner: Node?
}

@inline(never)
func makeNode() -> (node: Node, line: Int) {
    (Node(), #line)
}

extension CallStack {
    /// Whether a line of Allocating.swift stands on the stack.
    func contains(line: Int) -> Bool { contains { $0.place == "Allocating.swift:\(line)" } }

    /// `Allocating.swift:17` of the innermost frame of ours.
    var site: String {
        let ours = first { $0.file?.contains("TracerBehaviors") == true }
        return ours?.place ?? "no frame of ours in \(debugDescription)"
    }
}

extension Frame {
    /// The last component of the file, and the line.
    var place: String { "\(file?.split(separator: "/").last ?? "?"):\(line ?? 0)" }
}

extension Snapshot {
    /// What is charged to a line of Allocating.swift.
    func tally(atLine line: Int, measuring metric: Metric = .current) throws -> Tally {
        let statistics = try statistics(groupedBy: .line, measuring: metric)
        return statistics.first { $0.site?.place == "Allocating.swift:\(line)" }?.tally ?? .zero
    }
}

/// Threads that are there from the start and do what they are told, so that starting them does not show in any figure.
final class Workers: Sendable {
    private let turn = Atomic(0)
    private let done = Atomic(0)
    private let count: Int
    private let work: @Sendable (Int) -> Void

    init(count: Int, _ work: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.work = work
        for index in 0..<count {
            startThread { [self] in
                var seen = 0
                while seen >= 0 {
                    while turn.load(ordering: .acquiring) == seen { usleep(50) }
                    seen = turn.load(ordering: .acquiring)
                    if seen > 0 { work(index) }
                    done.add(1, ordering: .acquiringAndReleasing)
                }
            }
        }
    }

    /// Lets every thread do its work once, and waits for all.
    func run(last: Bool = false) {
        done.store(0, ordering: .releasing)
        turn.store(last ? -1 : turn.load(ordering: .acquiring) + 1, ordering: .releasing)
        while done.load(ordering: .acquiring) < count { usleep(50) }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

@discardableResult
func startThread(_ run: @escaping @Sendable () -> Void) -> pthread_t {
    var thread = pthread_t()
    let body = Unmanaged.passRetained(ThreadBody(run)).toOpaque()
    let failure = pthread_create(
        &thread, nil,
        { argument in
            Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, body)
    precondition(failure == 0)
    return thread
}
