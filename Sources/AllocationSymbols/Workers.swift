// Workers.swift: independent pieces of work on a few threads.
import Glibc
import Synchronization

/// Work that is taken piece by piece.
final class Workers<Result: Sendable>: Sendable {
    private let results: Mutex<[Result?]>
    private let next = Atomic<Int>(0)
    private let count: Int
    private let body: @Sendable (Int) -> Result

    private init(count: Int, body: @escaping @Sendable (Int) -> Result) {
        self.count = count
        self.body = body
        results = Mutex(Array(repeating: nil, count: count))
    }

    /// Results in the order of the pieces, which are begun in that order. Where no thread is wanted, or can be had, it runs here.
    static func map(
        count: Int, threads: Int, prologue: (@Sendable () -> Void)?, _ body: @escaping @Sendable (Int) -> Result
    ) -> [Result] {
        let workers = Workers(count: count, body: body)
        let started = (0..<min(threads, count)).compactMap { _ in
            startThread {
                prologue?()
                workers.work()
            }
        }
        for thread in started { pthread_join(thread, nil) }
        workers.work()
        return workers.results.withLock { results in results.compactMap { $0 } }
    }

    private func work() {
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            let result = body(index)
            results.withLock { $0[index] = result }
        }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// A thread with a large stack: demanglers recurse, and take stack in proportion to a name's length.
private func startThread(_ run: @escaping @Sendable () -> Void) -> pthread_t? {
    var attributes = pthread_attr_t()
    guard pthread_attr_init(&attributes) == 0 else { return nil }
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 64 << 20)
    let body = Unmanaged.passRetained(ThreadBody(run))
    var thread = pthread_t()
    let failure = pthread_create(
        &thread, &attributes,
        { argument in
            if let argument { Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, body.toOpaque())
    guard failure == 0 else {
        body.release()
        return nil
    }
    return thread
}
