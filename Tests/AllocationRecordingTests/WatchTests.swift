// WatchTests.swift: what who watches a process is told, again and again.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

@Suite struct WatchTests {
    /// A watcher without a session in between: answers go through their bytes all the same.
    private struct Watcher {
        let recording: Recording
        var watch = ProcessWatch(pid: 1)
        var snapshot = Snapshot(process: ProcessSummary())

        init(_ program: FakeProgram) throws { recording = try program.recording() }

        mutating func look(cursor: WatchCursor? = nil) throws -> (answer: WatchAnswer, isContinued: Bool) {
            recording.catchUp()
            let answer = recording.answer(cursor ?? watch.cursor, frameLimit: 256, at: SystemCalls.monotonic())
            let read = try #require(WatchAnswer(bytes: answer.bytes))
            return (read, watch.apply(read, to: &snapshot))
        }

        /// Addresses of a stack, outermost first.
        func stack(_ cost: StackCost) -> [UInt64] {
            var addresses: [UInt64] = []
            var node = Int(cost.stack)
            while node != 0 {
                addresses.insert(snapshot.locations[Int(snapshot.nodes[node].location)].address, at: 0)
                node = snapshot.parent(of: node)
            }
            return addresses
        }
    }

    @Test func `the second answer has new stacks only, and all figures`() throws {
        let program = FakeProgram()
        _ = program.addRing()
        _ = program.addImage("/bin/program", start: 0, end: 0x1000, bias: 0, buildID: [1, 2])
        let first = program.addStack([10, 20])
        program.allocate(0x1000, 100, stack: first)
        var watcher = try Watcher(program)
        defer { watcher.recording.free() }
        let one = try watcher.look()
        #expect(one.answer.newRows.count == 1)
        #expect(watcher.snapshot.modules.map(\.buildID) == [[1, 2]])
        #expect(watcher.snapshot.process.command == ["program", "argument"])
        #expect(watcher.snapshot.costs.map { watcher.stack($0) } == [[10, 20]])

        let second = program.addStack([30], root: first)
        program.allocate(0x2000, 7, stack: second)
        program.free(0x1000)
        let two = try watcher.look()
        #expect(two.isContinued)
        #expect((two.answer.newNodes.count, two.answer.newLocations.count, two.answer.newRows.count) == (1, 1, 1))
        #expect(watcher.snapshot.costs.map { watcher.stack($0) } == [[10, 20], [10, 20, 30]])
        #expect(watcher.snapshot.costs.map(\.current) == [.zero, Tally(bytes: 7, count: 1)])
        #expect(watcher.snapshot.costs.map(\.total.bytes) == [100, 7])
        #expect(watcher.snapshot.costs.map(\.peak.bytes) == [100, 7])
        #expect(watcher.snapshot.process.current == Tally(bytes: 7, count: 1))
        let three = try watcher.look()
        #expect(three.answer.newNodes.isEmpty && three.answer.newRows.isEmpty)
        #expect(watcher.snapshot.costs.map(\.total.bytes) == [100, 7])
    }

    @Test func `after the traces were cleared everything begins anew`() throws {
        let program = FakeProgram()
        _ = program.addRing()
        program.allocate(0x1000, 100, stack: program.addStack([10, 20]))
        var watcher = try Watcher(program)
        defer { watcher.recording.free() }
        _ = try watcher.look()
        program.control(TM_CONTROL_CLEAR)
        program.allocate(0x3000, 9, stack: program.addStack([50]))
        #expect(try !watcher.look().isContinued)
        #expect(watcher.snapshot.costs.map { watcher.stack($0) } == [[50]])
        #expect(watcher.snapshot.costs.map(\.total) == [Tally(bytes: 9, count: 1)])
        #expect(try watcher.look().isContinued)
    }

    @Test func `who asks with figures of another process gets everything`() throws {
        let program = FakeProgram()
        _ = program.addRing()
        program.allocate(0x1000, 100, stack: program.addStack([10, 20]))
        var watcher = try Watcher(program)
        defer { watcher.recording.free() }
        for text in ["5 1 1 1", "0 99 99 99", "18446744073709551615 0 0 0"] {
            let cursor: WatchCursor = try #require(WatchCursor(text: text))
            let answer = try watcher.look(cursor: cursor).answer
            #expect(answer.begin.nodes == 0)
            #expect(answer.newRows.count == 1)
        }
        for text in ["", "1 2 3", "1 2 3 -4", "1 2 3 4 5", "a b c d"] { #expect(WatchCursor(text: text) == nil) }
    }

    @Test func `bytes that are no answer are refused`() throws {
        let program = FakeProgram()
        _ = program.addRing()
        program.allocate(0x1000, 100, stack: program.addStack([10, 20]))
        let recording = try program.recording()
        defer { recording.free() }
        recording.catchUp()
        let bytes = recording.answer(WatchCursor(), frameLimit: 256, at: SystemCalls.monotonic()).bytes
        #expect(WatchAnswer(bytes: bytes) != nil)
        for count in 0..<bytes.count { #expect(WatchAnswer(bytes: Array(bytes.prefix(count))) == nil, "\(count) bytes") }
        for position in stride(from: 0, to: bytes.count, by: 8) {
            var damaged = bytes
            for index in position..<min(position + 8, bytes.count) { damaged[index] = 0xff }
            // Some damage is only another figure; none is a trap.
            var snapshot = Snapshot(process: ProcessSummary())
            var watch = ProcessWatch(pid: 1)
            if let answer = WatchAnswer(bytes: damaged) { watch.apply(answer, to: &snapshot) }
        }
    }
}
