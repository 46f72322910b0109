// CallStack+Source.swift: call stacks as text, with the lines of the sources where these are there.
public import AllocationProfile
import CInterposer
import Glibc

extension CallStack {
    /// The stack as lines of text in the form of Python's tracebacks, outermost frame first, each with its source line when
    /// the source file is where the program was built:
    ///
    ///     File "/src/app/main.swift", line 12
    ///       let table = load()
    ///
    /// - Parameters:
    ///   - limit: at most so many of the innermost frames; a negative limit leaves so many of the innermost frames out.
    ///   - mostRecentFirst: innermost frame first.
    public func formatted(limit: Int? = nil, mostRecentFirst: Bool = false) -> [String] {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        var files: [String: [Substring]] = [:]
        return formatted(limit: limit, mostRecentFirst: mostRecentFirst) { file, line in
            let lines = files[file] ?? Self.lines(ofFile: file)
            files[file] = lines
            return lines.indices.contains(line - 1) ? String(lines[line - 1]) : nil
        }
    }

    private static let largestFile = 8 << 20

    // A path comes from debug information and may name anything: only regular files of moderate size are read.
    private static func lines(ofFile path: String) -> [Substring] {
        let file = path.hasPrefix("/") ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1
        guard file >= 0 else { return [] }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= largestFile else { return [] }
        let text = String(unsafeUninitializedCapacity: Int(status.st_size)) { bytes in
            Swift.max(read(file, bytes.baseAddress, bytes.count), 0)
        }
        return text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    }
}
