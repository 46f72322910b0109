// RustDemangler.swift: Rust names of the current scheme (`_R…`, RFC 2603).

/// Reads the grammar of RFC 2603 from left to right and prints on the way. Lifetimes and hashes are left out.
///
/// Names come from files: nesting, output and back references are bounded, and what does not parse stays mangled.
struct RustDemangler {
    private struct Malformed: Error {}

    private let bytes: [UInt8]
    private var position = 0
    private var output: [UInt8] = []
    private var isSilent = false
    private var depth = 0
    private var steps = 0

    private static let deepest = 200
    private static let longest = 8_192
    private static let mostSteps = 100_000

    /// The path of a `_R…` name.
    static func demangle(_ mangled: String) -> String? {
        var demangler = RustDemangler(bytes: Array(mangled.utf8.dropFirst(2)))
        do {
            try demangler.path(isValue: true)
            return String(decoding: demangler.output, as: UTF8.self)
        } catch { return nil }
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    // MARK: Reading

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take() throws -> UInt8 {
        guard let byte = next else { throw Malformed() }
        position += 1
        return byte
    }

    private mutating func take(if character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// `_` is 0, `0_` is 1, `Z_` is 62 …
    private mutating func base62() throws -> UInt64 {
        if take(if: "_") { return 0 }
        var value: UInt64 = 0
        while true {
            let byte = try take()
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "_"):
                let (result, overflow) = value.addingReportingOverflow(1)
                if overflow { throw Malformed() }
                return result
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = byte - UInt8(ascii: "A") + 36
            default: throw Malformed()
            }
            let (product, tooBig) = value.multipliedReportingOverflow(by: 62)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(digit))
            if tooBig || overflow { throw Malformed() }
            value = sum
        }
    }

    /// The number behind `tag` plus one, 0 without the tag.
    private mutating func optionalNumber(_ tag: Unicode.Scalar) throws -> UInt64 {
        guard take(if: tag) else { return 0 }
        let value = try base62()
        return value < UInt64.max ? value + 1 : value
    }

    private mutating func identifier() throws -> (name: ArraySlice<UInt8>, number: UInt64) {
        let number = try optionalNumber("s")
        let isPunycode = take(if: "u")
        var length = 0
        guard let first = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { throw Malformed() }
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), length < bytes.count {
            length = length * 10 + Int(byte - UInt8(ascii: "0"))
            position += 1
            if length == 0 { break }
        }
        _ = take(if: "_")
        guard length <= bytes.count - position else { throw Malformed() }
        defer { position += length }
        let name = bytes[position..<position + length]
        return (isPunycode ? ArraySlice("punycode{".utf8 + name + "}".utf8) : name, number)
    }

    // MARK: Printing

    private mutating func print(_ text: String) throws {
        try print(text.utf8)
    }

    private mutating func print(_ text: some Collection<UInt8>) throws {
        if isSilent { return }
        guard output.count + text.count <= Self.longest else { throw Malformed() }
        output.append(contentsOf: text)
    }

    private mutating func nested(_ body: (inout Self) throws -> Void) throws {
        depth += 1
        steps += 1
        guard depth <= Self.deepest, steps <= Self.mostSteps else { throw Malformed() }
        try body(&self)
        depth -= 1
    }

    private mutating func list(separator: String = ", ", _ element: (inout Self) throws -> Void) throws -> Int {
        var count = 0
        while !take(if: "E") {
            if count > 0 { try print(separator) }
            try element(&self)
            count += 1
        }
        return count
    }

    /// Prints again what stands earlier in the name.
    private mutating func backReference(_ body: (inout Self) throws -> Void) throws {
        let here = position - 1
        guard let target = Int(exactly: try base62()), target < here else { throw Malformed() }
        if isSilent { return }
        let back = position
        position = target
        try body(&self)
        position = back
    }

    // MARK: Grammar

    private mutating func path(isValue: Bool) throws {
        try nested { demangler in try demangler.pathBody(isValue: isValue) }
    }

    private mutating func pathBody(isValue: Bool) throws {
        switch try take() {
        case UInt8(ascii: "C"): try print(identifier().name)
        case UInt8(ascii: "M"):
            try implementation()
            try print("<")
            try typeName()
            try print(">")
        case UInt8(ascii: "X"):
            try implementation()
            try traitImplementation()
        case UInt8(ascii: "Y"): try traitImplementation()
        case UInt8(ascii: "N"):
            let kind = try take()
            try path(isValue: isValue)
            let (name, number) = try identifier()
            if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(kind) {
                try print("::{")
                try print(kind == UInt8(ascii: "C") ? "closure" : kind == UInt8(ascii: "S") ? "shim" : String(Unicode.Scalar(kind)))
                if !name.isEmpty {
                    try print(":")
                    try print(name)
                }
                try print("#\(number)}")
            } else if !name.isEmpty {
                try print("::")
                try print(name)
            }
        case UInt8(ascii: "I"):
            try path(isValue: isValue)
            try print(isValue ? "::<" : "<")
            _ = try list { demangler in try demangler.genericArgument() }
            try print(">")
        case UInt8(ascii: "B"): try backReference { demangler in try demangler.path(isValue: isValue) }
        default: throw Malformed()
        }
    }

    /// The place of an impl block: read, but its type says more.
    private mutating func implementation() throws {
        _ = try optionalNumber("s")
        let wasSilent = isSilent
        isSilent = true
        try path(isValue: false)
        isSilent = wasSilent
    }

    private mutating func traitImplementation() throws {
        try print("<")
        try typeName()
        try print(" as ")
        try path(isValue: false)
        try print(">")
    }

    private mutating func genericArgument() throws {
        if take(if: "L") {
            _ = try base62()
            try print("'_")
        } else if take(if: "K") {
            try constant()
        } else {
            try typeName()
        }
    }

    private mutating func typeName() throws {
        try nested { demangler in try demangler.typeBody() }
    }

    private mutating func typeBody() throws {
        let tag = try take()
        if let name = Self.basicTypes[tag] { return try print(name) }
        switch tag {
        case UInt8(ascii: "A"):
            try print("[")
            try typeName()
            try print("; ")
            try constant()
            try print("]")
        case UInt8(ascii: "S"):
            try print("[")
            try typeName()
            try print("]")
        case UInt8(ascii: "T"):
            try print("(")
            if try list({ demangler in try demangler.typeName() }) == 1 { try print(",") }
            try print(")")
        case UInt8(ascii: "R"), UInt8(ascii: "Q"):
            if take(if: "L") { _ = try base62() }
            try print(tag == UInt8(ascii: "R") ? "&" : "&mut ")
            try typeName()
        case UInt8(ascii: "P"), UInt8(ascii: "O"):
            try print(tag == UInt8(ascii: "P") ? "*const " : "*mut ")
            try typeName()
        case UInt8(ascii: "F"): try function()
        case UInt8(ascii: "D"):
            try print("dyn ")
            _ = try optionalNumber("G")
            _ = try list(separator: " + ") { demangler in try demangler.dynamicTrait() }
            guard take(if: "L") else { throw Malformed() }
            _ = try base62()
        case UInt8(ascii: "B"): try backReference { demangler in try demangler.typeName() }
        default:
            position -= 1
            try path(isValue: false)
        }
    }

    private mutating func function() throws {
        _ = try optionalNumber("G")
        if take(if: "U") { try print("unsafe ") }
        if take(if: "K") {
            try print("extern \"")
            if take(if: "C") { try print("C") } else { try print(identifier().name) }
            try print("\" ")
        }
        try print("fn(")
        _ = try list { demangler in try demangler.typeName() }
        try print(")")
        if take(if: "u") { return }
        try print(" -> ")
        try typeName()
    }

    private mutating func dynamicTrait() throws {
        try path(isValue: false)
        while take(if: "p") {
            try print("<")
            try print(identifier().name)
            try print(" = ")
            try typeName()
            try print(">")
        }
    }

    private mutating func constant() throws {
        if take(if: "p") { return try print("_") }
        if take(if: "B") { return try backReference { demangler in try demangler.constant() } }
        let tag = try take()
        guard Self.basicTypes[tag] != nil else { throw Malformed() }
        let isNegative = take(if: "n")
        let start = position
        while try take() != UInt8(ascii: "_") {}
        let digits = String(decoding: bytes[start..<position - 1], as: UTF8.self)
        let value = UInt64(digits.isEmpty ? "0" : digits, radix: 16)
        switch (tag, value) {
        case (UInt8(ascii: "b"), let value?): try print(value == 0 ? "false" : "true")
        case (UInt8(ascii: "c"), let value?):
            let scalar = UInt32(exactly: value).flatMap(Unicode.Scalar.init) ?? "\u{FFFD}"
            try print("'\(scalar)'")
        case (_, let value?): try print((isNegative ? "-" : "") + String(value))
        case (_, nil): try print((isNegative ? "-0x" : "0x") + digits)
        }
    }

    private static let basicTypes: [UInt8: String] = [
        "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize", "l": "i32",
        "m": "u32",
        "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!",
    ].reduce(into: [:]) { table, entry in table[UInt8(ascii: Unicode.Scalar(entry.key)!)] = entry.value }
}
