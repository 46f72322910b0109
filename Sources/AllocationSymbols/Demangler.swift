// Demangler.swift: function names as their authors wrote them: Swift, C++, Rust.
import Glibc

/// Turns mangled names into names for people, each once.
struct Demangler {
    private var known: [String: FunctionName] = [:]

    /// Longer names are shown mangled and cut: some demanglers need stack and time in proportion, and nobody reads them.
    private static let longestMangled = 16_384
    private static let longestShown = 4_096

    mutating func name(of mangled: String) -> FunctionName {
        if let name = known[mangled] { return name }
        let name = Self.demangle(mangled)
        known[mangled] = name
        return name
    }

    static func demangle(_ symbol: String) -> FunctionName {
        let name = read(symbol)
        // Some damaged names read as nothing.
        return name.text.isEmpty ? FunctionName(plain: cut(symbol), symbol: symbol) : name
    }

    private static func read(_ symbol: String) -> FunctionName {
        let mangled = withoutVersion(symbol)
        guard mangled.utf8.count <= longestMangled else { return FunctionName(plain: cut(mangled), symbol: mangled) }
        if isSwift(mangled) {
            // Compilers add suffixes to split functions (`.resume.0`); the demangler keeps them as a remark.
            guard let text = swift(mangled) else { return FunctionName(plain: cut(mangled), symbol: mangled) }
            let entity = SwiftFunctionName(demangled: text.prefix(before: " with unmangled suffix "))
            return FunctionName(text: cut(entity.display), symbol: mangled, rule: CallSiteRule.kind(of: entity))
        }
        if mangled.hasPrefix("_R"), let path = RustDemangler.demangle(mangled.prefix(before: ".")) {
            return FunctionName(text: cut(path), symbol: mangled, rule: CallSiteRule.kind(ofRust: path))
        }
        if mangled.hasPrefix("_Z") {
            if let path = RustDemangler.demangleLegacy(mangled) {
                return FunctionName(text: cut(path), symbol: mangled, rule: CallSiteRule.kind(ofRust: path))
            }
            if let text = cPlusPlus(mangled) ?? cPlusPlus(mangled.prefix(before: ".")) {
                return FunctionName(
                    text: cut(text.prefix(before: " [clone ")), symbol: mangled, rule: CallSiteRule.kind(ofCPlusPlus: mangled))
            }
        }
        return FunctionName(plain: cut(withoutCloneSuffix(mangled)), symbol: mangled)
    }

    // MARK: Spelling

    private static func isSwift(_ name: String) -> Bool {
        name.hasPrefix("$s") || name.hasPrefix("$S") || name.hasPrefix("$e") || name.hasPrefix("_$s") || name.hasPrefix("_$S")
            || name.hasPrefix("_T0")
    }

    /// `memcpy@@GLIBC_2.14` → `memcpy`; `foo@plt` stays.
    private static func withoutVersion(_ name: String) -> String {
        guard let at = name.firstIndex(of: "@"), at != name.startIndex, !name.hasSuffix("@plt") else { return name }
        return String(name[..<at])
    }

    /// `foo.constprop.0.cold` → `foo`: parts and variants of a function that gcc and LLVM made.
    private static func withoutCloneSuffix(_ name: String) -> String {
        guard name.contains(".") else { return name }
        var end = name.endIndex
        for mark in [".isra.", ".part.", ".constprop.", ".cold", ".lto_priv.", ".llvm.", ".localalias"] {
            if let at = name.firstPosition(of: mark), at != name.startIndex { end = min(end, at) }
        }
        return String(name[..<end])
    }

    fileprivate static func cut(_ text: String) -> String {
        guard text.utf8.count > longestShown else { return text }
        return String(decoding: text.utf8.prefix(longestShown), as: UTF8.self) + "…"
    }

    // MARK: Demanglers of the runtimes

    private static func swift(_ mangled: String) -> String? {
        take(swiftDemangle(mangled, UInt(mangled.utf8.count), nil, nil, 0))
    }

    private static func cPlusPlus(_ mangled: String) -> String? {
        var status: Int32 = 0
        return take(cxaDemangle?(mangled, nil, nil, &status))
    }

    /// Copies and frees a name that a C demangler allocated.
    private static func take(_ text: UnsafeMutablePointer<CChar>?) -> String? {
        guard let text else { return nil }
        defer { free(text) }
        return text.pointee == 0 ? nil : String(cString: text)
    }

    private typealias CxaDemangle =
        @convention(c) (
            UnsafePointer<CChar>, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int32>?
        ) -> UnsafeMutablePointer<CChar>?

    /// Every Swift process has libstdc++, but Swift code cannot link it by name.
    private static let cxaDemangle: CxaDemangle? = {
        let function =
            dlsym(nil, "__cxa_demangle") ?? dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL).flatMap { dlsym($0, "__cxa_demangle") }
        return function.map { unsafeBitCast($0, to: CxaDemangle.self) }
    }()
}

@_silgen_name("swift_demangle")
private func swiftDemangle(
    _ mangled: UnsafePointer<CChar>, _ length: UInt, _ buffer: UnsafeMutablePointer<CChar>?, _ size: UnsafeMutablePointer<UInt>?,
    _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

/// A function's name and what it says about the function.
struct FunctionName: Sendable {
    var text: String
    var symbol: String
    var rule: CallSiteRule.Kind

    init(text: String, symbol: String, rule: CallSiteRule.Kind) {
        self.text = text
        self.symbol = symbol
        self.rule = rule
    }

    /// A C++ name that was put together from the debug information.
    init(qualified: String) {
        let text = Demangler.cut(qualified)
        self.init(text: text, symbol: text, rule: CallSiteRule.kind(ofQualified: text))
    }

    /// A name that is not mangled, or that nobody can read.
    init(plain: String, symbol: String) {
        self.init(text: plain, symbol: symbol, rule: CallSiteRule.kind(ofC: plain))
    }
}

extension StringProtocol {
    /// The text up to `mark`, or all of it.
    func prefix(before mark: String) -> String {
        firstPosition(of: mark).map { String(self[..<$0]) } ?? String(self)
    }

    /// Where `mark` first stands; by bytes, so that it costs no Unicode.
    func firstPosition(of mark: String) -> Index? {
        let sought = Array(mark.utf8)
        guard let first = sought.first else { return nil }
        var from = utf8.startIndex
        while let at = utf8[from...].firstIndex(of: first) {
            if utf8[at...].starts(with: sought) { return at }
            from = utf8.index(after: at)
        }
        return nil
    }
}
