// Leak+Text.swift: a leak in words.

extension Leak: CustomStringConvertible {
    /// `retain cycle of Parent: Parent.children → [0] → Child.parent → Parent; 104 B in 3 blocks; main.swift:12`
    public var description: String {
        var text = kind.rawValue
        if let typeName { text += " of \(typeName)" }
        if instances > 1 { text += ", \(instances) times" }
        if !path.isEmpty { text += ": " + (path + [typeName ?? "the first"]).joined(separator: " → ") }
        text += "; \(TextForm.size(total.bytes)) in \(total.count) block\(total.count == 1 ? "" : "s")"
        if let site = callStack.first(where: { !$0.isSystem }) ?? callStack.first { text += "; \(site)" }
        return text
    }
}
