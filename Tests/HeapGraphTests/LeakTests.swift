// LeakTests.swift: what is a root, what is reached, and what a leak is called.
import AllocationProfile
import Testing

@testable import HeapGraph

@Suite("Leaks")
struct LeakTests {
    @Test("Registers, the stack above its pointer, the red zone, globals, and blocks that they lead to keep blocks alive")
    func roots() {
        var program = MadeUpProgram()
        let blocks = (0..<6).map { _ in program.block(words: 4) }
        program.registers = [blocks[0]]
        program.local(blocks[1], above: 64)
        program.local(blocks[2], above: -128)
        program.global(blocks[3] + 17)
        program.set(blocks[3] + 8, blocks[4])
        program.local(blocks[5], above: -136)
        let report = program.freeze().leaks()
        #expect(report.live.count == 6)
        #expect(report.leaks.flatMap(\.objects).map(\.address) == [blocks[5]])
    }

    @Test("A pointer one past the end is none, one to an empty block is")
    func ends() {
        var program = MadeUpProgram()
        let first = program.block(words: 4)
        let empty = program.block(words: 0)
        program.global(first + 32)
        program.global(empty)
        #expect(program.freeze().leaks().leaks.flatMap(\.objects).map(\.address) == [first])
    }

    @Test("What a program keeps in the room that the allocator added to a block counts")
    func slack() {
        var program = MadeUpProgram()
        let array = program.block(words: 3)
        let element = program.block(words: 2)
        program.set(array - 8, 48 | 1)
        program.set(array + 24, element)
        program.global(array)
        #expect(program.freeze().leaks().leaked.count == 0)
    }

    @Test(
        "Tag bits and addresses of records of weak references are decoded; a record keeps nothing alive, but for a release under way"
    )
    func packedWords() {
        var program = MadeUpProgram()
        let tagged = program.block(words: 4)
        let object = program.block(words: 4)
        let record = program.block(words: 4)
        let weakly = program.block(words: 4)
        let itsRecord = program.block(words: 4)
        program.global(0x8a00_0000_0000_0000 | tagged | 5)
        program.global(object)
        program.set(object + 8, 3 << 62 | record >> 3)
        program.set(record, object)
        program.global(itsRecord)
        program.set(weakly + 8, 3 << 62 | itsRecord >> 3)
        program.set(itsRecord, weakly)
        #expect(program.freeze().leaks().leaks.flatMap(\.objects).map(\.address) == [weakly])
        // A thread counts down in its record.
        program.registers = [itsRecord + 16]
        #expect(program.freeze().leaks().leaks.isEmpty)
    }

    @Test("Records of work that Dispatch keeps for later hold each other, and not what the work was about; others hold it")
    func keptRecords() {
        // In a thread's list; in one whose counts do not fall to 1; named by another thread-local; by a thread with another number.
        for (isKept, last, distance, number) in [(true, 1, 24, 1), (false, 2, 24, 1), (false, 1, 32, 1), (false, 1, 24, 2)] {
            var program = MadeUpProgram()
            let records = (0..<3).map { _ in program.block(words: 8) }
            let done = program.block(words: 4)
            program.local(UInt64(number), above: 1024)
            program.local(records[0], above: 1024 + distance)
            for (index, record) in records.enumerated() {
                program.set(record + 8, UInt64(2 - index + last) | 0xffff_ffff << 32)
                program.set(record + 16, index < 2 ? records[index + 1] : 0)
                program.set(record + 40, done)
            }
            program.threadPointer = program.stackPointer + 1536
            #expect(program.freeze().leaks().leaked.count == (isKept ? 1 : 0), "\(last) \(distance) \(number)")
        }
    }

    @Test("A list of 200,000 blocks is one leak, or none")
    func deepList() {
        for isHeld in [false, true] {
            var program = MadeUpProgram()
            let blocks = (0..<200_000).map { _ in program.block(words: 2) }
            for (block, next) in zip(blocks, blocks.dropFirst()) { program.set(block, next) }
            if isHeld { program.global(blocks[0]) }
            let report = program.freeze().leaks()
            #expect(report.leaked.count == (isHeld ? 0 : 200_000))
            #expect(report.leaks.map(\.own.count) == (isHeld ? [] : [1]))
        }
    }

    @Test("Only strong references make a retain cycle, and the way around it has the names of its fields")
    func cycles() {
        var program = MadeUpProgram()
        let parent = program.block(words: 4)
        let child = program.block(words: 4)
        let other = program.block(words: 4)
        let back = program.block(words: 4)
        for (from, to) in [(parent, child), (child, parent), (other, back), (back, other)] { program.set(from + 16, to) }
        var objects = ToldObjects()
        objects.field(parent, "Parent", at: 16, "child", child)
        objects.field(child, "Child", at: 16, "parent", parent)
        objects.field(other, "Owner", at: 16, "part", back)
        objects.field(back, "Part", at: 16, "owner", other, weak: true)
        let leaks = program.freeze().leaks(reader: objects).leaks
        #expect(leaks.first { $0.kind == .cycle }?.path == ["Child.parent", "Parent.child"])
        let root = leaks.first { $0.kind == .root }
        #expect(root?.typeName == "Owner")
        #expect(root?.total.count == 2)
        #expect(leaks.count == 2)
    }

    @Test("Leaks that are alike are one row; a cycle that another leak owns is told, too")
    func groups() {
        var program = MadeUpProgram()
        for _ in 0..<7 { _ = program.block(words: 8, stack: 3) }
        let owner = program.block(words: 4, stack: 4)
        let (left, right) = (program.block(words: 4), program.block(words: 4))
        program.set(owner, left)
        program.set(left + 16, right)
        program.set(right + 16, left)
        var objects = ToldObjects()
        objects.field(left, "Left", at: 16, "right", right)
        objects.field(right, "Right", at: 16, "left", left)
        let leaks = program.freeze().leaks(reader: objects).leaks
        #expect(leaks.map(\.instances).sorted() == [1, 1, 7])
        #expect(leaks.map(\.total.count).sorted() == [1, 2, 7])
        let bytes = leaks.reduce(0) { $0 + $1.total.bytes }
        #expect(bytes == 544)
    }

    @Test("At the end of a program the frames below the call of exit are not its own")
    func atExit() {
        var program = MadeUpProgram()
        let (above, below) = (program.block(words: 4), program.block(words: 4))
        program.local(above, above: 512)
        program.local(below, above: 64)
        program.registers = [below]
        program.exit = (1, program.stackPointer + 256)
        #expect(program.freeze().leaks().leaks.flatMap(\.objects).map(\.address) == [below])
        program.exit = (1, 0)
        #expect(program.freeze().leaks().leaked.count == 2)
    }

    @Test("What a suppression matches is left out with all that belongs to it")
    func suppressions() throws {
        var program = MadeUpProgram()
        let cache = program.block(words: 4, stack: 5)
        program.set(cache, program.block(words: 4, stack: 6))
        let lost = program.block(words: 4, stack: 7)
        let report = try { () throws(LeakSuppressions.Fault) in
            var known = LeakSuppressions()
            try known.add(file: "# a cache\n\nleak:^func*n5$\r\n")
            return program.freeze().leaks { $0.suppressions = known }
        }()
        #expect(report.suppressed.count == 2)
        #expect(report.leaks.flatMap(\.objects).map(\.address) == [lost])
    }

    @Test("A line of a file of suppressions that makes no sense is named")
    func suppressionFault() {
        var known = LeakSuppressions()
        #expect(throws: LeakSuppressions.Fault.unknownLine(number: 2, text: "race:x")) { try known.add(file: "leak:x\nrace:x") }
    }

    @Test("Random graphs: reached, components and dominators are what plain searches find")
    func random() {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = Numbers(state: seed)
        for _ in 0..<30 {
            let count = Int.random(in: 1...40, using: &numbers)
            var lists = AdjacencyLists()
            var edges: [[Int32]] = []
            for _ in 0..<count {
                let targets = (0..<Int.random(in: 0...3, using: &numbers)).map { _ in Int32.random(in: 0..<Int32(count), using: &numbers) }
                edges.append(targets)
                lists.add(targets)
            }
            func reached(from start: Int, without: Int? = nil) -> Set<Int> {
                var seen: Set<Int> = []
                var open = start == without ? [] : [start]
                while let node = open.popLast() {
                    guard seen.insert(node).inserted else { continue }
                    open += edges[node].map(Int.init).filter { $0 != without && !seen.contains($0) }
                }
                return seen
            }
            let all = (0..<count).map { reached(from: $0) }
            let components = StrongComponents(lists)
            for left in 0..<count {
                for right in 0..<count {
                    let isTogether = all[left].contains(right) && all[right].contains(left)
                    #expect((components.component[left] == components.component[right]) == isTogether, "seed \(seed)")
                }
            }
            let dominators = Dominators.immediateDominators(lists).dominator
            for node in all[0] where node != 0 {
                // A dominator is one without which the node is not reached; the immediate one is dominated by the others.
                let strict = all[0].filter { $0 != node && !reached(from: 0, without: $0).contains(node) }
                let immediate = strict.first { one in strict.allSatisfy { $0 == one || !reached(from: 0, without: $0).contains(one) } }
                #expect(Int(dominators[node]) == immediate, "seed \(seed), node \(node) of \(edges)")
            }
        }
    }

    @Test("The shortest ways to a block are told from their roots on")
    func paths() {
        var program = MadeUpProgram()
        let (first, second, target) = (program.block(words: 4), program.block(words: 4), program.block(words: 4))
        program.global(first)
        program.set(first + 8, second)
        program.set(second + 24, target)
        program.registers = [second]
        let graph = ReferenceGraph(program.freeze())
        let found = graph.paths(to: 2, limit: 5)
        #expect(found.map { $0.steps.map(\.block) } == [[1, 2]])
        #expect(found.first?.steps.last?.offset == 24)
        #expect(found.first?.root.kind == .register(thread: 1))
        #expect(Dominators(graph).kept(by: 1).count == 2)
        #expect(target == graph.blocks[2].address)
    }

    @Test("Blocks that overlap, wrap around or have impossible sizes are skipped, and nothing traps")
    func hostileBlocks() {
        var program = MadeUpProgram()
        let real = program.block(words: 4)
        program.global(real)
        var frozen = program.freeze()
        frozen.blocks = [
            HeapBlock(address: 0, size: .max, stack: 1), HeapBlock(address: real - 8, size: 1 << 60, stack: 1),
            HeapBlock(address: real, size: 32, stack: 1), HeapBlock(address: .max - 7, size: 64, stack: 1),
        ]
        #expect(frozen.leaks().live.count == 4)
    }
}

private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
