// PathDescriber.swift: paths in words: types and fields where they are known, addresses and offsets where not.

package struct PathDescriber<Reader: ObjectReader> {
    private let graph: ReferenceGraph
    private var reader: Reader

    package init(_ graph: ReferenceGraph, reader: Reader) {
        self.graph = graph
        self.reader = reader
    }

    /// `Parent 0x7f…` or `64 bytes at 0x7f…`.
    package mutating func describe(_ block: Int32) -> String {
        let one = graph.blocks[Int(block)]
        guard let object = reader.object(at: one.address, size: one.size) else { return "\(one.size) bytes at \(hexadecimal(one.address))" }
        return "\(object.typeName) \(hexadecimal(one.address))"
    }

    /// From the root inward: where it begins, then each reference.
    package mutating func describe(_ path: HeapPath) -> [String] {
        var lines = [describe(path.root)]
        for (index, step) in path.steps.enumerated() {
            let target = describe(step.block)
            guard index > 0 else {
                lines.append(target)
                continue
            }
            lines.append("\(label(of: path.steps[index - 1].block, at: step.offset)) → \(target)")
        }
        return lines
    }

    private mutating func label(of block: Int32, at offset: UInt64) -> String {
        let one = graph.blocks[Int(block)]
        guard let object = reader.object(at: one.address, size: one.size),
            let reference = reader.references(of: object, size: graph.usableSize(of: block)).first(where: { $0.offset == offset })
        else { return "+\(offset)" }
        let strength = reference.strength == .strong ? "" : " (\(reference.strength.rawValue))"
        return (reference.label.isEmpty ? "+\(offset)" : reference.label) + strength
    }

    private func describe(_ root: ReferenceGraph.RootHit) -> String {
        switch root.kind {
        case .register(let thread): "register of thread \(thread)"
        case .stack(let thread): "stack of thread \(thread) at \(hexadecimal(root.address))"
        case .global(let module): "global variable of \(module) at \(hexadecimal(root.address))"
        case .memory: "memory of the program at \(hexadecimal(root.address))"
        case .suppressed: "suppressed"
        }
    }
}
