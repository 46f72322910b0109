// Inventory.swift: things in stock, read from text.

/// A line of the stock list: `name,count`.
public final class Item {
    public let name: String
    public let count: Int

    public init(name: String, count: Int) {
        self.name = name
        self.count = count
    }
}

public struct Inventory {
    public private(set) var items: [Item] = []

    public init(text: String) {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ",")
            items.append(Item(name: String(fields[0]), count: Int(fields[1]) ?? 0))
        }
    }

    /// How many things there are, without allocating anything.
    public var total: Int {
        var sum = 0
        for index in items.indices { sum += items[index].count }
        return sum
    }

    /// The same, the long way round: an array of counts first.
    public var totalByArray: Int {
        items.map(\.count).reduce(0, +)
    }

    /// The names, read one after the other in child tasks.
    public static func load(_ texts: [String]) async -> [Inventory] {
        await withTaskGroup(of: Inventory.self) { group in
            for text in texts { group.addTask { Inventory(text: text) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }
}

extension Inventory: @unchecked Sendable {}

/// A stock list of so many lines.
public func stockList(lines: Int) -> String {
    (0..<lines).map { "a thing with a rather long name \($0),\($0)" }.joined(separator: "\n")
}
