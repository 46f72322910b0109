// AdviceReport.swift: `advise`, what stands out and what to do about it.
package import AllocationProfile

/// Findings in plain words, each with its place, its figure and the remedy. No finding is a fine answer.
package struct AdviceReport {
    private let findings: [Finding]
    private let siteCount: Int
    private let hasMarks: Bool
    private let thresholds = AdviceThresholds.standard

    package init(_ snapshots: [Snapshot]) {
        let rules = AdviceRules(snapshots, thresholds)
        findings = rules.findings
        siteCount = rules.siteCount
        hasMarks = snapshots.contains { $0.marks.count - 2 >= AdviceThresholds.standard.generations }
    }

    /// Nothing stands out.
    package var isEmpty: Bool { findings.isEmpty }

    package func text(_ style: TextStyle = .plain) -> String {
        var text = isEmpty ? "Nothing to advise: none of \(PrintableText.count(siteCount, "call site")) stands out.\n" : ""
        for kind in Finding.Kind.allCases {
            let all = findings.filter { $0.kind == kind }
            for finding in all.prefix(thresholds.shownOfKind) { text += self.text(finding, style) + "\n" }
            let others = all.count - thresholds.shownOfKind
            if others > 0 { text += style.dim("\(PrintableText.count(others, "other finding")) of this kind: \(kind.title)") + "\n\n" }
        }
        guard !hasMarks else { return text }
        let note =
            "Leaks that grow from one mark to the next were not looked for, as there are too few marks: record with run --mark-every."
        return text + AdviceReport.wrapped(note, style, indentation: "").map { style.dim($0) + "\n" }.joined()
    }

    private func text(_ finding: Finding, _ style: TextStyle) -> String {
        let lines =
            AdviceReport.wrapped("\(finding.kind.title): \(finding.sentence)", style, indentation: "  ")
            + AdviceReport.wrapped("remedy: \(finding.kind.remedy)", style, indentation: "  ")
        return style.bold(place(of: finding, style)) + "\n" + lines.map { $0 + "\n" }.joined()
    }

    private func place(of finding: Finding, _ style: TextStyle) -> String {
        guard let columns = style.columns else { return PrintableText.name(finding.place) }
        return PrintableText.symbol(finding.place, columns: columns)
    }

    /// Lines that fit the terminal; one line where there is none.
    private static func wrapped(_ text: String, _ style: TextStyle, indentation: String) -> [String] {
        guard style.columns != nil else { return [indentation + text] }
        let room = style.room(beside: indentation.count)
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.count + 1 + word.count <= room + indentation.count {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(indentation + word)
            }
        }
        return lines
    }

    package func json() -> String {
        let rows = findings.map { finding in
            JSONValue.object([
                ("kind", .string(finding.kind.rawValue)), ("site", JSONValue(site: finding.site)),
                ("pid", finding.process.map { .integer(Int($0.pid)) } ?? .null), ("bytes", .integer(finding.tally.bytes)),
                ("count", .integer(finding.tally.count)), ("finding", .string(finding.sentence)),
                ("remedy", .string(finding.kind.remedy)),
            ])
        }
        return JSONValue.object([("callSites", .integer(siteCount)), ("marked", .bool(hasMarks)), ("findings", .array(rows))])
            .text(outerLevels: 2)
    }
}
