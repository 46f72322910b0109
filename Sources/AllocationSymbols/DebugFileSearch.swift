// DebugFileSearch.swift: where the debug information of a module is when the module itself has none.
import CElfutils
import Glibc

/// Finds separate debug files: by build-id, by `.gnu_debuglink`, and from a debuginfod server where one is configured.
struct DebugFileSearch: Sendable {
    var directories: [String]
    var usesServer: Bool

    /// The file with the DWARF of `file`, which was loaded from `path`; `file` is nil when only its build-id is known.
    func debugFile(of file: ElfFile?, path: String, buildID: [UInt8]) -> ElfFile? {
        if let found = debugFile(buildID: buildID) { return found }
        if let file, let link = file.debugLink {
            let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
            let places = ["\(folder)/\(link.name)", "\(folder)/.debug/\(link.name)"] + directories.map { "\($0)\(folder)/\(link.name)" }
            for place in places where place != path {
                guard let candidate = ElfFile(path: place), candidate.hasDebugInfo else { continue }
                // Build-ids are compared where both have one: the checksum has to read the whole file.
                let belongs =
                    buildID.isEmpty || candidate.buildID.isEmpty ? candidate.checksum == link.checksum : candidate.buildID == buildID
                if belongs { return candidate }
            }
        }
        guard usesServer, !buildID.isEmpty, let fetched = Debuginfod.debugFile(buildID: buildID), fetched.hasDebugInfo else { return nil }
        return fetched
    }

    /// The file that a dwz-compressed debug file shares with others, when libdw does not find it by itself.
    func alternateFile(name: String, buildID: [UInt8], of path: String) -> ElfFile? {
        if let found = debugFile(buildID: buildID) { return found }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let place = name.hasPrefix("/") ? name : "\(folder)/\(name)"
        if let found = ElfFile(path: place), found.buildID == buildID { return found }
        return usesServer ? Debuginfod.debugFile(buildID: buildID) : nil
    }

    private func debugFile(buildID: [UInt8]) -> ElfFile? {
        guard buildID.count >= 2 else { return nil }
        let digits = buildID.map(Self.hexadecimal)
        let name = "\(digits[0])/\(digits[1...].joined()).debug"
        for directory in directories {
            guard let file = ElfFile(path: "\(directory)/.build-id/\(name)"), file.hasDebugInfo else { continue }
            if file.buildID.isEmpty || file.buildID == buildID { return file }
        }
        return nil
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return byte < 16 ? "0" + digits : digits
    }
}

/// Downloads of debug files, through elfutils' client. Loaded only when asked for: it brings an HTTP library with it.
enum Debuginfod {
    private typealias Begin = @convention(c) () -> OpaquePointer?
    private typealias End = @convention(c) (OpaquePointer) -> Void
    private typealias Find =
        @convention(c) (
            OpaquePointer, UnsafePointer<UInt8>, Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        ) -> Int32

    /// Configured as elfutils' own tools are.
    static var isConfigured: Bool { getenv("DEBUGINFOD_URLS").map { $0.pointee != 0 } ?? false }

    static func debugFile(buildID: [UInt8]) -> ElfFile? {
        guard let library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL),
            let begin = dlsym(library, "debuginfod_begin"), let end = dlsym(library, "debuginfod_end"),
            let find = dlsym(library, "debuginfod_find_debuginfo"), let client = unsafeBitCast(begin, to: Begin.self)()
        else { return nil }
        defer { unsafeBitCast(end, to: End.self)(client) }
        let descriptor = unsafeBitCast(find, to: Find.self)(client, buildID, Int32(buildID.count), nil)
        return descriptor < 0 ? nil : ElfFile(descriptor: descriptor, path: "")
    }
}
