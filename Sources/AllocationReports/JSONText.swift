// JSONText.swift: JSON with its fields in the order in which the contract lists them.
import AllocationProfile

/// A JSON value. Foundation's encoder knows no order of fields, and loading Foundation costs more than a whole report.
enum JSONValue {
    case null
    case integer(Int)
    case number(Double)
    case bool(Bool)
    case string(String)
    case array([JSONValue])
    case object([(String, JSONValue)])

    static func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    static func optional(_ number: Double?) -> JSONValue { number.map(JSONValue.number) ?? .null }

    /// The text with a newline at its end. Containers of the outer levels have a line per element when they hold containers
    /// themselves, so that a line is a row of the report.
    func text(outerLevels: Int) -> String {
        var text = ""
        write(to: &text, outerLevels: outerLevels, indentation: "\n")
        return text + "\n"
    }

    private var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }

    private func write(to text: inout String, outerLevels: Int, indentation: String) {
        switch self {
        case .null: text += "null"
        case .integer(let value): text += "\(value)"
        case .bool(let value): text += value ? "true" : "false"
        // JSON has no infinity and no NaN; figures of a damaged file may be either.
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): JSONValue.write(value, to: &text)
        case .array(let elements):
            let hasLines = outerLevels > 0 && elements.contains(where: \.isContainer)
            JSONValue.writeList(elements, "[", "]", to: &text, hasLines ? indentation : nil) { element, text, indentation in
                element.write(to: &text, outerLevels: outerLevels - 1, indentation: indentation)
            }
        case .object(let fields):
            let hasLines = outerLevels > 0 && fields.contains(where: \.1.isContainer)
            JSONValue.writeList(fields, "{", "}", to: &text, hasLines ? indentation : nil) { field, text, indentation in
                JSONValue.write(field.0, to: &text)
                text += ": "
                field.1.write(to: &text, outerLevels: outerLevels - 1, indentation: indentation)
            }
        }
    }

    private static func writeList<Element>(
        _ list: [Element], _ open: String, _ close: String, to text: inout String, _ indentation: String?,
        writeElement: (Element, inout String, String) -> Void
    ) {
        let inner = indentation.map { $0 + "  " }
        text += open
        for (index, element) in list.enumerated() {
            if index > 0 { text += inner == nil ? ", " : "," }
            text += inner ?? ""
            writeElement(element, &text, inner ?? "")
        }
        text += (indentation ?? "") + close
    }

    /// A JSON string, for texts that are too long to be a value first.
    static func quoted(_ string: String) -> String {
        var text = ""
        write(string, to: &text)
        return text
    }

    /// Beyond what JSON asks for, everything that a terminal would obey is escaped too.
    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar.value {
            case 0x22: text += "\\\""
            case 0x5c: text += "\\\\"
            case 0x0a: text += "\\n"
            case 0x0d: text += "\\r"
            case 0x09: text += "\\t"
            case 0..<0x20, 0x7f..<0xa0, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff:
                text += "\\u" + PrintableText.left(padded: String(scalar.value, radix: 16), to: 4, with: "0")
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension JSONValue {
    init(_ tally: Tally) { self = .object([("bytes", .integer(tally.bytes)), ("count", .integer(tally.count))]) }

    /// A frame as `site`.
    init(site: Frame?) {
        self = site.map { .object(JSONValue.siteFields($0)) } ?? .null
    }

    /// A frame of a traceback.
    init(_ frame: Frame) {
        self = .object(JSONValue.siteFields(frame) + [("inlined", .bool(frame.isInlined)), ("async", .bool(frame.isAsync))])
    }

    /// The frames of a stack, and whether there were more of them: the mark that stands for those is no frame.
    static func fields(of callStack: CallStack) -> [(String, JSONValue)] {
        let frames = callStack.filter { $0 != .cut }
        return [("traceback", .array(frames.map { JSONValue($0) })), ("truncated", .bool(frames.count < callStack.count))]
    }

    private static func siteFields(_ frame: Frame) -> [(String, JSONValue)] {
        [
            ("function", .optional(frame.function)), ("file", .optional(frame.file)), ("line", frame.line.map(JSONValue.integer) ?? .null),
            ("module", .optional(frame.module)), ("address", frame.address.map { .integer(Int(truncatingIfNeeded: $0)) } ?? .null),
        ] + (frame.type.map { [("type", .string($0))] } ?? [])
    }
}
