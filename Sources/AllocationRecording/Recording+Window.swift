// Recording+Window.swift: opens and closes the window on one thread, and says what was seen in it.
package import AllocationProfile
import CRecording

/// What one thread allocated between two moments.
package struct WindowFigures: Sendable {
    package var allocated = Tally.zero
    /// The most bytes of the window's blocks that were alive at once, and how many blocks they were.
    package var peak = Tally.zero
    /// What was allocated, by stack, as the total.
    package var stacks: Snapshot
}

extension Recording {
    /// False: memory is short.
    func openWindow(thread: UInt32) -> Bool { merge.ledger.window.open(thread: thread) }

    /// Nil when no window is open.
    func closeWindow(frameLimit: Int) -> WindowFigures? {
        let window = merge.ledger.window
        guard window.thread != 0 else { return nil }
        merge.ledger.window.close()
        var snapshot = Snapshot(process: ProcessSummary())
        snapshot.process.pid = pid
        snapshot.process.frameLimit = frameLimit
        let table = moduleTable
        snapshot.modules = table.modules
        var tree = StackTree(region: region, limit: frameLimit, moduleOfImage: table.ofImage)
        var totals: [Int32: Tally] = [:]
        window.visit { stack, size in totals[tree.add(stack), default: .zero] += Tally(bytes: size, count: 1) }
        snapshot.nodes = tree.nodes
        snapshot.locations = tree.locations
        snapshot.costs = totals.keys.sorted().map { stack in
            var cost = StackCost(stack: stack)
            cost.total = totals[stack] ?? .zero
            return cost
        }
        return WindowFigures(allocated: window.allocated, peak: window.peak, stacks: snapshot)
    }

    /// The generation that a block was born in: that of the last mark before it, for blocks of a window.
    func generation(of block: Unsafe.Block) -> Int {
        if block.generation < Unsafe.Window.firstGeneration { return block.generation }
        let clock = merge.ledger.clock(ofBirth: block.birth)
        return marks.lastIndex { $0.clock <= clock } ?? 0
    }
}
