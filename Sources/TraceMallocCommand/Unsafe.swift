// Unsafe.swift: the system calls that need pointers, each behind a call that does not.
import CLinux
import Glibc

/// The one place of this module where unsafe Swift stands.
enum Unsafe {
    /// Up to `count` bytes from `offset` of an open file; fewer at its end.
    static func read(_ descriptor: Int32, at offset: off_t, count: Int) -> [UInt8]? {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let result = pread(descriptor, buffer.baseAddress! + filled, count - filled, offset + off_t(filled))
                if result < 0, errno == EINTR { continue }
                if result < 0 { failed = true }
                guard result > 0 else { return }
                filled += result
            }
        }
        return failed ? nil : bytes
    }

    /// The beginning of a file whose size is not known before it is read.
    static func readStream(_ path: String, limit: Int) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        return String(decoding: read(descriptor, at: 0, count: limit) ?? [], as: UTF8.self)
    }

    /// Where `needle` begins in `haystack`.
    static func positions(of needle: [UInt8], in haystack: [UInt8]) -> [Int] {
        haystack.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, !needle.isEmpty else { return [] }
            var found: [Int] = []
            var offset = 0
            while let hit = memmem(start + offset, bytes.count - offset, needle, needle.count) {
                found.append(hit - UnsafeMutableRawPointer(mutating: start))
                offset = found[found.count - 1] + 1
            }
            return found
        }
    }

    /// Writes everything, or gives the error number.
    static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var text = text
        return text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? { bytes.withUnsafeBytes { write($0, to: descriptor) } }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
        var written = 0
        while written < bytes.count {
            let result = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            if result < 0, errno == EINTR { continue }
            if result < 0, errno == EAGAIN {
                // Somebody made the stream non-blocking: wait until it takes more.
                var stream = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&stream, 1, -1)
                continue
            }
            guard result > 0 else { return errno }
            written += result
        }
        return nil
    }

    static func status(of path: String) -> stat? {
        var status = stat()
        return stat(path, &status) == 0 ? status : nil
    }

    /// Free bytes on the file system of `path`, and whether it ignores set-uid bits.
    static func fileSystem(of path: String) -> (free: UInt64, ignoresSetUID: Bool)? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return (UInt64(status.f_bavail) &* UInt64(status.f_frsize), status.f_flag & UInt(ST_NOSUID) != 0)
    }

    static func resolved(_ path: String) -> String? {
        guard let result = realpath(path, nil) else { return nil }
        defer { free(result) }
        return String(cString: result)
    }

    static func linkTarget(of path: String) -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(PATH_MAX)) { buffer, filled in
            filled = max(0, readlink(path, buffer.baseAddress!, buffer.count))
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Columns of the terminal behind `descriptor`, nil when it is none.
    static func columns(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Whether glibc finds this shared library.
    static func canLoad(library: String) -> Bool {
        guard let handle = dlopen(library, RTLD_LAZY | RTLD_LOCAL) else { return false }
        dlclose(handle)
        return true
    }

    static func matches(_ text: String, pattern: String) -> Bool { fnmatch(pattern, text, 0) == 0 }
}

// MARK: - Threads

extension Unsafe {
    struct Thread {
        fileprivate let handle: pthread_t

        func join() { pthread_join(handle, nil) }
        func detach() { pthread_detach(handle) }
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// The calling thread yields to everything else from now on.
    @Sendable static func lowerPriority() { _ = tm_lower_thread_priority() }

    /// Starts a thread of our own; nil when there is no room for one. `lowPriority`: it yields to everything else.
    static func startThread(lowPriority: Bool = false, _ body: @escaping @Sendable () -> Void) -> Thread? {
        var handle = pthread_t()
        let context = Unmanaged.passRetained(
            Body {
                if lowPriority { lowerPriority() }
                body()
            })
        let result = pthread_create(
            &handle, nil,
            { context in
                Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            return nil
        }
        return Thread(handle: handle)
    }
}

extension Unsafe {
    private final class Kept {
        let value: Any
        init(_ value: Any) { self.value = value }
    }

    /// Keeps a value until the process ends, which is about to: taking a large one apart would take time and be of no use.
    static func keepToTheEnd(_ value: Any) { _ = Unmanaged.passRetained(Kept(value)) }
}

// MARK: - Signals and processes

extension Unsafe {
    /// Blocks `signals` in this thread and those it starts, and gives the mask that was there before.
    static func block(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        var old = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, &old)
        return old
    }

    /// Waits for one of `signals`, which are blocked. `isFromProcess`: sent by kill(), not by the terminal or the kernel.
    static func wait(for signals: [Int32]) -> (signal: Int32, isFromProcess: Bool) {
        var set = sigset_t()
        var information = siginfo_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        while true {
            let signal = sigwaitinfo(&set, &information)
            if signal > 0 { return (signal, information.si_code <= 0) }
        }
    }

    static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0, let handler = action.__sigaction_handler.sa_handler else { return false }
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Starts the program at `path` and gives its pid, or the error number.
    ///
    /// Arguments and environment go through as bytes: they need not be UTF-8. `arguments` come first, then the last
    /// `ownArguments` of our own command line. `defaults` are the signals that we ignore and the program must not. `streams` are
    /// descriptors of ours that it gets under other numbers, all of which are below 3.
    static func spawn(
        _ path: String, arguments: [String], ownArguments: Int, environment changes: [String: String], mask: sigset_t, defaults: [Int32],
        streams: [(from: Int32, to: Int32)] = []
    ) -> Result<pid_t, SystemError> {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var set = sigset_t()
        var mask = mask
        sigemptyset(&set)
        for signal in defaults { sigaddset(&set, signal) }
        posix_spawnattr_setsigmask(&attributes, &mask)
        posix_spawnattr_setsigdefault(&attributes, &set)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        let copies = arguments.map { strdup($0) }
        let added = changes.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in copies + added { free(text) } }
        let own = (max(0, Int(CommandLine.argc) - ownArguments)..<Int(CommandLine.argc)).map { CommandLine.unsafeArgv[$0] }
        let names = changes.keys.map { $0 + "=" }
        var kept: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            if !names.contains(where: { strncmp(variable, $0, $0.utf8.count) == 0 }) { kept.append(variable) }
            next += 1
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Those that are taken from a standard stream first: the others overwrite these.
        for stream in streams.sorted(by: { $0.from < $1.from }) { posix_spawn_file_actions_adddup2(&actions, stream.from, stream.to) }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &actions, &attributes, copies + own + [nil], kept + added + [nil])
        return error == 0 ? .success(pid) : .failure(SystemError(number: error))
    }

    /// A child that has ended, nil when none has, or an error when there is no child at all.
    static func reap() -> Result<(pid: pid_t, status: Int32)?, SystemError> {
        var status: Int32 = 0
        let pid = waitpid(-1, &status, WNOHANG)
        if pid < 0 { return .failure(SystemError(number: errno)) }
        return .success(pid == 0 ? nil : (pid, status))
    }
}

/// An error number of the system, in words.
struct SystemError: Error, CustomStringConvertible {
    let number: Int32

    var description: String { String(cString: strerror(number)) }
}
