// InventoryTests.swift: tests that limit what they allocate. With SHOW_FAILURES set also such that break their limits.
import Foundation
import Inventory
import Testing
import TraceMallocTesting

private let inventory = Inventory(text: stockList(lines: 100))
private let showsFailures = ProcessInfo.processInfo.environment["SHOW_FAILURES"] != nil

// What goes through a variable that others could read is not optimized away. Tests with limits run one after the other.
nonisolated(unsafe) public var kept: AnyObject?

/// A block that another function may write to is not optimized away: here one that reads no bytes from no file.
private func show(_ block: UnsafeMutableRawPointer?) { precondition(read(-1, block, 0) < 0) }

/// One allocation of so many bytes, and its release.
private func allocateAndFree(_ size: Int) {
    let block = malloc(size)
    show(block)
    free(block)
}

@Suite struct WithinLimits {
    @Test(.allocations(atMost: 0, warmingUp: true)) func `summing up allocates nothing`() {
        #expect(inventory.total == 4950)
    }

    @Test(.allocations(in: 1...1)) func `an item is one block`() {
        kept = Item(name: "short", count: 1)
    }

    @Test(.allocations(in: 20...20)) func `blocks of synchronous code are all counted`() {
        for size in 1...20 { allocateAndFree(size) }
    }

    @Test(.peakMemory(atMost: 1000)) func `the peak is that of one moment`() {
        for _ in 0..<100 { allocateAndFree(1000) }
    }

    @Test(.allocations(atMost: 2), .peakMemory(atMost: 3000)) func `two limits watch the same test`() {
        let first = malloc(1000)
        allocateAndFree(2000)
        show(first)
        free(first)
    }

    @Test(.allocations(in: 800...2000, warmingUp: true)) func `child tasks are counted`() async {
        let loaded = await Inventory.load((0..<4).map { _ in stockList(lines: 50) })
        #expect(loaded.count == 4)
    }

    @Test(.allocations(in: 3...3), arguments: 1...3) func `each case is counted for itself`(size: Int) {
        for _ in 0..<3 { allocateAndFree(size) }
    }
}

/// Runs beside the others, and must not be counted for them.
@Suite struct Noise {
    @Test(arguments: 0..<8) func `allocates all the time`(_: Int) {
        let end = ContinuousClock.now + .milliseconds(300)
        var noise: [String] = []
        while ContinuousClock.now < end { noise = ["\(end) is far away from here", "\(noise.count)"] }
        #expect(noise.count == 2)
    }
}

@Suite(.enabled(if: showsFailures)) struct OutsideOfLimits {
    @Test(.allocations(atMost: 0, warmingUp: true)) func `an array too many`() {
        #expect(inventory.totalByArray == 4950)
    }

    @Test(.peakMemory(atMost: 100)) func `too much at once`() {
        allocateAndFree(5000)
    }

    @Test(.allocations(in: 5...9)) func `too few`() {
        kept = Item(name: "short", count: 1)
    }
}
