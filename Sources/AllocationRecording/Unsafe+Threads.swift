// Unsafe+Threads.swift: the threads whose costs are kept apart.

extension Unsafe {
    /// Threads are numbered in the order of their first event. Number 0 stands for all that have no number of their own: those
    /// that share ring 0, and those that came when there were `most` others.
    struct Threads {
        private struct Entry: BitwiseCopyable {
            var id: UInt32
            var isGone: Bool
        }

        static let most = 64
        private let entries: Pages<Entry>
        /// Number 0 included.
        private(set) var count = 1

        init?() {
            guard let entries = Pages<Entry>(capacity: Self.most + 1) else { return nil }
            self.entries = entries
        }

        func free() { entries.free() }

        /// The number of the thread that the kernel knows by `id`; 0 when there are too many.
        mutating func number(of id: UInt32) -> Int {
            guard id != 0 else { return 0 }
            for number in 1..<count where entries[number].id == id && !entries[number].isGone { return number }
            guard count <= Self.most else { return 0 }
            entries[count] = Entry(id: id, isGone: false)
            count += 1
            return count - 1
        }

        /// The thread has ended: another one may be given its id.
        mutating func end(_ id: UInt32) {
            for number in 1..<count where entries[number].id == id { entries[number].isGone = true }
        }

        func id(_ number: Int) -> UInt32 { number < count ? entries[number].id : 0 }
        func isGone(_ number: Int) -> Bool { number >= count || entries[number].isGone }

        mutating func removeAll() { count = 1 }
    }
}
