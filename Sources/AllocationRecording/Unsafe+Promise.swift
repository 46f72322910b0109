// Unsafe+Promise.swift: the kernel's promise to tell producers when the collector dies.
import CRecording
import Glibc

extension Unsafe {
    /// The robust futexes of the serving thread: the first word of each served recording's `collector_mutex` holds its id.
    ///
    /// The kernel walks the list when the thread ends and marks each word FUTEX_OWNER_DIED. The links lie in shared memory,
    /// which a traced program may have overwritten, so we keep the order ourselves and only ever write links.
    final class Promise {
        private let head: UnsafeMutablePointer<tm_robust_head>
        private var previous: UnsafeMutableRawPointer?
        private var entries: [UnsafeMutablePointer<UInt64>] = []
        private let thread = UInt32(truncatingIfNeeded: tm_thread_id())

        /// Takes effect for the calling thread, until `end`.
        init() {
            head = .allocate(capacity: 1)
            head.initialize(to: tm_robust_head(next: UnsafeMutableRawPointer(head), futex_offset: TM_ROBUST_OFFSET, pending: nil))
            tm_robust_get(&previous)
            tm_robust_set(head)
        }

        func end() {
            tm_robust_set(previous)
            head.deallocate()
        }

        private static func mutex(_ region: Region) -> UnsafeMutablePointer<UInt64> {
            (region.base + MemoryLayout<tm_header>.offset(of: \.collector_mutex)!).assumingMemoryBound(to: UInt64.self)
        }

        private static func word(_ mutex: UnsafeMutablePointer<UInt64>) -> UnsafeMutablePointer<UInt32> {
            UnsafeMutableRawPointer(mutex).assumingMemoryBound(to: UInt32.self)
        }

        /// From now on the recording has a collector.
        func give(_ region: Region) {
            let mutex = Self.mutex(region)
            let entry = mutex + Int(TM_ROBUST_ENTRY)
            // At each moment the list is whole: SIGKILL may come between any two lines.
            entry.pointee = UInt64(UInt(bitPattern: head.pointee.next))
            tm_store32(Self.word(mutex), thread)
            tm_fence()
            head.pointee.next = UnsafeMutableRawPointer(entry)
            entries.insert(mutex, at: 0)
        }

        /// Nobody serves the recording any more.
        func takeBack(_ region: Region) {
            let mutex = Self.mutex(region)
            guard let index = entries.firstIndex(of: mutex) else { return }
            var after = UnsafeMutableRawPointer(head)
            if index + 1 < entries.count { after = UnsafeMutableRawPointer(entries[index + 1] + Int(TM_ROBUST_ENTRY)) }
            if index == 0 {
                head.pointee.next = after
            } else {
                (entries[index - 1] + Int(TM_ROBUST_ENTRY)).pointee = UInt64(UInt(bitPattern: after))
            }
            entries.remove(at: index)
            tm_store32(Self.word(mutex), TM_FUTEX_OWNER_DIED)
            tm_fence()
        }
    }
}
