// StackTreeTests.swift: which stacks a snapshot holds, and in which form.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

@Suite struct StackTreeTests {
    private let program = FakeProgram()

    init() { _ = program.addRing() }

    /// Each charged stack as "outer;…;inner" with its total bytes.
    private func stacks(_ snapshot: Snapshot) -> [String: Int] {
        var result: [String: Int] = [:]
        for cost in snapshot.costs {
            var names: [String] = []
            var node = cost.stack
            while node != 0 {
                let location = snapshot.nodes[Int(node)].location
                switch location {
                case StackNode.cut: names.append("cut")
                case StackNode.lost: names.append("lost")
                default: names.append(String(snapshot.locations[Int(location)].address))
                }
                node = snapshot.nodes[Int(node)].parent
            }
            result[names.reversed().joined(separator: ";"), default: 0] += cost.total.bytes
        }
        return result
    }

    private func isWellFormed(_ snapshot: Snapshot) -> Bool {
        snapshot.nodes.indices.dropFirst().allSatisfy { Int(snapshot.nodes[$0].parent) < $0 }
            && zip(snapshot.costs, snapshot.costs.dropFirst()).allSatisfy { $0.stack < $1.stack }
            && Set(snapshot.nodes).count == snapshot.nodes.count
    }

    @Test func `only charged stacks and their callers are kept, parents first`() throws {
        // Children may have smaller numbers than their parents: threads take numbers in portions.
        let child = program.addNode(pc: 30)
        let parent = program.addNode(pc: 20)
        program.node(child).pointee.parent = parent
        _ = program.addStack([1, 2, 3])
        program.allocate(0x1000, 5, stack: child)
        program.allocate(0x2000, 7, stack: parent)
        program.allocate(0x3000, 1)
        let result = try snapshot(program)
        #expect(stacks(result) == ["20;30": 5, "20": 7, "": 1])
        #expect(result.nodes.count == 3)
        #expect(isWellFormed(result))
        #expect(result.process.truncatedStacks == 0)
    }

    @Test func `stacks deeper than the limit keep their innermost frames and are merged when they became equal`() throws {
        let one = program.addStack([1, 2, 3, 4])
        let two = program.addStack([9, 3, 4])
        let short = program.addStack([3, 4])
        for (index, stack) in [one, two, short].enumerated() { program.allocate(UInt64(index + 1) << 12, 1 << UInt64(index), stack: stack) }
        let result = try snapshot(program, limit: 2)
        #expect(stacks(result) == ["cut;3;4": 3, "3;4": 4])
        #expect(result.process.truncatedStacks == 1)
        #expect(isWellFormed(result))
        #expect(result.process.current == Tally(bytes: 7, count: 3))
        #expect(result.liveByGeneration.map(\.live.bytes).sorted() == [3, 4])
        #expect(result.costs.first { $0.total.count == 2 }.map { result.histograms[$0.sizes][1] } == 1)
    }

    @Test func `stacks that the program cut itself stand below the same node`() throws {
        let cut = program.addStack([3, 4], root: TM_NODE_CUT)
        let deep = program.addStack([1, 2, 3, 4])
        program.allocate(0x1000, 1, stack: cut)
        program.allocate(0x2000, 2, stack: deep)
        program.allocate(0x3000, 4, stack: TM_NODE_LOST)
        program.allocate(0x4000, 8, stack: TM_NODE_CUT)
        let result = try snapshot(program, limit: 2)
        #expect(stacks(result) == ["cut;3;4": 3, "lost": 4, "cut": 8])
        #expect(result.process.truncatedStacks == 2)
        #expect(isWellFormed(result))
    }

    @Test func `locations and modules are shared, flags kept, incomplete stacks counted`() throws {
        _ = program.addImage("/bin/program", start: 0x1000, end: 0x2000, bias: 0x10, buildID: [1, 2, 3])
        let library = program.addImage("/lib/library.so")
        let outer = program.addNode(pc: 0x1111, image: library, flags: TM_NODE_ENDED_EARLY)
        let async = program.addNode(parent: outer, pc: 0x1112, image: 77, flags: TM_NODE_ASYNC)
        let signal = program.addNode(parent: async, pc: 0x1113, image: library, flags: TM_NODE_SIGNAL)
        let again = program.addNode(parent: signal, pc: 0x1111, image: library)
        program.allocate(0x1000, 1, stack: again)
        let result = try snapshot(program)
        #expect(result.modules.map(\.path) == ["/bin/program", "/lib/library.so"])
        #expect(result.modules[0].buildID == [1, 2, 3])
        #expect(result.modules[0].bias == 0x10)
        #expect(
            Set(result.locations) == [
                Location(address: 0x1111, module: 1), Location(address: 0x1112, module: -1, isAsync: true),
                Location(address: 0x1113, module: 1, isExact: true),
            ])
        #expect(result.process.incompleteStacks == 1)
    }

    @Test func `circles and parents that do not exist end a stack instead of hanging`() throws {
        let one = program.addNode(pc: 10)
        let two = program.addNode(parent: one, pc: 20)
        program.node(one).pointee.parent = two
        let own = program.addNode(pc: 30)
        program.node(own).pointee.parent = own
        let wild = program.addNode(parent: .max, pc: 40)
        for (index, stack) in [one, two, own, wild].enumerated() { program.allocate(UInt64(index + 1) << 12, 1, stack: stack) }
        let result = try snapshot(program)
        #expect(isWellFormed(result))
        #expect(result.costs.reduce(0) { $0 + $1.total.count } == 4)
        #expect(result.process.warnings.count == 1)
    }

    @Test func `a later snapshot has the stacks of an earlier one and those that came since`() throws {
        let outer = program.addStack([1, 2])
        program.allocate(0x1000, 1, stack: program.addNode(parent: outer, pc: 3))
        let recording = try program.recording()
        defer { recording.free() }
        _ = recording.round()
        let first = recording.snapshot(frameLimit: 8, at: 0)
        #expect(stacks(first) == ["1;2;3": 1])
        program.allocate(0x2000, 2, stack: outer)
        program.allocate(0x3000, 4, stack: program.addNode(parent: outer, pc: 4))
        program.allocate(0x4000, 8, stack: program.addStack([1, 2]))
        _ = recording.round()
        let second = recording.snapshot(frameLimit: 8, at: 0)
        #expect(stacks(second) == ["1;2;3": 1, "1;2": 10, "1;2;4": 4])
        #expect(Array(second.nodes.prefix(first.nodes.count)) == first.nodes)
        #expect(stacks(first) == ["1;2;3": 1])
        // Another limit is another tree.
        #expect(stacks(recording.snapshot(frameLimit: 2, at: 0)) == ["cut;2;3": 1, "1;2": 10, "cut;2;4": 4])
        #expect(stacks(recording.snapshot(frameLimit: 8, at: 0)) == stacks(second))
    }

    @Test func `stacks are cut shorter when very many deep ones have come since the last snapshot`() throws {
        var options = FakeProgram.Options()
        options.nodesReserved = options.nodes
        let program = FakeProgram(options)
        _ = program.addRing()
        let limit = 300
        let outer = program.addStack((1...UInt64(limit)).map { $0 })
        let recording = try program.recording()
        defer { recording.free() }
        func allocate(_ numbers: Range<UInt64>) {
            for number in numbers {
                program.allocate(0x1000 + number << 12, 1, stack: program.addNode(parent: outer, pc: 1_000_000 + number))
                program.free(0x1000 + number << 12)
                if number % 16 == 15 { _ = recording.round() }
            }
        }
        func depths(_ snapshot: Snapshot) -> Set<Int> {
            Set(
                snapshot.costs.map { cost in
                    var (depth, node) = (0, cost.stack)
                    while node != 0, snapshot.nodes[Int(node)].location >= 0 {
                        (depth, node) = (depth + 1, snapshot.nodes[Int(node)].parent)
                    }
                    return depth
                })
        }
        allocate(0..<16)
        #expect(depths(recording.snapshot(frameLimit: limit, at: 0)) == [limit])
        allocate(16..<16_000)
        let second = recording.snapshot(frameLimit: limit, at: 0)
        #expect(depths(second) == [4_000_000 / 16_000])
        #expect(second.process.truncatedStacks == 16_000)
    }

    @Test("What was looked at on the way changes no snapshot", arguments: [false, true])
    func keepingUp(hasDeepStacks: Bool) throws {
        var options = FakeProgram.Options()
        options.nodesReserved = options.nodes
        func snapshot(keepsUp: Bool) throws -> (stacks: [String: Int], wasAhead: Bool) {
            let program = FakeProgram(options)
            _ = program.addRing()
            let recording = try program.recording()
            defer { recording.free() }
            var wasAhead = false
            for number in UInt64(0)..<6000 {
                let isDeep = hasDeepStacks && number > 3000 && number % 500 == 0
                let stack = program.addStack((isDeep ? 1...12 : 1...3).map { number * 100 + $0 })
                program.allocate(0x1000 + number << 12, number + 1, stack: stack)
                if number % 32 != 31 { continue }
                _ = recording.round()
                if keepsUp { recording.keepUp(frameLimit: 8) }
                wasAhead = wasAhead || (recording.known?.ofRow.count ?? 0) > 1000
            }
            recording.end(at: 0)
            let result = recording.snapshot(frameLimit: 8, at: 0)
            #expect(isWellFormed(result))
            return (stacks(result), wasAhead)
        }
        let (kept, wasAhead) = try snapshot(keepsUp: true)
        #expect(wasAhead)
        #expect(try kept == snapshot(keepsUp: false).stacks)
        #expect(kept.count == 6000)
    }
}
