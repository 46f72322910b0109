// Pattern.swift: file name patterns with fnmatch's rules.

/// A pattern for a whole text: `*` any text (also with slashes), `?` any character, `[seq]` one of, `[!seq]` none of, with
/// ranges such as `[a-z]`. Case counts. A `[` that is never closed means itself.
struct Pattern: Hashable, Sendable {
    private enum Element: Hashable, Sendable {
        case anyText
        case anyCharacter
        case literal(Unicode.Scalar)
        case set([ClosedRange<UInt32>], inverted: Bool)

        func matches(_ scalar: Unicode.Scalar) -> Bool {
            switch self {
            case .anyText: false
            case .anyCharacter: true
            case .literal(let own): own == scalar
            case .set(let ranges, let inverted): ranges.contains { $0.contains(scalar.value) } != inverted
            }
        }
    }

    let text: String
    private let elements: [Element]

    init(_ text: String) {
        self.text = text
        var elements: [Element] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if elements.last != .anyText { elements.append(.anyText) }
            case "?": elements.append(.anyCharacter)
            case "[": elements.append(Pattern.set(&rest) ?? .literal(scalar))
            default: elements.append(.literal(scalar))
            }
        }
        self.elements = elements
    }

    /// Reads the set after a `[`; leaves `rest` alone when it is not closed.
    private static func set(_ rest: inout Substring.UnicodeScalarView) -> Element? {
        var body = rest
        let inverted = body.first == "!"
        if inverted { body.removeFirst() }
        var members: [Unicode.Scalar] = []
        // A bracket that stands first is a member.
        while let scalar = body.popFirst() {
            if scalar == "]" && !members.isEmpty {
                rest = body
                return .set(ranges(members[...]), inverted: inverted)
            }
            members.append(scalar)
        }
        return nil
    }

    private static func ranges(_ members: ArraySlice<Unicode.Scalar>) -> [ClosedRange<UInt32>] {
        var ranges: [ClosedRange<UInt32>] = []
        var rest = members
        while let first = rest.popFirst() {
            guard rest.count >= 2, rest.first == "-" else {
                ranges.append(first.value...first.value)
                continue
            }
            rest.removeFirst()
            let last = rest.removeFirst()
            if first.value <= last.value { ranges.append(first.value...last.value) }
        }
        return ranges
    }

    /// Whether the whole text matches. Time: at worst the product of both lengths, as a `*` is only ever retried for the last one.
    func matches(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        var position = scalars.startIndex
        var element = 0
        var retry: (element: Int, position: String.Index)?
        while position < scalars.endIndex {
            if element < elements.count, elements[element] == .anyText {
                retry = (element, position)
                element += 1
            } else if element < elements.count, elements[element].matches(scalars[position]) {
                element += 1
                position = scalars.index(after: position)
            } else if let last = retry {
                // The star takes one more character.
                element = last.element + 1
                position = scalars.index(after: last.position)
                retry = (last.element, position)
            } else {
                return false
            }
        }
        return elements[element...].allSatisfy { $0 == .anyText }
    }
}
