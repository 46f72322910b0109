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
        var rest = text[...]
        var shown = ""
        var isThunk = false
        stripping: while true {
            rest = Self.withoutStep(rest)
            for role in Self.roles where rest.hasPrefix(role) {
                if role == "static " { shown += role }
                rest = rest.dropFirst(role.count)
                continue stripping
            }
            for copy in Self.copies where rest.hasPrefix(copy) {
                guard let end = Self.endOfArguments(rest.dropFirst(copy.count)) else { break stripping }
                rest = rest[end...]
                if rest.hasPrefix(" of ") { rest = rest.dropFirst(4) }
                continue stripping
            }
            for word in Self.glue where rest.hasPrefix(word) {
                isThunk = true
                shown += word
                rest = rest.dropFirst(word.count)
                continue stripping
            }
            break
        }
        let owner = Self.afterLastIn(rest)
        module = Self.module(of: owner)
        entity = String(owner)
        self.isThunk = isThunk
        display = Self.short(shown + rest)
    }

    /// Drops `(1) await resume partial function for `: a part of an async function.
    private static func withoutStep(_ text: Substring) -> Substring {
        guard text.first == "(", let end = text.firstIndex(of: ")"), text[..<end].dropFirst().allSatisfy(\.isNumber) else { return text }
        for kind in [") await resume partial function for ", ") suspend resume partial function for "] where text[end...].hasPrefix(kind) {
            return text[end...].dropFirst(kind.count)
        }
        return text
    }

    /// Index behind the `>` that closes an argument list whose `<` was already read.
    private static func endOfArguments(_ text: Substring) -> Substring.Index? {
        var depth = 1
        var previous: UInt8 = 0
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            if byte == UInt8(ascii: "<") { depth += 1 }
            if byte == UInt8(ascii: ">"), previous != UInt8(ascii: "-") {
                depth -= 1
                if depth == 0 { return text.utf8.index(after: index) }
            }
            previous = byte
        }
        return nil
    }

    /// `closure #1 () -> () in App.run()` → `App.run()`: what comes after the last " in " outside of brackets.
    private static func afterLastIn(_ text: Substring) -> Substring {
        var depth = 0
        var previous: UInt8 = 0
        var start = text.startIndex
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            switch byte {
            case UInt8(ascii: "("), UInt8(ascii: "<"), UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: ">") where previous == UInt8(ascii: "-"): break
            case UInt8(ascii: ")"), UInt8(ascii: ">"), UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: " ") where depth == 0 && text.utf8[index...].starts(with: " in ".utf8):
                start = text.utf8.index(index, offsetBy: 4)
            default: break
            }
            previous = byte
        }
        return text[start...]
    }

    private static func module(of entity: Substring) -> String {
        var text = entity
        if text.hasPrefix("static ") { text = text.dropFirst(7) }
        if text.hasPrefix("conformance ") { text = text.dropFirst(12) }
        let mark = "(extension in "
        if text.hasPrefix(mark) { return text.dropFirst(mark.count).prefix(before: ")") }
        return String(text.prefix { $0 == "_" || $0.isLetter || $0.isNumber })
    }

    /// Leaves out what every Swift programmer reads over, as `swift demangle --simplified` does.
    private static func short(_ text: String) -> String {
        var result: [UInt8] = []
        let bytes = Array(text.utf8)
        let noise = Array("Swift.".utf8)
        var index = 0
        while index < bytes.count {
            let startsWord = index == 0 || !isWord(bytes[index - 1])
            if startsWord, bytes[index] == noise[0], bytes[index...].starts(with: noise) {
                index += noise.count
                continue
            }
            result.append(bytes[index])
            index += 1
        }
        let shown = String(decoding: result, as: UTF8.self).replacing("(extension in Swift):", with: "")
        return shown.hasSuffix(" -> ()") ? String(shown.dropLast(6)) : shown
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "$") || byte >= 0x80
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
}
