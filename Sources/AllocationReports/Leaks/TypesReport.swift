// TypesReport.swift: `heap`, the live memory of each type, and the objects of one.
package import AllocationProfile

package struct TypesReport {
    private let types: [(name: String?, tally: Tally)]
    private let limit: Int?

    /// - Parameter types: largest first; without a name: memory of no known type.
    package init(_ types: [(name: String?, tally: Tally)], limit: Int?) {
        self.types = types
        self.limit = limit
    }

    private var total: Tally { types.reduce(.zero) { $0 + $1.tally } }

    package func text(_ style: TextStyle = .plain) -> String {
        var text = style.dim(row("size", "count") + "type") + "\n"
        for (name, tally) in types.prefix(limit ?? .max) {
            let figures = row(TextForm.size(tally.bytes), PrintableText.number(tally.count))
            text +=
                figures + (name.map { PrintableText.name($0, limit: style.room(beside: figures.count)) } ?? style.dim("other memory"))
                + "\n"
        }
        let hidden = types.count - min(types.count, limit ?? .max)
        if hidden > 0 { text += style.dim(row("", "") + "and \(PrintableText.count(hidden, "smaller type"))") + "\n" }
        return text + style.bold(row(TextForm.size(total.bytes), PrintableText.number(total.count)) + "in all") + "\n"
    }

    private func row(_ size: String, _ count: String) -> String {
        PrintableText.left(padded: size, to: 10) + PrintableText.left(padded: count, to: 12) + "  "
    }

    package func json() -> String {
        let rows = types.prefix(limit ?? .max).map { name, tally in
            JSONValue.object([("type", .optional(name)), ("bytes", .integer(tally.bytes)), ("count", .integer(tally.count))])
        }
        return JSONValue.object([("total", JSONValue(total)), ("types", .array(rows))]).text(outerLevels: 2)
    }
}

/// The objects of a type.
package struct InstancesReport {
    package struct Instance: Sendable, Hashable {
        package var address: UInt64
        package var size: Int
        package var typeName: String
        package var strong: Int
        package var unowned: Int
        package var weak: Int
        package var isReachable: Bool
        /// What would be free if it were.
        package var kept: Tally

        package init(
            address: UInt64, size: Int, typeName: String, strong: Int, unowned: Int, weak: Int, isReachable: Bool, kept: Tally
        ) {
            self.address = address
            self.size = size
            self.typeName = typeName
            self.strong = strong
            self.unowned = unowned
            self.weak = weak
            self.isReachable = isReachable
            self.kept = kept
        }
    }

    private let instances: [Instance]
    private let count: Int

    /// The ones that keep most come first.
    package init(_ instances: [Instance], limit: Int?) {
        count = instances.count
        self.instances = Array(
            instances.sorted { ($0.kept.bytes, $1.address) > ($1.kept.bytes, $0.address) }.prefix(limit ?? .max))
    }

    package func text(_ style: TextStyle = .plain) -> String {
        var text = ""
        for instance in instances {
            text += "\(JSONValue.hexadecimal(instance.address))  \(PrintableText.name(instance.typeName, limit: 100))  "
            text += "strong=\(instance.strong) unowned=\(instance.unowned) weak=\(instance.weak)  "
            text += instance.isReachable ? "keeps \(ProcessFigures.memory(instance.kept))" : style.warning("leaked")
            text += "\n"
        }
        if count > instances.count { text += style.dim("and \(PrintableText.count(count - instances.count, "other"))") + "\n" }
        return text
    }

    package func json() -> String {
        let rows = instances.map { instance in
            JSONValue.object([
                ("address", .string(JSONValue.hexadecimal(instance.address))), ("size", .integer(instance.size)),
                ("type", .string(instance.typeName)), ("strong", .integer(instance.strong)), ("unowned", .integer(instance.unowned)),
                ("weak", .integer(instance.weak)), ("leaked", .bool(!instance.isReachable)), ("keeps", JSONValue(instance.kept)),
            ])
        }
        return JSONValue.object([("count", .integer(count)), ("instances", .array(rows))]).text(outerLevels: 2)
    }
}
