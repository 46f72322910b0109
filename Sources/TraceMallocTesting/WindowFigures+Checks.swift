// WindowFigures+Checks.swift: what `#expect` and its relatives allocate is not the test's.
import AllocationProfile
import AllocationRecording

extension WindowFigures {
    private static let runtimes: Set<String> = [
        "libswiftCore.so", "libswift_Concurrency.so", "libswift_StringProcessing.so", "libswiftSynchronization.so", "libc.so.6",
        "libstdc++.so.6",
    ]

    /// Leaves out the allocations that the testing library makes for itself: those whose innermost frame outside of the Swift
    /// runtime and the C library lies in it. What the operands of a check allocate stays.
    mutating func leaveOutChecks() {
        let names = stacks.modules.map { Frame.fileName(of: $0.path) }
        guard let testing = names.firstIndex(of: "libTesting.so") else { return }
        let isRuntime = names.map { Self.runtimes.contains($0) }
        stacks.costs.removeAll { cost in
            var node = cost.stack
            while node > 0 {
                let location = stacks.nodes[Int(node)].location
                guard location >= 0 else { return false }
                let module = Int(stacks.locations[Int(location)].module)
                if module < 0 || !isRuntime[module] {
                    guard module == testing else { return false }
                    allocated = allocated - cost.total
                    return true
                }
                node = stacks.nodes[Int(node)].parent
            }
            return false
        }
    }
}
