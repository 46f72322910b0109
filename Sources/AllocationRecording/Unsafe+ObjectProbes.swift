// Unsafe+ObjectProbes.swift: which stacks allocate objects, and which of their blocks are to be looked at.
import AllocationProfile
import CRecording

extension Unsafe {
    /// Blocks of object stacks that the event loop came across: the first few of each stack, then one at each doubling.
    struct ObjectProbes {
        private var probes: Pages<UInt64>
        private(set) var count = 0
        /// Run-time addresses of the code that allocates objects, by image; nil where nobody looked yet.
        private var allocators: [[Range<UInt64>]?] = []
        var source: ObjectTypeSource?

        private static let most = 1024
        /// The allocator's frames: an object's allocation is not far inside of them.
        private static let innermost = 4

        init?() {
            guard let probes = Pages<UInt64>(capacity: Self.most) else { return nil }
            self.probes = probes
        }

        func free() { probes.free() }

        /// False when there are too many already: another one of the stack will do.
        mutating func add(_ address: UInt64) -> Bool {
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
        mutating func isObjectStack(_ stack: UInt32, in region: Region) -> Bool {
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
