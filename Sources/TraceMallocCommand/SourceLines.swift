// SourceLines.swift: lines of source files, for tracebacks, where the sources are there.

/// Reads each file once. A path comes from debug information, or from a profile that somebody sent, and may name anything: only
/// regular files of moderate size count that are named like sources. A page that is passed on must not carry a private key.
final class SourceLines {
    private var files: [String: [Substring]] = [:]
    private static let largest = 8 << 20
    private static let endings: Set = [
        "swift", "c", "h", "cc", "hh", "cpp", "hpp", "cxx", "hxx", "c++", "h++", "C", "H", "m", "mm", "s", "S", "asm", "rs", "inc", "inl",
        "ipp",
        "tcc", "tpp", "def", "y", "l", "go", "d", "f90", "zig", "cu", "vala", "pyx", "cppm", "ixx",
    ]

    func line(_ file: String, _ line: Int) -> String? {
        let lines = files[file] ?? read(file)
        return lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
    }

    private func isSource(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
        return SourceLines.endings.contains(String(name[name.index(after: dot)...]))
    }

    private func read(_ path: String) -> [Substring] {
        var lines: [Substring] = []
        if path.hasPrefix("/"), isSource(path), let file = try? FileBytes(path), file.size <= SourceLines.largest {
            lines = String(decoding: file.prefix(SourceLines.largest), as: UTF8.self)
                .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        }
        files[path] = lines
        return lines
    }
}
