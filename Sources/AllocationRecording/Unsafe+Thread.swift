// Unsafe+Thread.swift: a thread of the collector's, and waiting for what it does.
import CRecording
import Glibc

extension Unsafe {
    /// A value that one thread makes and another one, which is started with it, has from then on.
    struct Handover<Value>: @unchecked Sendable {
        let value: Value
    }

    enum Thread {
        private final class Body: Sendable {
            let run: @Sendable () -> Void
            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }

        /// Starts a thread that nobody waits for. Signals are for the program's own threads.
        static func start(_ run: @escaping @Sendable () -> Void) -> Bool {
            var all = sigset_t()
            var before = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            let body = Unmanaged.passRetained(Body(run))
            var thread = pthread_t()
            let failure = pthread_create(
                &thread, nil,
                { argument in
                    if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                    return nil
                }, body.toOpaque())
            guard failure == 0 else {
                body.release()
                return false
            }
            pthread_detach(thread)
            return true
        }
    }

    /// A word that is set once, and that another thread waits for.
    final class Word: @unchecked Sendable {
        private let word: UnsafeMutablePointer<UInt32>

        init() {
            word = .allocate(capacity: 1)
            word.initialize(to: 0)
        }

        deinit { word.deallocate() }

        func set() {
            tm_store32(word, 1)
            _ = tm_futex_wake(word, .max)
        }

        func wait() {
            while tm_load32(word) == 0 { _ = tm_futex_wait(word, 0, 1_000_000_000) }
        }
    }
}
