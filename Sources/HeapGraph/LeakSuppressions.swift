// LeakSuppressions.swift: leaks that are known and not to be reported, in the format of LeakSanitizer's files.
package import AllocationProfile

/// Lines `leak:PATTERN`; a leak is suppressed when the pattern is found in the function, file or module of any frame of the
/// stack that allocated it. `*` stands for any text, `^` and `$` at the ends tie the pattern to those of the name.
package struct LeakSuppressions: Sendable {
    package enum Fault: Error, CustomStringConvertible, Hashable {
        case unknownLine(number: Int, text: String)

        package var description: String {
            switch self {
            case .unknownLine(let number, let text): "line \(number) is neither leak:PATTERN nor a comment (#): \(text)"
            }
        }
    }

    private struct Pattern: Sendable {
        /// Parts between stars.
        var parts: [String]
        var isTiedToStart: Bool
        var isTiedToEnd: Bool
    }

    private var patterns: [Pattern] = []

    package init() {}

    /// What libraries lose by themselves, so that no program can mend it.
    package static let builtIn = {
        var known = LeakSuppressions()
        // When two threads need the metadata of a tuple type for the first time at once, the Swift runtime makes it twice and
        // gives one up: some dozen bytes, once for a type.
        known.add(pattern: "swift::LockingConcurrentMap<")
        return known
    }()

    package mutating func add(file text: String) throws(Fault) {
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.drop { $0 == " " || $0 == "\t" }
            if words.isEmpty || words.hasPrefix("#") { continue }
            guard words.hasPrefix("leak:") else { throw .unknownLine(number: index + 1, text: String(words.prefix(80))) }
            add(pattern: String(words.dropFirst(5).reversed().drop { $0 == " " || $0 == "\t" }.reversed()))
        }
    }

    package mutating func add(pattern text: String) {
        var text = text[...]
        let isTiedToStart = text.hasPrefix("^")
        if isTiedToStart { text = text.dropFirst() }
        let isTiedToEnd = text.hasSuffix("$")
        if isTiedToEnd { text = text.dropLast() }
        guard !text.isEmpty else { return }
        let parts = text.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
        patterns.append(Pattern(parts: parts, isTiedToStart: isTiedToStart, isTiedToEnd: isTiedToEnd))
    }

    package var isEmpty: Bool { patterns.isEmpty }

    package func suppresses(_ callStack: CallStack) -> Bool {
        callStack.contains { frame in
            patterns.contains { pattern in
                [frame.function, frame.file, frame.module].contains { name in name.map { Self.matches($0, pattern) } ?? false }
            }
        }
    }

    private static func matches(_ name: String, _ pattern: Pattern) -> Bool {
        let name = Array(name.utf8)
        var position = 0
        for (index, part) in pattern.parts.enumerated() where !part.isEmpty {
            let part = Array(part.utf8)
            if index == pattern.parts.count - 1 && pattern.isTiedToEnd {
                guard name.count - part.count >= position, name.suffix(part.count).elementsEqual(part) else { return false }
                return !(index == 0 && pattern.isTiedToStart) || name.count == part.count
            }
            let isTied = index == 0 && pattern.isTiedToStart
            guard let found = find(part, in: name, from: position), !isTied || found == 0 else { return false }
            position = found + part.count
        }
        return true
    }

    private static func find(_ part: [UInt8], in name: [UInt8], from start: Int) -> Int? {
        guard name.count >= part.count, start <= name.count - part.count else { return nil }
        return (start...(name.count - part.count)).first { name[$0..<($0 + part.count)].elementsEqual(part) }
    }
}
