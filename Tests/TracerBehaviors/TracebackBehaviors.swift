// TracebackBehaviors.swift: where a block came from.
import Glibc
import TraceMalloc

let tracebackBehaviors = [
    Behavior("the traceback of an object names the line that made it, and its callers") {
        try AllocationTracer.start()
        let (node, line) = makeNode()
        let caller = #line - 1
        let stack = try unwrap(AllocationTracer.traceback(of: node))
        try expect(stack.contains(line: line), stack.debugDescription)
        try expect(stack.contains { $0.place == "TracebackBehaviors.swift:\(caller)" }, stack.debugDescription)
        try expectEqual(stack.totalFrameCount, stack.count)
    },
    Behavior("an address in the middle of a block finds it, one behind its end does not") {
        try AllocationTracer.start()
        let block = allocate(1000)
        for offset in [0, 1, 500, 999] {
            try expectEqual(AllocationTracer.traceback(containing: block.address + offset)?.site, "Allocating.swift:\(block.line)")
        }
        try expect(AllocationTracer.traceback(containing: block.address + 1000) == nil)
        try expect(AllocationTracer.traceback(containing: block.address - 1) == nil)
        block.release()
    },
    Behavior("what is freed, forgotten, not on the heap or not traced has no traceback") {
        let local = 1
        try AllocationTracer.start()
        let block = allocate(100)
        let address = UnsafeRawPointer(block.address)
        try expect(AllocationTracer.traceback(containing: address) != nil)
        block.release()
        try expect(AllocationTracer.traceback(containing: address) == nil)
        try withUnsafePointer(to: local) { pointer in
            try expect(AllocationTracer.traceback(containing: UnsafeRawPointer(pointer)) == nil)
        }
        let (node, _) = makeNode()
        AllocationTracer.clearTraces()
        try expect(AllocationTracer.traceback(of: node) == nil)
        AllocationTracer.stop()
        try expect(AllocationTracer.traceback(of: node) == nil)
    },
    Behavior("memory that is used again has the traceback of its new block") {
        try AllocationTracer.start()
        let first = allocate(777)
        let address = first.address
        try expectEqual(AllocationTracer.traceback(containing: address)?.site, "Allocating.swift:\(first.line)")
        // Here or elsewhere: the old trace must not stay.
        first.release()
        let second = allocateElsewhere(777)
        try expect(second.line != first.line)
        try expectEqual(AllocationTracer.traceback(containing: second.address)?.site, "Allocating.swift:\(second.line)")
        second.release()
        AllocationTracer.clearTraces()
        let (node, line) = makeNode()
        try expect(AllocationTracer.traceback(of: node)?.contains(line: line) == true)
    },
    Behavior("stacks keep as many innermost frames as start was told, and the same call with room keeps all") {
        for limit in [1, 3, 20] {
            try AllocationTracer.start(frames: limit)
            let block = allocateDeeply(50, 10)
            let stack = try unwrap(AllocationTracer.traceback(containing: block.address))
            let real = stack.filter { $0.function != "[outer frames cut off]" && !$0.isInlined }
            try expect(real.count <= limit && real.count >= 1, "\(real.count) frames with limit \(limit): \(stack.debugDescription)")
            try expect(stack.totalFrameCount == nil, "the stack was cut")
            block.release()
            AllocationTracer.stop()
        }
        try AllocationTracer.start()
        let block = allocateDeeply(50, 10)
        let stack = try unwrap(AllocationTracer.traceback(containing: block.address))
        try expectEqual(stack.count { $0.function?.contains("allocateDeeply") == true }, 51)
        try expectEqual(stack.totalFrameCount, stack.count)
        block.release()
    },
    Behavior("equal stacks are one stack with the number of its blocks") {
        try AllocationTracer.start()
        var blocks: [Block] = []
        blocks.reserveCapacity(10)
        for size in 1...10 { blocks.append(allocate(size)) }
        let rows = try AllocationTracer.takeSnapshot().statistics(groupedBy: .traceback)
            .filter { $0.site?.place == "Allocating.swift:\(blocks[0].line)" }
        try expectEqual(rows.map(\.tally), [Tally(bytes: 55, count: 10)])
        for block in blocks { block.release() }
    },
    Behavior("no frame of the tracer stands in any stack, and the innermost is what the program called") {
        try AllocationTracer.start()
        let block = allocate(10)
        let (node, _) = makeNode()
        let snapshot = try AllocationTracer.takeSnapshot()
        for trace in snapshot.traces {
            for frame in trace.callStack {
                let function = frame.function ?? ""
                try expect(!function.hasPrefix("tm_") && !function.contains("Tracer.shared"), trace.callStack.debugDescription)
            }
        }
        let stack = try unwrap(AllocationTracer.traceback(containing: block.address))
        try expectEqual(stack.first?.place, "Allocating.swift:\(block.line)")
        withExtendedLifetime(node) {}
        block.release()
    },
    Behavior("a formatted call stack shows the source lines") {
        try AllocationTracer.start()
        let block = allocate(10)
        let lines = try unwrap(AllocationTracer.traceback(containing: block.address)).formatted(limit: 1)
        try expectEqual(lines.count, 2)
        try expect(lines[0].hasSuffix("Allocating.swift\", line \(block.line)"), lines[0])
        try expectEqual(lines[1], "    Block(address: malloc(size)!, line: #line)")
        block.release()
    },
    Behavior("reference counts are those of the object, without the call's own") {
        let node = Node()
        try expectEqual("\(AllocationTracer.referenceCounts(of: node))", "strong=1, unowned=0, weak=0")
        let other = Node()
        other.next = node
        other.observer = node
        other.owner = node
        try expectEqual("\(AllocationTracer.referenceCounts(of: node))", "strong=2, unowned=1, weak=1")
        other.observer = nil
        other.next = nil
        try expectEqual("\(AllocationTracer.referenceCounts(of: node))", "strong=1, unowned=1, weak=0")
        withExtendedLifetime((node, other)) {}
    },
]
