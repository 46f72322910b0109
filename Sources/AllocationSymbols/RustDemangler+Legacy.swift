// RustDemangler+Legacy.swift: Rust names of the older scheme (`_ZN…17h…E`).

extension RustDemangler {
    /// `_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE`: a C++ name whose last part is a hash.
    static func demangleLegacy(_ mangled: String) -> String? {
        var bytes = Array(mangled.utf8)[...]
        guard bytes.starts(with: "_ZN".utf8) else { return nil }
        bytes = bytes.dropFirst(3)
        var parts: [String] = []
        while let first = bytes.first, first != UInt8(ascii: "E") {
            var length = 0
            while let digit = bytes.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit), length < 100_000 {
                length = length * 10 + Int(digit - UInt8(ascii: "0"))
                bytes = bytes.dropFirst()
            }
            guard length > 0, length < bytes.count else { return nil }
            parts.append(String(decoding: bytes.prefix(length), as: UTF8.self))
            bytes = bytes.dropFirst(length)
        }
        guard bytes.first == UInt8(ascii: "E"), parts.count > 1, let hash = parts.popLast(), hash.utf8.count == 17, hash.first == "h",
            hash.dropFirst().allSatisfy(\.isHexDigit)
        else { return nil }
        return parts.map(decodeEscapes).joined(separator: "::")
    }

    private static let escapes = [
        "SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ",",
    ]

    /// `_$LT$impl$u20$T$GT$` → `<impl T>`.
    private static func decodeEscapes(_ part: String) -> String {
        var rest = part.hasPrefix("_$") ? part.dropFirst() : part[...]
        var result = ""
        while let first = rest.first {
            if rest.hasPrefix("..") {
                result += "::"
                rest = rest.dropFirst(2)
            } else if first == "$", let end = rest.dropFirst().firstIndex(of: "$") {
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                if let known = escapes[name] {
                    result += known
                } else if name.hasPrefix("u"), let code = UInt32(name.dropFirst(), radix: 16), let scalar = Unicode.Scalar(code) {
                    result.unicodeScalars.append(scalar)
                } else {
                    result += "$\(name)$"
                }
                rest = rest[rest.index(after: end)...]
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
