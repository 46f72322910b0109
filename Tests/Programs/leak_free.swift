// leak_free.swift: objects that are held in one way only each, while threads and tasks work; loses nothing.
//
// A program of its own says "ready" and ends with its input; TracerBehaviors has the same objects while it looks at itself.
import Dispatch
import Glibc
import Synchronization

private final class Item: @unchecked Sendable {
    var name = "an item whose name is too long for a small string"
    var next: Item?
    var onClose: (() -> Void)?
    var table: [String: Item] = [:]
    func touch() { name += "." }
}

/// Weak and unowned references back.
private final class Owner: @unchecked Sendable {
    var part: Part?
    static let shared = Owner()
}
private final class Part {
    weak var owner: Owner?
    unowned let maker: Owner
    init(_ owner: Owner) {
        self.owner = owner
        maker = owner
    }
}

private actor Desk {
    var items: [Item] = []
    func take(_ item: Item) {
        items.append(item)
        if items.count > 64 { items.removeFirst(32) }
    }
}

/// Holds things, and keeps eight threads busy.
final class LeakFree: Sendable {
    private let isOver = Atomic(false)
    private let holders = Atomic(0)
    private let running = Atomic(0)
    private let cache = Mutex<[Int: Item]>([:])
    private let desk = Desk()
    private let queue = DispatchQueue(label: "held")
    private let continuations = Mutex<[UnsafeContinuation<Void, Never>]>([])
    @TaskLocal private static var context: Item?

    /// Everything is held when it returns.
    /// - Parameter pause: microseconds that a thread rests now and then.
    func start(threads: Int = 8, pause: UInt32 = 0) async {
        Owner.shared.part = Part(Owner.shared)
        holdOnThreads()
        holdInTasks()
        holdInQueues()
        while holders.load(ordering: .acquiring) < 8 { try? await Task.sleep(for: .milliseconds(1)) }
        for number in 0..<threads { thread { $0.work(number, pause) } }
    }

    func stop() {
        isOver.store(true, ordering: .releasing)
        while running.load(ordering: .acquiring) > 0 { usleep(1000) }
        for continuation in continuations.withLock({ $0 }) { continuation.resume() }
        queue.resume()
    }

    private func thread(_ body: @escaping @Sendable (LeakFree) -> Void) {
        running.add(1, ordering: .relaxed)
        final class Start {
            let owner: LeakFree
            let body: @Sendable (LeakFree) -> Void
            init(_ owner: LeakFree, _ body: @escaping @Sendable (LeakFree) -> Void) {
                self.owner = owner
                self.body = body
            }
        }
        var handle = pthread_t()
        pthread_create(
            &handle, nil,
            { argument in
                if let argument {
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    start.body(start.owner)
                    start.owner.running.subtract(1, ordering: .releasing)
                }
                return nil
            }, Unmanaged.passRetained(Start(self, body)).toOpaque())
        pthread_detach(handle)
    }

    private func waitForEnd() { while !isOver.load(ordering: .relaxed) { usleep(1000) } }
    private func isHeld() { holders.add(1, ordering: .releasing) }

    private func holdOnThreads() {
        thread { free in
            let item = Item()
            free.isHeld()
            free.waitForEnd()
            item.touch()
        }
        thread { free in
            var key = pthread_key_t()
            pthread_key_create(&key, nil)
            pthread_setspecific(key, Unmanaged.passRetained(Item()).toOpaque())
            free.isHeld()
            free.waitForEnd()
            if let item = pthread_getspecific(key) { Unmanaged<Item>.fromOpaque(item).release() }
        }
    }

    private func holdInTasks() {
        Task {
            let item = Item()
            isHeld()
            try? await Task.sleep(for: .seconds(7200))
            item.touch()
        }
        Task {
            let item = Item()
            await withUnsafeContinuation { continuation in
                continuations.withLock { $0.append(continuation) }
                isHeld()
            }
            item.touch()
        }
        Task {
            let item = Item()
            await Self.$context.withValue(item) {
                await withTaskGroup(of: Item.self) { group in
                    for _ in 0..<3 {
                        group.addTask {
                            let item = Item()
                            try? await Task.sleep(for: .seconds(7200))
                            return item
                        }
                    }
                    isHeld()
                    for await item in group { item.touch() }
                }
            }
        }
        Task {
            let (stream, source) = AsyncStream<Item>.makeStream()
            for _ in 0..<10 { source.yield(Item()) }
            isHeld()
            var count = 0
            for await item in stream {
                item.touch()
                count += 1
                if count == 10 { try? await Task.sleep(for: .seconds(7200)) }
            }
        }
    }

    private func holdInQueues() {
        queue.suspend()
        let item = Item()
        queue.async { item.touch() }
        isHeld()
        let later = Item()
        DispatchQueue.global().asyncAfter(deadline: .now() + 7200) { later.touch() }
        isHeld()
    }

    private func work(_ number: Int, _ pause: UInt32) {
        var round = 0
        while !isOver.load(ordering: .relaxed) {
            // Held from this stack, through a list, a closure, tables and a weak reference.
            let first = Item()
            var last = first
            for index in 0..<20 {
                let next = Item()
                next.name = "item \(index) of a line that goes further than a small string"
                last.next = next
                last = next
            }
            first.onClose = { [weak first] in _ = first?.name }
            for index in 0..<16 { last.table["key \(index) that does not fit into a small string"] = Item() }
            let owner = Owner()
            owner.part = Part(owner)
            round += 1
            if pause > 0, round % 4 == 0 { usleep(pause) }
            if round % 8 == 0 {
                cache.withLock { cache in
                    cache[round % 64 * 8 + number] = first
                    if cache.count > 300 { cache.removeAll() }
                }
            }
            if round % 64 == 0 {
                let desk = desk
                Task {
                    let item = Item()
                    await desk.take(item)
                    await Task.yield()
                    item.touch()
                }
            }
            withExtendedLifetime((first, owner)) {}
        }
    }
}

#if LEAK_FREE_PROGRAM
    @main
    struct Program {
        static func main() async {
            setvbuf(stdout, nil, _IOLBF, 0)
            let free = LeakFree()
            await free.start(threads: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 8)
            print("ready")
            while readLine() != nil {}
            withExtendedLifetime(free) {}
        }
    }
#endif
