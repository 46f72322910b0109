// Unsafe+Window.swift: what one thread allocates between two moments, counted apart from everything else.
import AllocationProfile

extension Unsafe {
    /// One thread's allocations while the window is open.
    ///
    /// Blocks of the window are born in a generation of their own, above all marks: whichever thread frees them, they are
    /// known as the window's.
    struct Window {
        /// Id of the watched thread; 0: the window is closed.
        private(set) var thread: UInt32 = 0
        /// The generation of the window's blocks. No block has `closed`.
        private(set) var generation: UInt64 = Window.closed
        private(set) var allocated = Tally.zero
        private(set) var current = Tally.zero
        private(set) var peak = Tally.zero
        private var number: UInt64 = 0
        /// Each allocation: its stack, and its size.
        private var log: Pages<Entry>?
        private var logCount = 0

        private struct Entry: BitwiseCopyable {
            var stack: UInt32
            var size: Int
        }

        /// Generations of marks are below, those of windows from here on.
        static let firstGeneration: UInt64 = 1 << 15
        private static let closed: UInt64 = (1 << 16) - 1
        /// Stacks of the allocations after these are not known; the figures are.
        private static let mostEntries = 1 << 22

        /// False: memory is short.
        mutating func open(thread: UInt32) -> Bool {
            if log == nil { log = Pages(capacity: 4096) }
            guard log != nil else { return false }
            self.thread = thread
            generation = Self.firstGeneration + number
            number = (number + 1) % (Self.closed - Self.firstGeneration)
            (allocated, current, peak) = (.zero, .zero, .zero)
            logCount = 0
            return true
        }

        mutating func close() {
            thread = 0
            generation = Self.closed
        }

        func free() { log?.free() }

        @inline(never)
        mutating func allocate(stack: UInt32, size: Int) {
            allocated += Tally(bytes: size, count: 1)
            live(size: size)
            if current.bytes > peak.bytes || (current.bytes == peak.bytes && current.count > peak.count) { peak = current }
            guard logCount < Self.mostEntries, log?.grow(to: logCount + 1) == true else { return }
            log?[logCount] = Entry(stack: stack, size: size)
            logCount += 1
        }

        /// A block of the window is back, because its reallocation failed.
        mutating func live(size: Int) { current += Tally(bytes: size, count: 1) }

        @inline(never)
        mutating func free(size: Int) { current = current - Tally(bytes: size, count: 1) }

        /// All live blocks were forgotten.
        mutating func forget() { current = .zero }

        /// Calls `body` with the stack and size of each allocation.
        func visit(_ body: (UInt32, Int) -> Void) {
            guard let log else { return }
            for index in 0..<logCount { body(log[index].stack, log[index].size) }
        }
    }
}
