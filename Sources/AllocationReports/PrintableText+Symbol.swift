// PrintableText+Symbol.swift: names of functions made short: what they are called stays, what they are called with goes first.

extension PrintableText {
    /// A name, as `function (library)` or `file:line`, on one line of at most `limit` terminal columns. Where it does not fit, a
    /// function loses its parameters and template arguments, then its outer names, before anything is cut out of its middle.
    package static func symbol(_ text: String, columns limit: Int) -> String {
        let whole = name(text, limit: 4000)
        guard columns(of: whole) > limit else { return whole }
        var short = shortened(whole)[...]
        // What distinguishes names stands at their end: of `clang::Sema::ActOnTag` the outer names go first.
        while columns(of: String(short)) > limit, !short.hasPrefix("/"), let next = short.range(of: "::", before: " (") {
            short = short[next.upperBound...]
        }
        return name(String(short), columns: limit)
    }

    /// `std::map<…>::find (libx.so)` of `std::map<int, int>::find(int const&) const (libx.so)`. Names that do not nest as expected
    /// stay as they are.
    static func shortened(_ text: String) -> String {
        // What stands in brackets behind a space at the end is the library, not parameters; "const" stands behind those.
        var function = text[...]
        var library = ""
        if text.hasSuffix(")"), let at = text.range(ofLast: " ("), isLibrary(text[at.upperBound...].dropLast()) {
            (function, library) = (text[..<at.lowerBound], String(text[at.lowerBound...]))
        }
        guard let short = withoutArguments(function) else { return text }
        return short + library
    }

    private static func isLibrary(_ text: Substring) -> Bool { !text.isEmpty && !text.contains { "()<>*&,".contains($0) } }

    private static func withoutArguments(_ name: Substring) -> String? {
        var result = ""
        var angles = 0
        var rounds = 0
        var rest = name
        let anonymous = "(anonymous namespace)"
        while let letter = rest.first {
            let isOutside = angles == 0 && rounds == 0
            if isOutside, rest.hasPrefix("operator") {
                // Operators are named by the brackets that nest elsewhere.
                let symbol = rest.dropFirst("operator".count).prefix { "()<>=!+-*/%^&|~[],".contains($0) }
                let kept = symbol.hasPrefix("()") ? symbol.prefix(2) : symbol.prefix { $0 != "(" }
                result += "operator" + kept
                rest = rest.dropFirst("operator".count + kept.count)
                continue
            }
            if isOutside, rest.hasPrefix(anonymous) {
                result += anonymous
                rest = rest.dropFirst(anonymous.count)
                continue
            }
            switch letter {
            case "<":
                if isOutside { result += "<…>" }
                angles += 1
            case ">" where result.hasSuffix("-") && isOutside: result.append(letter)
            case ">": angles -= 1
            case "(": rounds += 1
            case ")": rounds -= 1
            default: if isOutside { result.append(letter) }
            }
            if angles < 0 || rounds < 0 { return nil }
            rest = rest.dropFirst()
        }
        guard angles == 0, rounds == 0, !result.isEmpty else { return nil }
        return result.hasSuffix(" const") ? String(result.dropLast(" const".count)) : result
    }
}

extension PrintableText {
    /// Words on lines that fit the terminal, all but the first indented; one line where there is none.
    package static func wrapped(_ text: String, _ style: TextStyle, indentation: Int) -> String {
        guard style.columns != nil else { return text }
        let room = style.room(beside: indentation)
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, columns(of: last) + 1 + columns(of: String(word)) <= room {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines.joined(separator: "\n" + String(repeating: " ", count: indentation))
    }
}

extension Substring {
    /// Where `needle` is first, in front of `end` where that is there, and with something behind it.
    fileprivate func range(of needle: String, before end: String) -> Range<Index>? {
        var position = startIndex
        while position < endIndex, !self[position...].hasPrefix(end) {
            if self[position...].hasPrefix(needle) {
                let after = index(position, offsetBy: needle.count)
                return after < endIndex ? position..<after : nil
            }
            position = index(after: position)
        }
        return nil
    }
}

extension String {
    fileprivate func range(ofLast needle: String) -> Range<Index>? {
        var end = endIndex
        while end > startIndex {
            let start = index(before: end)
            if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
            end = start
        }
        return nil
    }
}
