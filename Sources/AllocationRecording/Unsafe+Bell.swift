// Unsafe+Bell.swift: how the collector sleeps, and everything that can wake it.
import CRecording
import Glibc

extension Unsafe {
    /// A futex word of our own plus the doorbells of the recordings: one sleep waits for all of them.
    ///
    /// Descriptors (new files in the session directory, deaths of processes) are watched by a thread that does nothing but
    /// ring: a traced program may stand still until it is noticed, so polling would cost either its time or ours.
    final class Bell: @unchecked Sendable {
        private let word: UnsafeMutablePointer<UInt32>
        /// What one sleep waits for: here, because a sleep comes so often that it must not allocate.
        private let words: UnsafeMutablePointer<UnsafeMutablePointer<UInt32>?>
        private let expected: UnsafeMutablePointer<UInt32>
        private let poll: Int32
        private let stop: Int32
        private var thread = pthread_t()

        private static let stopToken: UInt32 = 1

        /// - Parameter watches: false: there will be no descriptors to watch, and no thread is needed.
        init?(watches: Bool = true) {
            word = .allocate(capacity: 1)
            word.initialize(to: 0)
            words = .allocate(capacity: Int(TM_WAIT_ANY_MAX))
            expected = .allocate(capacity: Int(TM_WAIT_ANY_MAX))
            guard watches else {
                poll = -1
                stop = -1
                return
            }
            poll = tm_epoll_create()
            stop = tm_eventfd()
            guard poll >= 0, stop >= 0, tm_epoll_add(poll, stop, Self.stopToken) == 0, startWatching() else {
                if poll >= 0 { close(poll) }
                if stop >= 0 { close(stop) }
                return nil
            }
        }

        deinit {
            defer {
                word.deallocate()
                words.deallocate()
                expected.deallocate()
            }
            guard poll >= 0 else { return }
            var one: UInt64 = 1
            write(stop, &one, 8)
            pthread_join(thread, nil)
            close(poll)
            close(stop)
        }

        /// What the thread needs, apart from the bell: the bell's end is what ends the thread.
        private struct Watch {
            let word: UnsafeMutablePointer<UInt32>
            let poll: Int32
        }

        private func startWatching() -> Bool {
            let watch = UnsafeMutablePointer<Watch>.allocate(capacity: 1)
            watch.initialize(to: Watch(word: word, poll: poll))
            // Signals are for the threads that know what to do about them.
            var all = sigset_t()
            var before = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_SETMASK, &all, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            let result = pthread_create(
                &thread, nil,
                { argument in
                    let watch = argument!.assumingMemoryBound(to: Watch.self)
                    while true {
                        let token = tm_epoll_wait(watch.pointee.poll)
                        if token == Int(Bell.stopToken) { break }
                        if token < 0 && token != -Int(EINTR) { break }
                        Unsafe.wake(watch.pointee.word)
                    }
                    watch.deallocate()
                    return nil
                }, watch)
            if result != 0 { watch.deallocate() }
            return result == 0
        }

        var value: UInt32 { tm_load32(word) }

        func ring() { Unsafe.wake(word) }

        /// Rings each time when something new can be read from the descriptor. Closing it ends that.
        func watch(_ descriptor: Int32) -> Bool { tm_epoll_add(poll, descriptor, 0) == 0 }

        /// Sleeps until the bell rings again, a doorbell rings, or the time is over. One thread sleeps at a time.
        /// - Parameter seen: the bell's value before the caller looked for work.
        func sleep(seen: UInt32, doorbells: [(word: UnsafeMutablePointer<UInt32>, seen: UInt32)], nanoseconds: UInt64) {
            if doorbells.isEmpty {
                _ = tm_futex_wait(word, seen, nanoseconds)
                return
            }
            // Past the limit of the system call the rest are served a little later.
            let count = min(doorbells.count + 1, Int(TM_WAIT_ANY_MAX))
            (words[0], expected[0]) = (word, seen)
            for index in 1..<count { (words[index], expected[index]) = doorbells[index - 1] }
            let most: UInt64 = doorbells.count >= Int(TM_WAIT_ANY_MAX) ? 5_000_000 : .max
            let result = tm_futex_wait_any(words, expected, Int32(count), min(nanoseconds, most))
            if result == -Int(ENOSYS) || result == -Int(EPERM) {
                // Linux before 5.16: the doorbells are looked at every other millisecond.
                _ = tm_futex_wait(word, seen, min(nanoseconds, 2_000_000))
            }
        }
    }
}
