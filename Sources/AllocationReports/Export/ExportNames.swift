// ExportNames.swift: what a frame is called in the files of other tools, and how a stack is walked.
import AllocationProfile

extension PrintableText {
    /// A name without anything that a terminal would obey, at its full length.
    static func whole(_ text: String) -> String { name(text, limit: .max) }
}

extension Frame {
    /// The function, else what is known of the place: `library+0x1f`. Never empty.
    var callName: String {
        guard let function, !function.isEmpty else { return description }
        return function
    }

    /// In valgrind's form: `0x401136: load (/src/load.c:7)`, `0x7F21: puts (in /lib/libc.so.6)`, `0x7F21: libc.so.6+0x2a1`.
    func valgrindText(at address: UInt64) -> String {
        var text = "0x\(String(address, radix: 16, uppercase: true)): \(callName)"
        if let file, let line {
            // Without a function the place has been said already.
            if function?.isEmpty == false { text += " (\(file):\(line))" }
        } else if let module {
            text += " (in \(module))"
        }
        return PrintableText.whole(text)
    }
}

extension CallTree {
    /// Calls `body` for each stack that costs something in its metric, depth first, with its `frames` from the outside in and
    /// the stack's own cost. No recursion: stacks of damaged files can be as deep as the file is long.
    func forEachStack(_ body: (_ path: [Int32], _ own: Tally) throws -> Void) rethrows {
        if nodes[0].own != .zero { try body([], nodes[0].own) }
        var path: [Int32] = []
        var pending = nodes[0].children.reversed().map { (node: $0, depth: 0) }
        while let (node, depth) = pending.popLast() {
            path.removeLast(path.count - depth)
            path.append(nodes[node].frame)
            if nodes[node].own != .zero { try body(path, nodes[node].own) }
            for child in nodes[node].children.reversed() { pending.append((child, depth + 1)) }
        }
    }
}

extension Snapshot {
    /// The location of a node; nil for the root and for nodes that stand for something else than code.
    func location(of node: Int) -> Int? {
        let location = Int(nodes[node].location)
        return location >= 0 && location < locations.count ? location : nil
    }

    /// The caller of a node, 0 when there is none. A parent has a smaller number, whatever a damaged file says.
    func caller(of node: Int) -> Int {
        let parent = Int(nodes[node].parent)
        return parent >= 0 && parent < node ? parent : 0
    }

    /// The node of a cost, 0 when there is none.
    func node(of cost: StackCost) -> Int { cost.stack >= 0 && Int(cost.stack) < nodes.count ? Int(cost.stack) : 0 }

    /// What stands for a node that is no code.
    func marker(of node: Int) -> Frame {
        switch nodes[node].location {
        case StackNode.cut: .cut
        case StackNode.lost: .lost
        default: .unknown
        }
    }

    /// The frames of a location, innermost first, at least one.
    func frames(of location: Location) -> [Frame] {
        guard location.frames.isEmpty else { return location.frames }
        guard location.module >= 0, Int(location.module) < modules.count else { return [Frame(address: location.address)] }
        let module = modules[Int(location.module)]
        return [Frame(module: module.path, address: location.address &- module.bias)]
    }
}
