// CountedThread.swift: the one thread on which tests with limits run.
import Glibc
import Synchronization
import TraceMalloc

/// Runs the jobs of one test at a time on a thread that runs nothing else.
final class CountedThread: TaskExecutor {
    static let shared = CountedThread()

    private let jobs = Mutex<[UnownedJob]>([])
    private let semaphore = Semaphore()

    private init() {
        let body = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<CountedThread>.fromOpaque(argument).takeUnretainedValue().work() }
                return nil
            }, body)
        precondition(failure == 0, "no thread for tests with allocation limits: \(String(cString: strerror(failure)))")
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // Also called by the counted thread itself.
        AllocationWindow.ignoring { jobs.withLock { $0.append(job) } }
        semaphore.signal()
    }

    private func work() {
        while true {
            semaphore.wait()
            let job = AllocationWindow.ignoring { jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
            job?.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// Counts up and down; who takes from zero waits.
private final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) != 0 {} }
}
