// Unsafe+Screen.swift: the calls of the live view that need pointers: the screen, the terminal's state, streams of programs.
import CLinux
import CNcurses
import Glibc

extension Unsafe {
    static func openScreen(input: Int32, colors: Bool) -> Bool {
        guard let output = fdopen(dup(STDOUT_FILENO), "w"), let keys = fdopen(dup(input), "r") else { return false }
        return tm_screen_open(output, keys, colors ? 1 : 0) != 0
    }

    static func terminalState(of descriptor: Int32) -> [UInt8]? {
        var state = termios()
        guard tcgetattr(descriptor, &state) == 0 else { return nil }
        return withUnsafeBytes(of: &state) { Array($0) }
    }

    /// A process that outlives us when we are killed, and brings the terminal back then.
    struct TerminalWatchman {
        /// Closed by our end, whatever it is.
        private let pipe: Int32
        private let pid: pid_t

        init?(terminal: Int32, state: [UInt8]) {
            let leaving = (0..<4).flatMap { part in tm_screen_leaving(Int32(part)).map { Array(String(cString: $0).utf8) } ?? [] }
            var ends: [Int32] = [-1, -1]
            guard tm_pipe(&ends) == 0 else { return nil }
            defer { close(ends[0]) }
            var mask = sigset_t()
            sigemptyset(&mask)
            let started = spawn(
                "/proc/self/exe", arguments: ["tracemalloc", "restore-terminal", hexadecimal(state), hexadecimal(leaving)],
                ownArguments: 0, environment: [:], mask: mask, defaults: [], streams: [(ends[0], STDIN_FILENO), (terminal, STDOUT_FILENO)])
            guard case .success(let pid) = started else {
                close(ends[1])
                return nil
            }
            self.pid = pid
            pipe = ends[1]
        }

        /// The terminal is as it was.
        func dismiss() {
            var farewell: UInt8 = 1
            _ = Glibc.write(pipe, &farewell, 1)
            close(pipe)
            waitpid(pid, nil, 0)
        }
    }

    /// Waits until standard input ends. A byte before that means that all is well.
    static func restoreTerminalAtEnd(state: [UInt8], leaving: [UInt8]) {
        var byte: UInt8 = 0
        while true {
            let count = Glibc.read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count != 0 { return }
            break
        }
        _ = write(leaving, to: STDOUT_FILENO)
        guard state.count == MemoryLayout<termios>.size else { return }
        var terminal = state.withUnsafeBytes { $0.loadUnaligned(as: termios.self) }
        tcsetattr(STDOUT_FILENO, TCSANOW, &terminal)
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        // Never empty: it is an argument.
        "x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func bytes(ofHexadecimal text: String) -> [UInt8] {
        let digits = Array(text.utf8.dropFirst())
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }

    /// One of `signals` that was sent; they are blocked.
    static func pendingSignal(_ signals: [Int32]) -> Int32? {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        var none = timespec()
        let signal = sigtimedwait(&set, nil, &none)
        return signal > 0 ? signal : nil
    }

    static func unblock(_ signals: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// A file without a name; -1 when there is no room for one.
    static func temporaryFile() -> Int32 {
        let folder = variable("TMPDIR").flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        // mkostemp puts a random name in the place of the six letters, which it requires.
        var path = Array("\(folder)/tracemalloc-XXXXXX".utf8CString)
        let file = tm_temporary_file(&path)
        if file >= 0 { unlink(path) }
        return file
    }

    /// All of a file, to a descriptor; what the other side does not want any more is dropped.
    static func copy(_ file: Int32, to descriptor: Int32) {
        var offset: off_t = 0
        while let bytes = read(file, at: offset, count: 1 << 16), !bytes.isEmpty {
            if write(bytes, to: descriptor) != nil { return }
            offset += off_t(bytes.count)
        }
    }
}
