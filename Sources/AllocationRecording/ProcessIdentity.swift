// ProcessIdentity.swift: which process a recording belongs to, also where the program sees other numbers and clocks than we do.
import CRecording
import Glibc

/// The process behind a recording, as the collector sees it.
///
/// In a PID namespace of its own (a container, a sandbox) a program does not know the number that we know it by, and in a
/// time namespace its clocks are others. Then the process is the one that has this recording mapped.
struct ProcessIdentity {
    let pid: Int32
    let parent: Int32
    /// Start time (clock ticks since boot); 0: unknown.
    let start: UInt64
    /// The numbers that the program knows its threads by are not ours.
    let hasOtherNumbers: Bool
    let hasOtherClock: Bool

    /// What the program says of itself.
    init(claimedBy header: tm_header) {
        pid = Int32(truncatingIfNeeded: header.pid)
        parent = Int32(truncatingIfNeeded: header.parent_pid)
        start = header.process_start
        (hasOtherNumbers, hasOtherClock) = (false, false)
    }

    /// The same, if it is true; else the process that is found. `file` is the recording's inode number.
    init(of header: tm_header, file: UInt64) {
        let claimed = ProcessIdentity(claimedBy: header)
        if claimed.start == 0 || ProcessFiles.state(of: claimed.pid)?.start == claimed.start {
            self = claimed
        } else {
            self = ProcessIdentity(searching: claimed, file: file) ?? claimed
        }
    }

    /// Looks through /proc: a few milliseconds, for the few programs that need it.
    private init?(searching claimed: ProcessIdentity, file: UInt64) {
        for name in SystemCalls.names(in: "/proc") {
            guard let pid = Int32(name), Self.innermostNumber(in: "/proc/\(name)/status") == UInt32(bitPattern: claimed.pid),
                Self.hasMapped(pid, file: file), let state = ProcessFiles.state(of: pid)
            else { continue }
            self.pid = pid
            parent = state.parent
            start = state.start
            hasOtherNumbers = pid != claimed.pid
            hasOtherClock = state.start != claimed.start
            return
        }
        return nil
    }

    /// The number by which a process or thread knows itself.
    private static func innermostNumber(in status: String) -> UInt32? {
        guard let text = SystemCalls.contents(of: status) else { return nil }
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "NSpid:".utf8) {
            return line.split { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }.last
                .flatMap { UInt32(String(decoding: $0, as: UTF8.self)) }
        }
        return nil
    }

    private static func hasMapped(_ pid: Int32, file: UInt64) -> Bool {
        let maps = open("/proc/\(pid)/maps", O_RDONLY | O_CLOEXEC)
        guard maps >= 0 else { return false }
        defer { close(maps) }
        let number = Array(" \(file) ".utf8)
        let suffix = Array(TM_RECORDING_SUFFIX.utf8)
        var buffer = [UInt8](repeating: 0, count: 65536)
        var rest: [UInt8] = []
        while true {
            let length = read(maps, &buffer, buffer.count)
            if length <= 0 { return false }
            // The kernel hands out whole lines, but does not promise it.
            rest += buffer[..<length]
            guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            for line in rest[..<end].split(separator: UInt8(ascii: "\n")) where line.contains(number) && line.contains(suffix) {
                return true
            }
            rest.removeSubrange(...end)
        }
    }

    /// The program's own numbers of its threads that are alive.
    func threads() -> Set<UInt32> {
        Set(SystemCalls.names(in: "/proc/\(pid)/task").compactMap { Self.innermostNumber(in: "/proc/\(pid)/task/\($0)/status") })
    }
}
