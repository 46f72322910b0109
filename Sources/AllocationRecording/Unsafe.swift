// Unsafe.swift: everything that touches raw memory lives in this namespace; the rest of the module is plain Swift.
import CRecording
import Glibc
import Synchronization

/// Raw memory: the shared recording, and the tables of the event loop.
///
/// The event loop runs tens of millions of times a second, so its tables are bare pointers: no reference counts, no
/// exclusivity checks, no bounds checks. Whatever comes from the recording is checked before it becomes an index.
enum Unsafe {
    /// An array of plain values in pages of its own, which read zero until written. Growing moves pages, not bytes.
    struct Pages<Element: BitwiseCopyable> {
        private(set) var base: UnsafeMutablePointer<Element>
        private(set) var capacity: Int
        private(set) var byteCount: Int

        /// Nil when memory is short.
        init?(capacity: Int) {
            guard let size = Self.size(capacity), let pages = tm_pages(nil, 0, size) else { return nil }
            base = pages.assumingMemoryBound(to: Element.self)
            byteCount = size
            self.capacity = size / MemoryLayout<Element>.stride
            Unsafe.note(pages, size)
            adviseHugePages()
        }

        /// Room for at least `minimum` elements, more than before by at least half.
        mutating func grow(to minimum: Int) -> Bool {
            if minimum <= capacity { return true }
            guard let size = Self.size(max(minimum, capacity &+ capacity / 2)), let pages = tm_pages(base, byteCount, size) else {
                return false
            }
            Unsafe.note(base, 0)
            Unsafe.note(pages, size)
            base = pages.assumingMemoryBound(to: Element.self)
            byteCount = size
            capacity = size / MemoryLayout<Element>.stride
            adviseHugePages()
            return true
        }

        func free() {
            Unsafe.note(base, 0)
            munmap(base, byteCount)
        }

        @inline(__always)
        subscript(index: Int) -> Element {
            get { base[index] }
            nonmutating set { base[index] = newValue }
        }

        private static func size(_ capacity: Int) -> Int? {
            let (bytes, overflow) = max(capacity, 1).multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
            return overflow || bytes > 1 << 46 ? nil : (bytes + 4095) & ~4095
        }

        /// Random access to a large table misses the TLB on nearly every event with small pages.
        private func adviseHugePages() {
            if byteCount >= 2 << 20 { madvise(base, byteCount, MADV_HUGEPAGE) }
        }
    }

    /// Where all pages lie, by address: they are full of addresses of blocks, and no references of the program's.
    private nonisolated(unsafe) static var ownPages: [UInt64: UInt64] = [:]
    /// The process whose thread is at `ownPages`; 0: none. No `Mutex`: a child that was forked while a thread of its parent was
    /// there must go on, and takes it over, without what it held.
    private static let ownPagesUser = Atomic<Int32>(0)

    private static func withOwnPages<Result>(_ body: (inout [UInt64: UInt64]) -> Result) -> Result {
        let process = getpid()
        var user: Int32 = 0
        while true {
            let (isMine, seen) = ownPagesUser.compareExchange(expected: user, desired: process, ordering: .acquiringAndReleasing)
            if isMine { break }
            user = seen == process ? 0 : seen
            if user == 0 { sched_yield() }
        }
        if user != 0 { ownPages = [:] }
        defer { ownPagesUser.store(0, ordering: .releasing) }
        return body(&ownPages)
    }

    private static func note(_ pages: UnsafeMutableRawPointer, _ size: Int) {
        withOwnPages { $0[UInt64(UInt(bitPattern: pages))] = size == 0 ? nil : UInt64(size) }
    }

    static var ownMemory: [Range<UInt64>] { withOwnPages { $0.map { $0..<$0 + $1 } } }
}
