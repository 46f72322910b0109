// Unsafe+ObjectProbes.swift: which stacks allocate objects, and which of their blocks are to be looked at.
import AllocationProfile
import CRecording

extension Unsafe {
    /// Blocks of object stacks that the event loop came across: the first few of each stack, then one at each doubling.
    struct ObjectProbes {
        private var probes: Pages<UInt64>
        private(set) var count = 0
        /// By row: allocations until one is looked at, with `sighted` when one has told the type; 0: the row's blocks are no objects.
        private var countdowns: Pages<UInt32>
        private var rowCount = 0
        /// Some row's blocks are objects.
        private(set) var hasObjects = false
        private static let sighted: UInt32 = 1 << 31
        /// Run-time addresses of the code that allocates objects, by image; nil where nobody looked yet.
        private var allocators: [[Range<UInt64>]?] = []
        var source: ObjectTypeSource?

        private static let most = 1024
        /// The allocator's frames: an object's allocation is not far inside of them.
        private static let innermost = 4

        init?() {
            guard let probes = Pages<UInt64>(capacity: Self.most), let countdowns = Pages<UInt32>(capacity: 1024) else { return nil }
            self.probes = probes
            self.countdowns = countdowns
        }

        func free() {
            probes.free()
            countdowns.free()
        }

        /// Finds out what a new row's blocks are. A row that finds no room counts as one without objects.
        mutating func classify(_ row: Int, stack: UInt32, in region: Region) {
            guard isObjectStack(stack, in: region), countdowns.grow(to: row + 1) else { return }
            if countdowns[row] == 0 { countdowns[row] = 1 }
            rowCount = max(rowCount, row + 1)
            hasObjects = true
        }

        func isObjects(_ row: Int) -> Bool { row < rowCount && countdowns[row] != 0 }

        /// The type of one of the row's objects is certain: others are looked for less often.
        func sight(_ row: Int) { if isObjects(row) { countdowns[row] |= Self.sighted } }

        /// The rows' numbers will be given to others.
        mutating func forgetRows() {
            for row in 0..<rowCount { countdowns[row] = 0 }
            (rowCount, hasObjects, count) = (0, false, 0)
        }

        /// Looks at the first few objects of a row, then at one each time their number has doubled.
        @inline(__always)
        mutating func count(_ row: Int, _ address: UInt64, of total: Int) {
            guard row < rowCount else { return }
            let left = countdowns.base[row]
            if left == 0 { return }
            if left & ~Self.sighted != 1 { countdowns.base[row] = left &- 1 } else { add(row, address, total) }
        }

        @inline(never)
        private mutating func add(_ row: Int, _ address: UInt64, _ total: Int) {
            let sighted = countdowns[row] & Self.sighted
            let isAdded = add(address)
            // Objects that die at once are hard to meet alive: they are looked for more often.
            let most = sighted != 0 ? 1 << 30 : 256
            countdowns[row] = sighted | (isAdded && total >= 8 ? UInt32(min(total, most)) : 1)
        }

        /// False when there are too many already: another one of the stack will do.
        private mutating func add(_ address: UInt64) -> Bool {
            guard count < Self.most else { return false }
            probes[count] = address
            count += 1
            return true
        }

        mutating func take() -> [UInt64] {
            defer { count = 0 }
            return (0..<count).map { probes[$0] }
        }

        /// Whether a stack ends in the allocation of an object.
        private mutating func isObjectStack(_ stack: UInt32, in region: Region) -> Bool {
            guard source != nil else { return false }
            var node = stack
            for _ in 0..<Self.innermost {
                guard node >= TM_NODE_FIRST, Int(node) < region.nodesUsed else { return false }
                let copy = region.nodeElements[Int(node)]
                if ranges(ofImage: Int(copy.image), in: region).contains(where: { $0.contains(copy.pc &- 1) }) { return true }
                node = copy.parent
            }
            return false
        }

        private mutating func ranges(ofImage index: Int, in region: Region) -> [Range<UInt64>] {
            if index < allocators.count, let known = allocators[index] { return known }
            guard index < region.imagesUsed, let source else { return [] }
            let image = region.image(index)
            guard image.state != 0 else { return [] }
            let path = String(decoding: region.text(image.path), as: UTF8.self)
            let ranges = source.allocators(path).map {
                $0.lowerBound &+ image.bias..<max($0.lowerBound &+ image.bias, $0.upperBound &+ image.bias)
            }
            while allocators.count <= index { allocators.append(nil) }
            allocators[index] = ranges
            return ranges
        }
    }
}
