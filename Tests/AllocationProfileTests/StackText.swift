// StackText.swift: made-up snapshots, written as lines of text.
import AllocationProfile

extension Snapshot {
    /// One line for each stack, root first: `main;load;~malloc 30 x3`, that is 30 bytes in 3 blocks (without x: one block).
    ///
    /// A frame is `file:line` or a function, with `@module` behind it where that matters. `~` marks system code, `>` an async
    /// parent, `#1f@module` an address without a name and `!cut`, `!lost` the stand-ins for what was not recorded. Names that
    /// are joined with `+` are one location, outermost first, the others inlined. All metrics are alike.
    init(stacks text: String) {
        self.init(process: ProcessSummary())
        var locationNumbers: [Substring: Int32] = [:]
        var nodeNumbers: [StackNode: Int32] = [:]
        var costOf: [Int32: Tally] = [:]
        for line in text.split(separator: "\n") {
            var words = line.split(separator: " ")
            let count = words.last!.hasPrefix("x") ? Int(words.removeLast().dropFirst())! : 1
            let bytes = Int(words.removeLast())!
            var node = Int32(0)
            for name in words.joined(separator: " ").split(separator: ";") {
                let next = StackNode(parent: node, location: location(name, &locationNumbers))
                node = nodeNumbers[next] ?? Int32(nodes.count)
                if nodeNumbers.updateValue(node, forKey: next) == nil { nodes.append(next) }
            }
            costOf[node, default: .zero] += Tally(bytes: bytes, count: count)
        }
        costs = costOf.sorted { $0.key < $1.key }.map { stack, tally in
            var cost = StackCost(stack: stack)
            cost.current = tally
            cost.peak = tally
            cost.total = tally
            cost.temporary = tally
            return cost
        }
    }

    private mutating func location(_ name: Substring, _ numbers: inout [Substring: Int32]) -> Int32 {
        if name == "!cut" { return StackNode.cut }
        if name == "!lost" { return StackNode.lost }
        if let known = numbers[name] { return known }
        var location = Location(address: UInt64(0x1000 + locations.count), module: -1, isAsync: name.hasPrefix(">"))
        if name.hasPrefix("#") {
            let parts = name.dropFirst().split(separator: "@")
            location.address = UInt64(parts[0], radix: 16)!
            if parts.count > 1 {
                location.module = Int32(modules.count)
                modules.append(Module(path: String(parts[1])))
            }
        } else {
            location.frames = name.drop { $0 == ">" }.split(separator: "+").reversed().map { Frame(text: $0) }
            for index in location.frames.indices.dropLast() { location.frames[index].isInlined = true }
        }
        locations.append(location)
        numbers[name] = Int32(locations.count - 1)
        return numbers[name]!
    }
}

extension Frame {
    /// `file:line`, `function`, `function@module`, with `~` in front for system code.
    init(text: some StringProtocol) {
        self.init()
        isSystem = text.hasPrefix("~")
        let parts = text.drop { $0 == "~" }.split(separator: "@")
        module = parts.count > 1 ? String(parts[1]) : nil
        if let colon = parts[0].lastIndex(of: ":"), let number = Int(parts[0][parts[0].index(after: colon)...]) {
            file = String(parts[0][..<colon])
            line = number
        } else {
            function = String(parts[0])
        }
    }
}
