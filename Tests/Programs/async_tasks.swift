// async_tasks.swift: async functions, a task group, async let, an actor, sleep; each allocates sizes of its own innermost.
// "await SIZE LINE…" says at which line a size is allocated and at which lines that is awaited, from the inside out.
#if canImport(Glibc)
    import Glibc
#endif

nonisolated(unsafe) var kept: [UnsafeMutableRawPointer?] = []
nonisolated(unsafe) let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

@inline(never) func keep(_ size: Int) {
    pthread_mutex_lock(lock)
    kept.append(malloc(size))
    pthread_mutex_unlock(lock)
}

@inline(never) func say(_ word: String, _ size: Int, _ lines: [Int]) {
    let text = lines.reduce("\(word) \(size)") { "\($0) \($1)" } + "\n"
    // One write a line: tasks share the output.
    _ = text.withCString { write(1, $0, strlen($0)) }
}

@inline(never) func innermost(_ size: Int, _ lines: [Int]) async {
    say("await", size, [#line + 1] + lines)
    keep(size)
}

@inline(never) func middle(_ size: Int, _ lines: [Int]) async {
    await innermost(size, [#line] + lines)
    try? await Task.sleep(nanoseconds: 2_000_000)
    // On another thread now, perhaps.
    await innermost(size + 1, [#line] + lines)
    say("await", size + 2, [#line + 1] + lines)
    keep(size + 2)
}

@inline(never) func outer(_ size: Int, _ lines: [Int]) async {
    await middle(size, [#line] + lines)
    await Task.yield()
    say("await", size + 3, [#line + 1] + lines)
    keep(size + 3)
}

@inline(never) func answer(_ size: Int, _ lines: [Int]) async -> Int {
    await outer(size, [#line] + lines)
    return kept.count
}

actor Store {
    var count = 0

    @inline(never) func add(_ size: Int, _ lines: [Int]) async {
        count += 1
        say("await", size + 4, [#line + 1] + lines)
        keep(size + 4)
        await outer(size, [#line] + lines)
        count += 1
    }
}

@inline(never) func descend(_ depth: Int, _ size: Int) async {
    if depth == 0 { keep(size) } else { await descend(depth - 1, size) }
    if depth == 0 { await Task.yield() }
}

@main struct Main {
    static func main() async {
        pthread_mutex_init(lock, nil)
        await outer(10_000, [#line])

        await withTaskGroup(of: Void.self) { group in
            for index in 0..<4 {
                group.addTask { await outer(20_000 + 10 * index, [#line]) }
            }
        }

        // Of closures that end alike the optimizer keeps one, and the lines of that one: these differ.
        async let one: Int = answer(30_000, [#line])
        async let other: Void = outer(30_010, [#line])
        _ = await (one, other)

        let store = Store()
        await store.add(40_000, [#line])
        await withTaskGroup(of: Void.self) { group in
            for index in 1..<4 {
                group.addTask { await store.add(40_000 + 10 * index, [#line]) }
            }
        }

        await Task.detached {
            await middle(50_000, [#line])
            keep(50_003)
            say("await", 50_003, [#line - 1])
        }.value

        await descend(40, 60_000)
        await descend(200, 60_001)

        // One context after another at the same address.
        for round in 0..<10 {
            await innermost(70_000 + round, [#line])
            await innermost(70_010 + round, [#line])
        }
    }
}
