// SystemCalls.swift: files, clocks and /proc, in terms of Swift values.
import Glibc

enum SystemCalls {
    static func message(_ code: Int32) -> String { String(cString: strerror(code)) }

    /// Nanoseconds of CLOCK_MONOTONIC.
    static func monotonic() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The whole of a small file (of /proc), up to `limit` bytes. Follows no link and waits for nobody, as a FIFO would.
    static func contents(of path: String, limit: Int = 4096) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return contents(of: file, limit: limit)
    }

    static func contents(of file: Int32, limit: Int = 4096) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let length = pread(file, buffer.baseAddress, limit, 0)
            count = max(length, 0)
        }
        return bytes.isEmpty ? nil : bytes
    }

    /// Bytes that the kernel could still hand out; a very large number where it does not tell.
    static func availableMemory() -> UInt64 {
        let lines = contents(of: "/proc/meminfo")?.split(separator: UInt8(ascii: "\n")) ?? []
        guard let line = lines.first(where: { $0.starts(with: "MemAvailable:".utf8) }) else { return 1 << 46 }
        let digits = line.filter { (48...57).contains($0) }
        return (UInt64(String(decoding: digits, as: UTF8.self)) ?? 1 << 36) << 10
    }

    /// The whole of a file, whatever its size.
    static func file(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var info = stat()
        guard fstat(file, &info) == 0, info.st_size < 1 << 34 else { return nil }
        let size = Int(info.st_size)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            while filled < size {
                let count = pread(file, buffer.baseAddress! + filled, size - filled, off_t(filled))
                guard count > 0 else { return }
                filled += count
            }
        }
    }

    /// Writes a new file, for this user only; false when it cannot be written whole.
    static func write(_ bytes: [UInt8], to path: String) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        defer { close(file) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else {
                unlink(path)
                return false
            }
            written += max(0, count)
        }
        return true
    }

    /// A file of /proc that is longer than a page, which gives it in pieces.
    static func wholeFile(_ path: String, limit: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < limit {
            let length = read(file, &piece, piece.count)
            if length < 0 { return nil }
            if length == 0 { break }
            bytes += piece.prefix(length)
        }
        return bytes
    }

    /// Names in a directory, without "." and "..".
    static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}

/// What /proc tells about a process.
struct ProcessFiles {
    private let statm: Int32
    private let status: Int32
    private static let pageSize = Int(sysconf(Int32(_SC_PAGESIZE)))

    /// Opens the files once: later reads cost about a microsecond, and can't meet another process of the same number.
    init(pid: Int32) {
        statm = open("/proc/\(pid)/statm", O_RDONLY | O_CLOEXEC)
        status = open("/proc/\(pid)/status", O_RDONLY | O_CLOEXEC)
    }

    func close() {
        if statm >= 0 { Glibc.close(statm) }
        if status >= 0 { Glibc.close(status) }
    }

    /// Resident set size in bytes; nil once the process has ended.
    func residentBytes() -> Int? {
        guard statm >= 0, let text = SystemCalls.contents(of: statm, limit: 128) else { return nil }
        guard let space = text.firstIndex(of: UInt8(ascii: " ")), let pages = Self.number(text[(space + 1)...]), pages > 0
        else { return nil }
        return pages &* Self.pageSize
    }

    /// The kernel's own high-water mark of the resident set, in bytes.
    func peakResidentBytes() -> Int? {
        guard status >= 0, let text = SystemCalls.contents(of: status, limit: 4096) else { return nil }
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "VmHWM:".utf8) {
            return Self.number(line.drop { !(48...57).contains($0) }).map { $0 &* 1024 }
        }
        return nil
    }

    /// State letter, parent and start time (clock ticks since boot) of a process; nil when there is none of that number.
    static func state(of pid: Int32) -> (letter: UInt8, parent: Int32, start: UInt64)? {
        guard let text = SystemCalls.contents(of: "/proc/\(pid)/stat"), let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        // The name in parentheses may hold anything; the fields after it are the 3rd (state) to the 22nd (start time).
        let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 19, let letter = fields[0].first, let parent = number(fields[1]), let start = number(fields[19])
        else { return nil }
        return (letter, Int32(truncatingIfNeeded: parent), UInt64(start))
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        var value = 0
        var any = false
        for digit in digits {
            guard (48...57).contains(digit) else { break }
            value = value &* 10 &+ Int(digit &- 48)
            any = true
        }
        return any && value >= 0 ? value : nil
    }
}
