// Page.swift: `report --html` and `compare --html`, one self-contained page.
package import AllocationProfile

/// A page that shows the memory of a run, or how that of two runs differs, without any other file and without a network.
///
/// What the traced program named stands in the page only as text of a JSON element in which no character ends an element;
/// scripts put it into the page as text, never as markup. The page's policy lets no other script run and nothing be loaded.
package struct Page {
    private let title: String
    private let old: [Snapshot]
    private let new: [Snapshot]
    private let question: PageQuestion

    package init(_ snapshots: [Snapshot], _ question: PageQuestion) {
        self.init(title: Page.command(of: snapshots), old: [], new: snapshots, question)
    }

    package init(old: [Snapshot], new: [Snapshot], _ question: PageQuestion) {
        let (before, after) = (Page.command(of: old), Page.command(of: new))
        self.init(title: before == after ? after : "\(before) → \(after)", old: old, new: new, question)
    }

    private init(title: String, old: [Snapshot], new: [Snapshot], _ question: PageQuestion) {
        (self.title, self.old, self.new, self.question) = (title, old, new, question)
    }

    private static func command(of snapshots: [Snapshot]) -> String {
        snapshots.first.map { PrintableText.command($0.process.command, limit: 200) } ?? ""
    }

    /// The page.
    /// - Parameters:
    ///   - nonce: letters and digits that the page's own script and style are known by.
    ///   - sourceLine: finds the text of a source line that the page is to hold.
    package func html(nonce: String, sourceLine: (_ file: String, _ line: Int) -> String? = { _, _ in nil }) -> String {
        var data = PageData(old: old, new: new, question)
        let json = Page.harmlessInScript(data.json(title: title, sourceLine: sourceLine))
        let parts = [
            "nonce": nonce, "title": Page.markup(title), "style": Page.text(PackageResources.page_css),
            "script": Page.scripts.map(Page.text).joined(separator: "\n"), "data": json,
        ]
        // The template's marks are replaced in one pass: what is put in may look like a mark.
        var page = ""
        for (index, piece) in Page.text(PackageResources.page_html).split(separator: "%%", omittingEmptySubsequences: false).enumerated() {
            page += index % 2 == 0 ? String(piece) : parts[String(piece)] ?? ""
        }
        return page
    }

    /// In the order in which they build upon each other.
    private static let scripts = [
        PackageResources.format_js, PackageResources.model_js, PackageResources.state_js, PackageResources.calls_js,
        PackageResources.flame_js, PackageResources.timeline_js, PackageResources.sites_js, PackageResources.figures_js,
        PackageResources.main_js,
    ]

    private static func text(_ resource: [UInt8]) -> String { String(decoding: resource, as: UTF8.self) }

    /// JSON that no parser of HTML takes for anything else. These characters stand in strings only, where JSON has escapes;
    /// the line separators, which scripts of old do not take, are escaped already.
    static func harmlessInScript(_ json: String) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(json.utf8.count)
        for byte in json.utf8 {
            switch byte {
            case UInt8(ascii: "<"): bytes += "\\u003c".utf8
            case UInt8(ascii: ">"): bytes += "\\u003e".utf8
            case UInt8(ascii: "&"): bytes += "\\u0026".utf8
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Text as HTML has it.
    static func markup(_ text: String) -> String {
        var markup = ""
        for character in text.unicodeScalars {
            switch character {
            case "<": markup += "&lt;"
            case ">": markup += "&gt;"
            case "&": markup += "&amp;"
            case "\"": markup += "&quot;"
            case "'": markup += "&#39;"
            default: markup.unicodeScalars.append(character)
            }
        }
        return markup
    }
}
