// SwiftFunctionName.swift: the parts of a demangled Swift name that matter: which module's code it is, and a short form.

/// `generic specialization <Swift.Int> of Swift.Array.append(__owned A) -> ()`, taken apart.
///
/// Specializations are copies of a function and belong to its module; thunks are glue that the compiler made.
struct SwiftFunctionName {
    /// Module that the code belongs to: for an extension the extending module, for a closure that of the function around it.
    let module: String
    /// The name without its module and its kinds of copy.
    let entity: String
    /// Glue without source code: reabstraction, witness and dispatch thunks, metadata accessors, outlined copies.
    let isThunk: Bool
    /// For people: without the module `Swift`, without specializations, without `-> ()`.
    let display: String

    /// Copies of a function: `… <arguments> of X`.
    private static let copies = [
        "generic specialization <", "generic not re-abstracted specialization <", "generic partial specialization <",
        "generic not re-abstracted partial specialization <", "generic pre-specialization <", "function signature specialization <",
        "inlined generic function <", "closed generic specialization <",
    ]
    /// Words in front of a function that is somebody's code.
    private static let roles = ["static ", "merged ", "@objc ", "@nonobjc ", "dynamic ", "async function pointer to ", "implicit "]
    private static let glue = [
        "partial apply forwarder for ", "partial apply ObjC forwarder for ", "reabstraction thunk helper ", "reabstraction thunk ",
        "protocol witness for ", "protocol self-conformance witness for ", "dispatch thunk of ", "vtable thunk for ", "curry thunk of ",
        "type metadata accessor for ", "type metadata completion function for ", "type metadata instantiation function for ",
        "type metadata instantiation cache for ", "lazy protocol witness table accessor for ", "protocol witness table accessor for ",
        "associated type witness table accessor for ", "associated type metadata accessor for ", "outlined ", "value witness ",
        "canonical specialized generic type metadata accessor for ", "generic protocol witness table instantiation function for ",
        "base witness table accessor for ", "method lookup function for ", "default associated type metadata accessor for ",
        "opaque type descriptor accessor ", "key path getter for ", "key path setter for ", "key path equality operator for ",
        "back deployment thunk for ", "distributed thunk ", "implicit closure reabstraction ", "noncanonical specialized ",
        "sugared type metadata accessor for ", "keypath_get ", "destroy of ",
    ]

    init(demangled text: String) {
        var rest = Array(text.utf8)[...]
        var shown: [UInt8] = []
        var isThunk = false
        stripping: while let first = rest.first {
            if first == UInt8(ascii: "("), let behind = Self.behindStep(rest) {
                rest = behind
                continue
            }
            guard let words = Self.wordsByFirst[first] else { break }
            for word in words where rest.starts(with: word.text) {
                rest = rest.dropFirst(word.text.count)
                switch word.kind {
                case .role: if word.text.elementsEqual("static ".utf8) { shown += word.text }
                case .glue:
                    isThunk = true
                    shown += word.text
                case .copy:
                    guard let behind = Self.behindArguments(rest) else { break stripping }
                    rest = behind.starts(with: " of ".utf8) ? behind.dropFirst(4) : behind
                }
                continue stripping
            }
            break
        }
        let owner = Self.afterLastIn(rest)
        module = Self.module(of: owner)
        entity = String(decoding: owner, as: UTF8.self)
        self.isThunk = isThunk
        display = Self.short(shown + rest)
    }

    private struct Word {
        enum Kind { case role, glue, copy }
        var text: [UInt8]
        var kind: Kind
    }

    private static let wordsByFirst: [UInt8: [Word]] = Dictionary(
        grouping: copies.map { Word(text: Array($0.utf8), kind: .copy) } + roles.map { Word(text: Array($0.utf8), kind: .role) }
            + glue.map { Word(text: Array($0.utf8), kind: .glue) },
        by: { $0.text[0] })

    /// Skips `(1) await resume partial function for `: a part of an async function.
    private static func behindStep(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let rest = text.dropFirst().drop { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        for kind in [") await resume partial function for ", ") suspend resume partial function for "] where rest.starts(with: kind.utf8) {
            return rest.dropFirst(kind.utf8.count)
        }
        return nil
    }

    /// Skips an argument list whose `<` was already read.
    private static func behindArguments(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var depth = 1
        for index in text.indices {
            if text[index] == UInt8(ascii: "<") { depth += 1 }
            if closesAngle(text, index) {
                depth -= 1
                if depth == 0 { return text[(index + 1)...] }
            }
        }
        return nil
    }

    /// `>`, but not that of an arrow.
    private static func closesAngle(_ text: ArraySlice<UInt8>, _ index: Int) -> Bool {
        text[index] == UInt8(ascii: ">") && (index == text.startIndex || text[index - 1] != UInt8(ascii: "-"))
    }

    /// `closure #1 () -> () in App.run()` → `App.run()`: what comes after the last " in " outside of brackets.
    private static func afterLastIn(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var depth = 0
        var start = text.startIndex
        for index in text.indices {
            switch text[index] {
            case UInt8(ascii: "("), UInt8(ascii: "<"), UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: ">"): if closesAngle(text, index) { depth -= 1 }
            case UInt8(ascii: " ") where depth == 0 && text[index...].starts(with: " in ".utf8): start = index + 4
            default: break
            }
        }
        return text[start...]
    }

    private static func module(of entity: ArraySlice<UInt8>) -> String {
        var text = entity
        for word in ["static ", "conformance "] where text.starts(with: word.utf8) { text = text.dropFirst(word.utf8.count) }
        let mark = "(extension in "
        if text.starts(with: mark.utf8) {
            return String(decoding: text.dropFirst(mark.utf8.count).prefix { $0 != UInt8(ascii: ")") }, as: UTF8.self)
        }
        return String(decoding: text.prefix { isWord($0) && $0 != UInt8(ascii: ".") }, as: UTF8.self)
    }

    /// Leaves out what every Swift programmer reads over, as `swift demangle --simplified` does: the module of the standard
    /// library, and the long forms of `[Element]` and `Wrapped?`.
    private static func short(_ bytes: [UInt8]) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        shorten(bytes[...], into: &result, depth: 0)
        let end = " -> ()".utf8
        if result.count > end.count, result.suffix(end.count).elementsEqual(end) { result.removeLast(end.count) }
        return String(decoding: result, as: UTF8.self)
    }

    private static let noise: [[UInt8]] = ["Swift.", "(extension in Swift):"].map { Array($0.utf8) }

    private static func shorten(_ text: ArraySlice<UInt8>, into result: inout [UInt8], depth: Int) {
        var index = text.startIndex
        while index < text.endIndex {
            let startsWord = index == text.startIndex || !isWord(text[index - 1])
            if text[index] == UInt8(ascii: "("), let name = privateName(text[index...]) {
                result += name.name
                index = name.behind
                continue
            }
            guard startsWord, let word = noise.first(where: { $0[0] == text[index] && text[index...].starts(with: $0) }) else {
                result.append(text[index])
                index += 1
                continue
            }
            index += word.count
            if depth < 32, let behind = sugar(text[index...], into: &result, depth: depth) { index = behind }
        }
    }

    /// `(Item in _90AB32459A5BCC4685EE39DDCD4BCC5B)` → `Item`: the number of the file that a private name belongs to.
    private static func privateName(_ text: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>, behind: Int)? {
        let rest = text.dropFirst().drop { isWord($0) && $0 != UInt8(ascii: ".") }
        let name = text[(text.startIndex + 1)..<rest.startIndex]
        let mark = " in _".utf8
        guard !name.isEmpty, rest.count > mark.count + 32, rest.starts(with: mark) else { return nil }
        let behind = rest.startIndex + mark.count + 32
        guard rest[behind] == UInt8(ascii: ")"), rest[..<behind].suffix(32).allSatisfy({ UnicodeScalar($0).properties.isHexDigit }) else {
            return nil
        }
        return (name, behind + 1)
    }

    /// `Array<Swift.Int>` → `[Int]`. Returns the index behind it.
    private static func sugar(_ text: ArraySlice<UInt8>, into result: inout [UInt8], depth: Int) -> Int? {
        for (name, open, close) in [("Array<", "[", "]"), ("Optional<", "", "?")] where text.starts(with: name.utf8) {
            let arguments = text.dropFirst(name.utf8.count)
            guard let behind = behindArguments(arguments)?.startIndex else { return nil }
            var inner: [UInt8] = []
            shorten(arguments[..<(behind - 1)], into: &inner, depth: depth + 1)
            // A space in it: a function or a composition, which needs brackets before the question mark.
            let brackets = close == "?" && inner.contains(UInt8(ascii: " ")) && inner.first != UInt8(ascii: "[")
            result += open.utf8
            if brackets { result.append(UInt8(ascii: "(")) }
            result += inner
            if brackets { result.append(UInt8(ascii: ")")) }
            result += close.utf8
            return behind
        }
        return nil
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "$") || byte >= 0x80
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
}
