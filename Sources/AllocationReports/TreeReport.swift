// TreeReport.swift: `tree`, who called whom and how much memory came of it.
package import AllocationProfile

/// The calls of one or more snapshots as an indented tree, outermost calls first.
package struct TreeReport {
    private let tree: CallTree
    /// Nodes that are printed.
    private let isShown: [Bool]

    /// - Parameter limit: only the largest so many stacks are shown, what is left out is summed up where it was called.
    package init(_ snapshots: [Snapshot], measuring metric: Metric, limit: Int? = nil) {
        tree = CallTree(snapshots, measuring: metric)
        var isShown = [Bool](repeating: limit == nil, count: tree.nodes.count)
        if let limit {
            let nodes = tree.nodes
            let ends = nodes.indices.filter { nodes[$0].own != .zero }
                .sorted { (nodes[$0].own.bytes, nodes[$0].own.count, $1) > (nodes[$1].own.bytes, nodes[$1].own.count, $0) }
            for end in ends.prefix(max(0, limit)) {
                var node = end
                while !isShown[node] {
                    isShown[node] = true
                    node = Int(nodes[node].parent)
                }
            }
            isShown[0] = true
        }
        self.isShown = isShown
    }

    package var isEmpty: Bool { tree.nodes.count < 2 }

    /// A line for each call: bytes, blocks, share of the total, function. A call that is the only one of its caller stands
    /// under it without a branch: stacks are deep, and most of their frames have one callee.
    package func text(_ style: TextStyle = .plain) -> String {
        var text = style.dim(row("size", "count", "share") + "call") + "\n"
        // Calls still to be printed, last one first: recursion would need as many frames as the deepest stack has.
        var pending: [Line] = lines(under: 0, indentation: "")
        while let line = pending.popLast() {
            let columns = row(
                TextForm.size(line.tally.bytes), PrintableText.number(line.tally.count),
                PrintableText.percent(line.tally.bytes, of: tree.nodes[0].tally.bytes))
            // Deep calls keep room for their names.
            let prefix = TreeReport.cut(
                line.prefix, to: style.columns.map { max(12, $0 - columns.count - 32) } ?? style.room(beside: 0) / 2)
            let room = style.room(beside: columns.count + prefix.count)
            let name =
                style.columns == nil ? PrintableText.name(name(of: line), limit: room) : PrintableText.symbol(name(of: line), columns: room)
            text += columns + style.dim(prefix) + (line.node == nil ? style.dim(name) : name) + "\n"
            if let node = line.node { pending += lines(under: node, indentation: line.indentation) }
        }
        return text
    }

    private struct Line {
        /// nil: calls that are not shown.
        var node: Int?
        var hiddenCalls = 0
        var tally: Tally
        var prefix: String
        /// What stands before the calls of this one.
        var indentation: String
    }

    private func lines(under node: Int, indentation: String) -> [Line] {
        let children = tree.nodes[node].children
        let shown = children.filter { isShown[$0] }
        let hidden = children.filter { !isShown[$0] }
        let hasBranches = (hidden.isEmpty ? 0 : 1) + shown.count > 1
        var lines = shown.enumerated().map { index, child in
            let isLast = index == shown.count - 1 && hidden.isEmpty
            return Line(
                node: child, tally: tree.nodes[child].tally, prefix: indentation + (hasBranches ? isLast ? "└─ " : "├─ " : ""),
                indentation: indentation + (hasBranches ? isLast ? "   " : "│  " : ""))
        }
        if !hidden.isEmpty {
            let sum = hidden.reduce(Tally.zero) { $0 + tree.nodes[$1].tally }
            lines.append(
                Line(
                    node: nil, hiddenCalls: hidden.count, tally: sum, prefix: indentation + (hasBranches ? "└─ " : ""), indentation: ""))
        }
        return lines.reversed()
    }

    private func name(of line: Line) -> String {
        guard let node = line.node else { return "\(PrintableText.count(line.hiddenCalls, "other call"))" }
        guard let frame = tree.frame(of: node) else { return Frame.unknown.description }
        return (frame.function ?? frame.description) + (tree.nodes[node].isAsync ? " [async]" : "")
    }

    private func row(_ size: String, _ count: String, _ share: String) -> String {
        PrintableText.left(padded: size, to: 10) + PrintableText.left(padded: count, to: 13)
            + PrintableText.left(padded: share, to: 9) + "  "
    }

    /// The inner end of an indentation that would leave no room for names.
    private static func cut(_ prefix: String, to limit: Int) -> String {
        prefix.count <= limit ? prefix : "…" + prefix.suffix(limit - 1)
    }
}
