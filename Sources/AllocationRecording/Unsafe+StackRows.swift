// Unsafe+StackRows.swift: what each stack costs, kept up to date event by event.
import AllocationProfile
import CRecording

extension Unsafe {
    /// The figures that nearly every event changes: one cache line.
    struct Row: BitwiseCopyable {
        var currentBytes = 0
        var currentCount = 0
        var totalBytes = 0
        var totalCount = 0
        /// Live at the peak `peakNumber`. An older number means that nothing changed since the last peak: current is it.
        var peakBytes = 0
        var peakCount = 0
        var peakNumber: UInt64 = 0
        var node: UInt32 = 0
        /// Number of the thread whose allocations these are; 0: of all that have no rows of their own.
        var thread: UInt16 = 0
        /// 0: blocks of malloc; else one more than the index of the domain.
        var domain: UInt16 = 0
        /// Allocations until one is looked at for its type, with `sighted` when one has told it; 0: they are no objects.
        var untilProbe: UInt32 = 0
        static let sighted: UInt32 = 1 << 31

        /// The stack allocates objects.
        var isObjects: Bool { untilProbe != 0 }

        init(node: UInt32, thread: Int, domain: Int) {
            self.node = node
            self.thread = UInt16(truncatingIfNeeded: thread)
            self.domain = UInt16(truncatingIfNeeded: domain)
        }

        @inline(__always)
        mutating func savePeak(_ number: UInt64) {
            if peakNumber == number { return }
            peakNumber = number
            peakBytes = currentBytes
            peakCount = currentCount
        }

        func peak(_ number: UInt64) -> Tally {
            peakNumber == number ? Tally(bytes: peakBytes, count: peakCount) : Tally(bytes: currentBytes, count: currentCount)
        }
    }

    /// The figures that are asked for less often: the next cache line.
    ///
    /// Most stacks allocate few sizes and live about equally long, so both histograms share eight slots of (bucket, count).
    /// Only a stack that needs more gets a histogram in full.
    struct Detail: BitwiseCopyable {
        var temporaryBytes = 0
        var temporaryCount = 0
        var growthBytes = 0
        var growthCount = 0
        var slots: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0, 0, 0, 0)

        static let slotCount = 8
        /// A slot is (bucket + 1) in the low 6 bits, the count above.
        static let one: UInt32 = 1 << 6
        static let tagMask: UInt32 = 63
        /// Tag of slot 0 when the histogram in full is number (slot 0 >> 6).
        static let fullTag: UInt32 = 63

        /// The slots, ascending: equal ones mean equal histograms. Nil where those are in full.
        func histogramKeys(sizeBuckets: Int) -> (sizes: HistogramKey, lifetimes: HistogramKey)? {
            if slots.0 & Self.tagMask == Self.fullTag { return nil }
            var (sizes, lifetimes) = (HistogramKey(), HistogramKey())
            let all = SIMD8(slots.0, slots.1, slots.2, slots.3, slots.4, slots.5, slots.6, slots.7)
            for index in 0..<Self.slotCount where all[index] != 0 {
                if Int(all[index] & Self.tagMask) <= sizeBuckets { sizes.add(all[index]) } else { lifetimes.add(all[index]) }
            }
            return (sizes, lifetimes)
        }
    }

    /// Rows of the stacks that were charged, apart for each thread. A node of the recording finds its row through a table of
    /// the thread's: the event loop selects the table once for a run of events.
    struct StackRows {
        private(set) var rows: Pages<Row>
        private(set) var details: Pages<Detail>
        /// The selected thread's table, and its number.
        private var rowOfNode: Pages<UInt32>
        private(set) var selected = 0
        /// By thread. The selected one's is out of date.
        private var tables: [Pages<UInt32>]
        /// 1 for nodes that have a row.
        private var isCharged: Pages<UInt8>
        private var histograms: Pages<UInt64>
        /// Rows in use. Row 0 is never used, so that 0 can mean "none".
        private(set) var count = 1
        private var histogramCount = 0
        /// Rows of stacks that have another thread's row already.
        private(set) var repeatedCount = 0
        /// Then further ones are the row of all threads together: 64 MiB.
        static let mostRepeated = 1 << 19

        /// Size buckets, then lifetime buckets. Asked for here, because to ask another module is a call.
        let buckets = StackCost.sizeBuckets + StackCost.lifetimeBuckets
        private let sizeBuckets = StackCost.sizeBuckets

        init?() {
            guard let rows = Pages<Row>(capacity: 256), let details = Pages<Detail>(capacity: 256),
                let rowOfNode = Pages<UInt32>(capacity: 4096), let isCharged = Pages<UInt8>(capacity: 4096),
                let histograms = Pages<UInt64>(capacity: 4096)
            else { return nil }
            self.rows = rows
            self.details = details
            self.rowOfNode = rowOfNode
            self.isCharged = isCharged
            tables = [rowOfNode]
            self.histograms = histograms
        }

        func free() {
            rows.free()
            details.free()
            for (thread, table) in tables.enumerated() where thread != selected { table.free() }
            rowOfNode.free()
            isCharged.free()
            histograms.free()
        }

        var byteCount: Int {
            var bytes = rows.byteCount + details.byteCount + histograms.byteCount + isCharged.byteCount + rowOfNode.byteCount
            for (thread, table) in tables.enumerated() where thread != selected { bytes += table.byteCount }
            return bytes
        }

        /// Rows are those of this thread from now on; of all threads together when memory is short.
        @inline(__always)
        mutating func select(thread: Int) {
            if thread != selected { change(to: thread) }
        }

        @inline(never)
        private mutating func change(to thread: Int) {
            tables[selected] = rowOfNode
            selected = 0
            while tables.count <= thread {
                guard let table = Pages<UInt32>(capacity: 4096) else { break }
                tables.append(table)
            }
            if thread < tables.count { selected = thread }
            rowOfNode = tables[selected]
        }

        /// The row of a node on the selected thread, 0 when it has none yet.
        @inline(__always)
        func find(_ node: UInt32) -> Int {
            Int(node) < rowOfNode.capacity ? Int(rowOfNode.base[Int(node)]) : 0
        }

        @inline(__always)
        func fetch(row: Int) {
            tm_prefetch(rows.base + row)
            tm_prefetch(details.base + row)
        }

        /// Makes a row for malloc's blocks; 0 when memory is short. The caller has checked that the node exists.
        mutating func add(_ node: UInt32) -> Int {
            guard rowOfNode.grow(to: Int(node) + 1), isCharged.grow(to: Int(node) + 1) else { return 0 }
            var row = 0
            if selected != 0 && isCharged[Int(node)] != 0 {
                if repeatedCount >= Self.mostRepeated {
                    row = shared(node)
                    rowOfNode[Int(node)] = UInt32(truncatingIfNeeded: row)
                    return row
                }
                repeatedCount += 1
            }
            row = add(node, domain: 0)
            rowOfNode[Int(node)] = UInt32(truncatingIfNeeded: row)
            isCharged[Int(node)] = 1
            return row
        }

        /// Makes a row that `find` does not find.
        mutating func add(_ node: UInt32, domain: Int) -> Int {
            guard rows.grow(to: count + 1), details.grow(to: count + 1) else { return 0 }
            rows[count] = Row(node: node, thread: selected, domain: domain)
            details[count] = Detail()
            count += 1
            return count - 1
        }

        /// The row of all threads that have none of their own.
        private mutating func shared(_ node: UInt32) -> Int {
            let thread = selected
            select(thread: 0)
            defer { select(thread: thread) }
            let row = find(node)
            return row != 0 ? row : add(node)
        }

        /// The rows with the most live bytes, largest first.
        func largest(_ most: Int) -> [(row: Int, bytes: Int)] {
            var result: [(row: Int, bytes: Int)] = []
            var least = 0
            for row in 1..<count where rows[row].currentBytes > least && rows[row].domain == 0 {
                let bytes = rows[row].currentBytes
                result.insert((row, bytes), at: result.firstIndex { $0.bytes < bytes } ?? result.count)
                if result.count > most { result.removeLast() }
                if result.count == most { least = result[most - 1].bytes }
            }
            return result
        }

        mutating func removeAll() -> Bool {
            guard let empty = StackRows() else { return false }
            free()
            self = empty
            return true
        }

        // MARK: Histograms

        /// Counts blocks in a bucket of a row's histograms.
        @inline(__always)
        mutating func tick(_ row: Int, bucket: Int, count: Int) {
            let tag = UInt32(truncatingIfNeeded: bucket &+ 1)
            let slots = self.slots(row)
            let first = slots[0]
            if first & Detail.tagMask == tag && Self.hasRoom(first, count) {
                slots[0] = first &+ UInt32(truncatingIfNeeded: count) &* Detail.one
            } else if first & Detail.tagMask == Detail.fullTag {
                histograms.base[Int(first >> 6) &* buckets &+ bucket] &+= UInt64(truncatingIfNeeded: count)
            } else {
                tickLater(row, bucket: bucket, tag: tag, count: count)
            }
        }

        /// Counts one block in both histograms of a row. One that has many blocks gets them in full: they are found faster.
        @inline(__always)
        mutating func tick(_ row: Int, size: Int, lifetime: Int) {
            let first = slots(row)[0]
            if first & Detail.tagMask == Detail.fullTag {
                let counts = histograms.base + Int(first >> 6) &* buckets
                counts[size] &+= 1
                counts[sizeBuckets &+ lifetime] &+= 1
            } else {
                tickSlots(row, size: size, lifetime: lifetime)
            }
        }

        private static let many = 1024

        @inline(never)
        private mutating func tickSlots(_ row: Int, size: Int, lifetime: Int) {
            if rows.base[row].totalCount > Self.many { spread(row) }
            tick(row, bucket: size, count: 1)
            tick(row, bucket: sizeBuckets &+ lifetime, count: 1)
        }

        @inline(__always)
        private func slots(_ row: Int) -> UnsafeMutablePointer<UInt32> {
            UnsafeMutableRawPointer(details.base + row).advanced(by: 32).assumingMemoryBound(to: UInt32.self)
        }

        @inline(__always)
        private static func hasRoom(_ slot: UInt32, _ count: Int) -> Bool { Int(slot >> 6) &+ count < 1 << 26 }

        @inline(__always)
        private mutating func tickLater(_ row: Int, bucket: Int, tag: UInt32, count: Int) {
            let slots = self.slots(row)
            for index in 0..<Detail.slotCount {
                let slot = slots[index]
                if slot & Detail.tagMask == tag || slot == 0 {
                    if !Self.hasRoom(slot, count) { break }
                    slots[index] = (slot | tag) &+ UInt32(truncatingIfNeeded: count) &* Detail.one
                    return
                }
            }
            // When memory is short the eight slots stay, and this count is not kept.
            if spread(row) { histograms.base[(histogramCount &- 1) &* buckets &+ bucket] &+= UInt64(truncatingIfNeeded: count) }
        }

        /// Gives the row a histogram in full. False: memory is short.
        @inline(never)
        @discardableResult
        private mutating func spread(_ row: Int) -> Bool {
            let number = histogramCount
            guard number < 1 << 26, histograms.grow(to: (number + 1) * buckets) else { return false }
            let slots = self.slots(row)
            var index = 0
            while index < Detail.slotCount {
                if slots[index] != 0 { histograms[number * buckets + Int(slots[index] & Detail.tagMask) - 1] += UInt64(slots[index] >> 6) }
                slots[index] = 0
                index &+= 1
            }
            slots[0] = UInt32(number) << 6 | Detail.fullTag
            histogramCount += 1
            return true
        }

        /// Adds a row's histograms to `counts` (of `buckets` elements).
        func addHistogram(_ row: Int, to counts: inout [UInt64]) {
            let slots = self.slots(row)
            if slots[0] & Detail.tagMask == Detail.fullTag {
                let number = Int(slots[0] >> 6)
                for bucket in 0..<buckets { counts[bucket] &+= histograms[number * buckets + bucket] }
                return
            }
            for index in 0..<Detail.slotCount where slots[index] != 0 {
                counts[Int(slots[index] & Detail.tagMask) - 1] &+= UInt64(slots[index] >> 6)
            }
        }
    }

    /// The slots that one of a row's histograms has.
    struct HistogramKey: Equatable {
        /// Ascending by bucket, then zeros.
        private var slots = SIMD8<UInt32>()
        private var count = 0

        fileprivate mutating func add(_ slot: UInt32) {
            var place = count
            while place > 0, slots[place - 1] & Detail.tagMask > slot & Detail.tagMask {
                slots[place] = slots[place - 1]
                place -= 1
            }
            slots[place] = slot
            count += 1
        }

        var hash: UInt64 {
            var sum: UInt64 = 0
            for index in 0..<count { sum = (sum ^ UInt64(slots[index])) &* 0x9e37_79b9_7f4a_7c15 }
            return NumberIndex.hash(sum)
        }

        /// The histogram, of buckets of the row from the first one on.
        func counts(from first: Int, _ buckets: Int) -> [UInt64] {
            var counts = [UInt64](repeating: 0, count: buckets)
            for index in 0..<count { counts[Int(slots[index] & Detail.tagMask) - 1 - first] = UInt64(slots[index] >> 6) }
            return counts
        }
    }
}
