// LivePlain.swift: a live view as lines of text, for what is no terminal.
import AllocationProfile

/// One line for each refresh, with fields in a fixed order, for people and for scripts.
package enum LivePlain {
    package static func line(_ model: LiveModel, _ question: LiveQuestion = LiveQuestion(), sites: Int = 3) -> String {
        let process = model.snapshot.process
        var text = "\(PrintableText.fixed(process.duration, digits: 1)) s: "
        text += "current=\(process.current.bytes) B, blocks=\(process.current.count), peak=\(process.peak.bytes) B, "
        text += "allocations=\(process.allocations), rate=\(Int(model.rate.count))/s, RSS=\(model.residentBytes) B"
        let largest = model.rows(question).sorted(by: .bytes, isInverted: false).prefix(sites).filter { $0.tally.bytes > 0 }
        if !largest.isEmpty {
            text += "; largest: "
            text += largest.map { "\(PrintableText.name("\($0.site.frame)", limit: 100)) \(TextForm.size($0.tally.bytes))" }.joined(
                separator: ", ")
        }
        return text + "\n"
    }
}
