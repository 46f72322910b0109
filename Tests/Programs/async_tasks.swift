// async_tasks.swift: async functions, a task group, async let, an actor, sleep; each allocates a size of its own innermost.
// "await SIZE FUNCTION LINE …" names, from the inside out, the functions that await the allocation and the lines where they do.
#if canImport(Glibc)
import Glibc
#endif

nonisolated(unsafe) var kept: [UnsafeMutableRawPointer?] = []
let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

/// One place that awaits.
struct Place { var function: String, line: Int }

@inline(never) func keep(_ size: Int) {
    pthread_mutex_lock(lock)
    kept.append(malloc(size))
    pthread_mutex_unlock(lock)
}

func say(_ size: Int, _ places: [Place]) {
    var text = "await \(size)"
    for place in places { text += " \(place.function) \(place.line)" }
    text += "\n"
    // One write a line: tasks share the output.
    _ = text.withCString { write(1, $0, strlen($0)) }
}

@inline(never) func innermost(_ size: Int, _ places: [Place]) async {
    keep(size)
    say(size, [Place(function: "innermost", line: #line - 1)] + places)
}

@inline(never) func middle(_ size: Int, _ places: [Place]) async {
    await innermost(size, [Place(function: "middle", line: #line)] + places)
    try? await Task.sleep(nanoseconds: 2_000_000)
    // On another thread now, perhaps.
    await innermost(size + 1, [Place(function: "middle", line: #line)] + places)
    keep(size + 2)
    say(size + 2, [Place(function: "middle", line: #line - 1)] + places)
}

@inline(never) func outer(_ size: Int, _ places: [Place]) async {
    await middle(size, [Place(function: "outer", line: #line)] + places)
    await Task.yield()
    keep(size + 3)
    say(size + 3, [Place(function: "outer", line: #line - 1)] + places)
}

actor Store {
    var count = 0
    @inline(never) func add(_ size: Int, _ places: [Place]) async {
        count += 1
        keep(size + 7)
        say(size + 7, [Place(function: "add", line: #line - 1)] + places)
        await outer(size, [Place(function: "add", line: #line)] + places)
        count += 1
    }
}

@inline(never) func deep(_ depth: Int, _ size: Int) async {
    if depth == 0 { keep(size) } else { await deep(depth - 1, size) }
    if depth == 0 { await Task.yield() }
}

@main struct Main {
    static func main() async {
        pthread_mutex_init(lock, nil)
        await outer(10_000, [Place(function: "main", line: #line)])

        await withTaskGroup(of: Void.self) { group in
            for index in 0..<4 {
                group.addTask {
                    await outer(20_000 + 10 * index, [Place(function: "closure", line: #line)])
                }
            }
            await group.waitForAll()
        }

        async let one: Void = outer(30_000, [])
        async let other: Void = outer(30_010, [])
        _ = await (one, other)

        let store = Store()
        await store.add(40_000, [Place(function: "main", line: #line)])
        await withTaskGroup(of: Void.self) { group in
            for index in 1..<3 {
                group.addTask {
                    await store.add(40_000 + 10 * index, [Place(function: "closure", line: #line)])
                }
            }
        }

        let detached = Task.detached { await middle(50_000, [Place(function: "closure", line: #line)]) }
        await detached.value

        // Beyond the limit of parents the innermost are kept.
        await deep(40, 60_000)
        await deep(200, 60_010)
        // The same context addresses again and again, awaited elsewhere.
        for round in 0..<3 {
            await innermost(70_000 + round, [Place(function: "main", line: #line)])
            await innermost(70_010 + round, [Place(function: "main", line: #line)])
        }
    }
}
