// PerfMap.swift: names of code that a program generated while it ran, from the map that it wrote for perf.
import Glibc

/// `/tmp/perf-PID.map`: lines of `START SIZE NAME`, both numbers hexadecimal.
struct PerfMap {
    private var entries: [(range: Range<UInt64>, name: String)] = []

    // Anybody may write into /tmp: the file counts only when it is a regular one of the reader's own or of root. Root reads those
    // of the users whose programs it profiles.
    private static let largest = 256 << 20

    init(path: String) {
        guard let text = Self.read(path) else { return }
        var lines: [(range: Range<UInt64>, order: Int, name: String)] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 2)
            guard fields.count == 3, let start = Self.number(fields[0]), let size = Self.number(fields[1]), size > 0 else { continue }
            let (end, overflow) = start.addingReportingOverflow(size)
            if !overflow { lines.append((start..<end, lines.count, String(decoding: fields[2].prefix(4096), as: UTF8.self))) }
        }
        // Code is moved and its place used again: of several claims on an address the last one counts.
        lines.sort { ($0.range.lowerBound, $0.order) < ($1.range.lowerBound, $1.order) }
        entries = lines.map { ($0.range, $0.name) }
    }

    func name(of address: UInt64) -> String? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].range.lowerBound <= address { low = middle + 1 } else { high = middle }
        }
        // An entry that begins earlier may reach over short ones, but maps do not nest deep.
        for index in stride(from: low - 1, through: max(0, low - 64), by: -1) where entries[index].range.contains(address) {
            return entries[index].name
        }
        return nil
    }

    private static func number(_ text: ArraySlice<UInt8>) -> UInt64? {
        let digits = text.starts(with: "0x".utf8) ? text.dropFirst(2) : text
        return UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            status.st_uid == geteuid() || status.st_uid == 0 || geteuid() == 0,
            status.st_size > 0, status.st_size <= largest
        else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
                if got <= 0 { return }
                count += got
            }
        }
    }
}
