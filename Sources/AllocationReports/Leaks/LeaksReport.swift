// LeaksReport.swift: `leaks`, what a program lost and why, as text and as JSON.
package import AllocationProfile

/// The leaks of one or more processes.
package struct LeaksReport {
    private let reports: [LeakReport]
    private let limit: Int?

    /// - Parameter limit: at most so many leaks of each process.
    package init(_ reports: [LeakReport], limit: Int? = nil) {
        self.reports = reports
        self.limit = limit
    }

    package var hasLeaks: Bool { reports.contains { !$0.leaks.isEmpty } }

    // MARK: Text

    package func text(_ style: TextStyle = .plain) -> String {
        var text = ""
        for report in reports {
            text += style.bold("process \(report.processID): \(Self.verdict(report))") + "\n"
            text += style.dim("  \(Self.circumstances(report))") + "\n"
            for warning in report.warnings { text += style.warning("  warning: \(PrintableText.name(warning))") + "\n" }
            let shown = report.leaks.prefix(limit ?? .max)
            for leak in shown { text += "\n" + self.text(of: leak, style) }
            let rest = report.leaks.dropFirst(shown.count)
            if !rest.isEmpty {
                let bytes = rest.reduce(Tally.zero) { $0 + $1.total }
                text += "\n" + style.dim("and \(PrintableText.count(rest.count, "smaller leak")): \(ProcessFigures.memory(bytes))") + "\n"
            }
        }
        return text
    }

    private static func verdict(_ report: LeakReport) -> String {
        let leaks = report.leaks.reduce(0) { $0 + $1.instances }
        return leaks == 0 ? "no leaks" : "\(PrintableText.count(leaks, "leak")), \(ProcessFigures.memory(report.leaked))"
    }

    private static func circumstances(_ report: LeakReport) -> String {
        var text = "of \(ProcessFigures.memory(report.live)) that are alive"
        if report.suppressed != .zero { text += "; suppressed: \(ProcessFigures.memory(report.suppressed))" }
        return text + "; the program stood still for \(PrintableText.duration(report.pause))"
    }

    private func text(of leak: Leak, _ style: TextStyle) -> String {
        let name = leak.typeName.map { " of \(PrintableText.name($0, limit: 120))" } ?? ""
        let times = leak.instances == 1 ? "" : ", \(PrintableText.number(leak.instances)) times"
        var text = style.bold("\(leak.kind.rawValue.uppercased())\(name)\(times)") + ": \(ProcessFigures.memory(leak.own))"
        if leak.total != leak.own { text += ", with what only it keeps: \(ProcessFigures.memory(leak.total))" }
        text += "\n"
        if !leak.path.isEmpty {
            let path = (leak.path + [leak.typeName ?? "the first"]).joined(separator: " → ")
            text += "  \(PrintableText.name(path, limit: 1000))\n"
        }
        if leak.kind == .cycle {
            for object in leak.objects { text += "  " + Self.line(of: object, style) + "\n" }
        } else if let object = leak.objects.first, object.strong != nil {
            text += "  " + Self.line(of: object, style) + "\n"
        }
        return text + stack(leak.callStack, style)
    }

    private static func line(of object: LeakedObject, _ style: TextStyle) -> String {
        var text = "\(JSONValue.hexadecimal(object.address))  \(TextForm.size(object.size))"
        if let type = object.typeName { text += "  \(PrintableText.name(type, limit: 100))" }
        if let strong = object.strong, let unowned = object.unowned, let weak = object.weak {
            text += "  strong=\(strong) unowned=\(unowned) weak=\(weak)"
        }
        let site = object.callStack.first { !$0.isSystem } ?? object.callStack.first
        if let site { text += style.dim("  \(PrintableText.name(site.description, limit: 120))") }
        return text
    }

    /// From the call site outward; what the allocator and the runtime did in between says nothing.
    private func stack(_ callStack: CallStack, _ style: TextStyle) -> String {
        let site = callStack.firstIndex { !$0.isSystem } ?? 0
        var text = ""
        for frame in callStack.dropFirst(site).prefix(Self.frames) {
            let function = frame.line == nil ? nil : frame.function
            let name = [frame.description, function].compactMap(\.self).joined(separator: "  ")
            text += "    " + PrintableText.name(name, limit: style.room(beside: 4)) + "\n"
        }
        return text
    }

    private static let frames = 12

    // MARK: JSON

    package func json() -> String {
        let processes = reports.map { report -> JSONValue in
            .object([
                ("pid", .integer(Int(report.processID))), ("live", JSONValue(report.live)), ("leaked", JSONValue(report.leaked)),
                ("suppressed", JSONValue(report.suppressed)), ("pause", .number(report.pause)), ("copying", .number(report.copying)),
                ("leaks", .array(report.leaks.map(Self.value))), ("warnings", .array(report.warnings.map(JSONValue.string))),
            ])
        }
        let all = reports.reduce(Tally.zero) { $0 + $1.leaked }
        return JSONValue.object([("leaked", JSONValue(all)), ("processes", .array(processes))]).text(outerLevels: 4)
    }

    private static func value(_ leak: Leak) -> JSONValue {
        .object(
            [
                ("kind", .string(leak.kind == .cycle ? "cycle" : "root")), ("type", .optional(leak.typeName)),
                ("instances", .integer(leak.instances)), ("own", JSONValue(leak.own)), ("total", JSONValue(leak.total)),
                ("path", .array(leak.path.map(JSONValue.string))), ("objects", .array(leak.objects.map(Self.value))),
            ] + JSONValue.fields(of: leak.callStack))
    }

    private static func value(_ object: LeakedObject) -> JSONValue {
        .object(
            [
                ("address", .string(JSONValue.hexadecimal(object.address))), ("size", .integer(object.size)),
                ("type", .optional(object.typeName)), ("strong", JSONValue.optional(object.strong)),
                ("unowned", JSONValue.optional(object.unowned)), ("weak", JSONValue.optional(object.weak)),
            ] + JSONValue.fields(of: object.callStack))
    }
}

extension JSONValue {
    static func optional(_ number: Int?) -> JSONValue { number.map(JSONValue.integer) ?? .null }

    /// Addresses do not fit into the numbers of all readers of JSON.
    static func hexadecimal(_ address: UInt64) -> String { "0x" + String(address, radix: 16) }
}
