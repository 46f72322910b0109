// LiveText.swift: lines of a screen: text in styles, cut to the columns that there are.
import AllocationProfile

/// How a piece of a line looks. The terminal decides with what.
package enum LiveStyle: Hashable, Sendable {
    case plain, bold, dim, reverse, warning, grown, shrunk, chart
}

/// One line of the screen.
package struct LiveLine: Hashable, Sendable {
    package private(set) var pieces: [(text: String, style: LiveStyle)] = []
    /// Terminal columns that the line takes.
    package private(set) var width = 0

    package init() {}

    init(_ text: String, _ style: LiveStyle = .plain) { add(text, style) }

    mutating func add(_ text: String, _ style: LiveStyle = .plain) {
        guard !text.isEmpty else { return }
        pieces.append((text, style))
        width += PrintableText.columns(of: text)
    }

    /// The whole line in one style: what is selected is seen as such whatever it was.
    func styled(_ style: LiveStyle, to columns: Int) -> LiveLine {
        var line = LiveLine(text, style)
        line.add(String(repeating: " ", count: max(0, columns - line.width)), style)
        return line
    }

    package var text: String { pieces.map(\.text).joined() }

    package static func == (left: LiveLine, right: LiveLine) -> Bool {
        left.pieces.elementsEqual(right.pieces) { $0.text == $1.text && $0.style == $1.style }
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// What the screen can show.
package struct LiveGlyphs: Hashable, Sendable {
    /// Lowest first.
    var levels: [Character]
    var ellipsis: String
    var from: String
    var down: String
    var up: String
    let isUnicode: Bool

    package static let unicode = LiveGlyphs(
        levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"], ellipsis: "…", from: " ← ", down: "▼", up: "▲", isUnicode: true)
    package static let ascii = LiveGlyphs(
        levels: ["_", ".", ":", "-", "=", "+", "*", "#"], ellipsis: "~", from: " < ", down: "v", up: "^", isUnicode: false)

    /// A name as this screen can show it, in at most `columns`.
    func name(_ text: String, columns: Int) -> String {
        guard columns > 0 else { return "" }
        var shown = PrintableText.symbol(text, columns: columns)
        if !isUnicode {
            shown = String(shown.map { $0 == "…" ? Character(ellipsis) : $0.isASCII ? $0 : "?" })
        }
        return shown
    }

    /// A call and its callers in at most `columns`: as many whole names as have room.
    func chain(_ names: [String], columns: Int) -> String {
        for count in stride(from: names.count, to: 0, by: -1) {
            let text = (names.prefix(count) + (count < names.count ? ["…"] : [])).joined(separator: from)
            if PrintableText.columns(of: text) <= columns { return name(text, columns: columns) }
        }
        return name(names.first ?? "", columns: columns)
    }

    /// Our own text, with what the screen lacks replaced.
    func own(_ text: String) -> String { isUnicode ? text : String(text.map { $0.isASCII ? $0 : $0 == "…" ? "~" : $0 == "←" ? "<" : "-" }) }

    /// Values as bars from zero to their maximum, the last ones that have room.
    func sparkline(_ values: [Int], columns: Int) -> String {
        let shown = values.suffix(max(0, columns))
        guard let most = shown.max(), most > 0 else { return String(repeating: levels[0], count: shown.count) }
        return String(
            shown.map { value in
                levels[min(levels.count - 1, max(0, Int(Double(value) / Double(most) * Double(levels.count))))]
            })
    }
}

extension PrintableText {
    /// Counts that keep to few columns: `12,345`, `123 k`, `12.3 M`.
    static func short(_ value: Int) -> String {
        let magnitude = Double(value.magnitude)
        if magnitude < 100_000 { return number(value) }
        let sign = value < 0 ? "-" : ""
        for (limit, divisor, unit) in [(1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "G"), (1e15, 1e12, "T")]
        where magnitude < limit * 0.9995 {
            let scaled = magnitude / divisor
            return sign + fixed(scaled, digits: scaled < 99.95 ? 1 : 0) + " " + unit
        }
        return sign + fixed(magnitude / 1e15, digits: 1) + " P"
    }

    /// Terminal columns of one character: wide ones take two, marks on another one none.
    package static func columns(of character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0..<0x300: return 1
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x4dbf, 0x4e00...0xa4cf, 0xa960...0xa97c, 0xac00...0xd7a3, 0xf900...0xfaff,
            0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            return 2
        default:
            switch scalar.properties.generalCategory {
            case .nonspacingMark, .enclosingMark, .format: return 0
            default: return 1
            }
        }
    }

    package static func columns(of text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + columns(of: $1) }
    }

    /// As `name(_:limit:)`, in terminal columns: names of another script are wider than they have characters.
    package static func name(_ text: String, columns limit: Int) -> String {
        let printable = name(text, limit: 4000)
        guard limit >= 1, columns(of: printable) > limit else { return printable }
        let (left, right) = (limit / 2, (limit - 1) / 2)
        var start = ""
        var width = 0
        for character in printable {
            width += columns(of: character)
            if width > left { break }
            start.append(character)
        }
        var end: [Character] = []
        width = 0
        for character in printable.reversed() {
            width += columns(of: character)
            if width > right { break }
            end.append(character)
        }
        return start + "…" + String(end.reversed())
    }
}
