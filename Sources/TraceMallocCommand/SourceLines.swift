// SourceLines.swift: lines of source files, for tracebacks, where the sources are there.

/// Reads each file once. A path comes from debug information and may name anything: only regular files of moderate size count.
final class SourceLines {
    private var files: [String: [Substring]] = [:]
    private static let largest = 8 << 20

    func line(_ file: String, _ line: Int) -> String? {
        let lines = files[file] ?? read(file)
        return lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
    }

    private func read(_ path: String) -> [Substring] {
        var lines: [Substring] = []
        if path.hasPrefix("/"), let file = try? FileBytes(path), file.size <= SourceLines.largest {
            lines = String(decoding: file.prefix(SourceLines.largest), as: UTF8.self)
                .split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        }
        files[path] = lines
        return lines
    }
}
