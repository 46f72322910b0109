// main.swift: traces what loading an inventory and working with it allocates, and prints where.
import Inventory
import TraceMalloc

let text = stockList(lines: 1000)

try AllocationTracer.start()
let before = try AllocationTracer.takeSnapshot()
let inventory = Inventory(text: text)
let sorted = inventory.items.sorted { $0.count > $1.count }
let backward = [Item](inventory.items.reversed())
let counts = inventory.items.map(\.count)
let names = Set(inventory.items.prefix(300).map(\.name))
let countOfName = Dictionary(uniqueKeysWithValues: inventory.items.prefix(300).map { ($0.name, $0.count) })
let shelves = stride(from: 0, to: 1000, by: 50).map { Array(inventory.items[$0..<$0 + 50]) }
let label = inventory.items.prefix(100).map(\.name).joined(separator: ", ")
let capitals = inventory.items.prefix(60).map { $0.name.uppercased() }
let isSold = [Bool](repeating: false, count: 3000)
let grid = (0..<40).map { [Int](repeating: $0, count: 20) }
let after = try AllocationTracer.takeSnapshot()
let memory = AllocationTracer.tracedMemory
AllocationTracer.stop()

// What is used here is alive in the snapshot.
let collections = [sorted.count, backward.count, counts.count, names.count, countOfName.count, shelves.count]
let texts = [label.utf8.count, capitals.count, isSold.count, grid.count]
print("\(inventory.total) things in \(collections) and \(texts)")
print("\(memory.current.bytes) bytes in \(memory.current.count) blocks, \(memory.peak.bytes) at the peak")
print("Top 10 lines")
for statistic in try after.statistics(groupedBy: .line, limit: 10) { print(statistic) }
print("Since before")
for difference in try after.differences(from: before, groupedBy: .line, limit: 3) { print(difference) }
if let largest = try after.statistics(groupedBy: .traceback, limit: 1).first {
    print("Largest")
    for line in largest.callStack.formatted() { print(line) }
}
