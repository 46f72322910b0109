// main.swift: traces what loading an inventory allocates, and prints where.
import Inventory
import TraceMalloc

let text = stockList(lines: 1000)

try AllocationTracer.start()
let before = try AllocationTracer.takeSnapshot()
let inventory = Inventory(text: text)
let after = try AllocationTracer.takeSnapshot()
let memory = AllocationTracer.tracedMemory
AllocationTracer.stop()

print("\(inventory.total) things, \(memory.current.bytes) bytes in \(memory.current.count) blocks, \(memory.peak.bytes) at the peak")
print("Top 10 lines")
for statistic in try after.statistics(groupedBy: .line, limit: 10) { print(statistic) }
print("Since before")
for difference in try after.differences(from: before, groupedBy: .line, limit: 3) { print(difference) }
if let largest = try after.statistics(groupedBy: .traceback, limit: 1).first {
    print("Largest")
    for line in largest.callStack.formatted() { print(line) }
}
