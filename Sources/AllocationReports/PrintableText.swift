// PrintableText.swift: names from traced programs made harmless for a terminal, and numbers made readable.
import AllocationProfile

/// How a report may look: what the terminal can do, nothing else.
package struct TextStyle: Hashable, Sendable {
    /// Width of the terminal; nil when the text goes elsewhere.
    package var columns: Int?
    package var usesColor: Bool

    package init(columns: Int? = nil, usesColor: Bool = false) {
        self.columns = columns
        self.usesColor = usesColor
    }

    package static let plain = TextStyle()

    package func bold(_ text: String) -> String { colored(text, "1") }
    package func dim(_ text: String) -> String { colored(text, "2") }
    package func warning(_ text: String) -> String { colored(text, "33") }

    private func colored(_ text: String, _ code: String) -> String {
        usesColor && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }

    /// Room for a name beside `used` other characters of its line. Beyond terminals nobody reads more than this either.
    func room(beside used: Int) -> Int { columns.map { max(16, $0 - used) } ?? PrintableText.longestName }
}

/// Symbols and paths are what the traced program says: they may hold newlines, escape codes or ten thousand characters.
package enum PrintableText {
    package static let longestName = 400

    /// `text` on one line, without anything that a terminal would obey, at most `limit` characters: the middle is left out,
    /// as names differ at their ends.
    package static func name(_ text: String, limit: Int = longestName) -> String {
        var printable = ""
        printable.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if isHarmless(scalar) { printable.unicodeScalars.append(scalar) } else { printable += escape(scalar) }
        }
        guard limit >= 1, printable.utf8.count > limit, printable.count > limit else { return printable }
        return printable.prefix(limit / 2) + "…" + printable.suffix((limit - 1) / 2)
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20..<0x7f: true
        // C0 and C1 controls, DEL.
        case 0..<0xa0: false
        // Zero width and directions: what is read would not be what is there.
        case 0xad, 0x61c, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff, 0xfff9...0xfffb, 0xe0000...0xe007f: false
        default: true
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{\(String(scalar.value, radix: 16))}"
        }
    }

    /// A command line as a shell would take it.
    package static func command(_ arguments: [String], limit: Int = longestName) -> String {
        let quoted = arguments.map { argument in
            let plain = argument.utf8.allSatisfy { byte in
                switch UInt8(byte) {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_./=:,+@%".utf8.contains(byte) || byte >= 0x80
                }
            }
            if plain && !argument.isEmpty { return argument }
            return "'" + argument.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        }
        return name(quoted.joined(separator: " "), limit: limit)
    }

    /// `1,234,567`.
    package static func number(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var text = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.utf8.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }

    /// `1 block`, `1,234 blocks`.
    package static func count(_ value: Int, _ noun: String, _ plural: String? = nil) -> String {
        "\(number(value)) \(value == 1 ? noun : plural ?? noun + "s")"
    }

    /// `250 ms`, `1.25 s`, `2 min 5 s`.
    package static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "unknown time" }
        if seconds >= 3600 { return "\(Int(seconds) / 3600) h \(Int(seconds) % 3600 / 60) min" }
        if seconds >= 60 { return "\(Int(seconds) / 60) min \(Int(seconds) % 60) s" }
        if seconds >= 1 { return "\(fixed(seconds, digits: 2)) s" }
        return "\(fixed(seconds * 1000, digits: seconds < 0.01 ? 1 : 0)) ms"
    }

    /// `12.3 %` of `whole`.
    package static func percent(_ part: Int, of whole: Int) -> String {
        "\(fixed(whole == 0 ? 0 : 100 * Double(part) / Double(whole), digits: 1)) %"
    }

    /// A decimal number without Foundation; `value` is a time or a share, so it is small.
    static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        guard let scaled = Int(exactly: (value.magnitude * Double(scale)).rounded()) else { return "\(value)" }
        let sign = value < 0 && scaled != 0 ? "-" : ""
        let fraction = digits == 0 ? "" : "." + left(padded: String(scaled % scale), to: digits, with: "0")
        return "\(sign)\(scaled / scale)\(fraction)"
    }

    /// Right-aligned.
    static func left(padded text: String, to width: Int, with padding: Character = " ") -> String {
        String(repeating: padding, count: max(0, width - text.count)) + text
    }

    /// Left-aligned.
    static func right(padded text: String, to width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
}

extension Frame {
    /// The frame with all its names made printable.
    var printable: Frame {
        var frame = self
        frame.function = function.map { PrintableText.name($0) }
        frame.file = file.map { PrintableText.name($0) }
        frame.module = module.map { PrintableText.name($0) }
        return frame
    }
}
