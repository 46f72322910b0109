// Session.swift: the directory in which traced programs and their collector meet.
import CRecording
import Glibc
import Synchronization

/// A private directory on a memory file system.
///
/// Its owner holds a lock on the file "lock" in it; the kernel releases the lock when the owner dies, however it dies, and
/// the next session removes what was left behind.
package final class Session: Sendable {
    package let directory: String
    package let environment: [String: String]
    /// Descriptor of the lock file; -1 once removed.
    private let lock: Mutex<Int32>

    private static let prefix = "tracemalloc-"
    private static let lockName = "lock"

    private init(directory: String, environment: [String: String], lock: Int32) {
        self.directory = directory
        self.environment = environment
        self.lock = Mutex(lock)
    }

    deinit { release() }

    /// Makes a session in the user's runtime directory or in /dev/shm.
    /// - Parameter sampleInterval: mean bytes from one sampled block to the next; 0: every block is recorded.
    package static func create(
        frameLimit: Int, followChildren: Bool, checkLeaks: Bool = false, sampleInterval: Int = 0
    ) throws(RecordingError) -> Session {
        let runtime = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
        return try create(
            frameLimit: frameLimit, followChildren: followChildren, checkLeaks: checkLeaks, sampleInterval: sampleInterval,
            bases: [runtime, "/dev/shm"].compactMap(\.self))
    }

    /// Makes a session in the first directory of `bases` that will have it.
    static func create(
        frameLimit: Int, followChildren: Bool, checkLeaks: Bool = false, sampleInterval: Int = 0, bases: [String]
    ) throws(RecordingError) -> Session {
        // The program inherits our limit.
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0, limit.rlim_cur < largestRecording {
            throw .fileSizeLimit(UInt64(limit.rlim_cur))
        }
        for base in bases where base.hasPrefix("/") && tm_is_memory_file_system(base) && isSafe(base) {
            removeLeftovers(in: base)
            for _ in 0..<8 {
                // Always of the same length: programs copy their environment, and two runs should allocate the same.
                let path = "\(base)/\(prefix)\(padded(UInt64(getpid()), 10))-\(padded(.random(in: 0 ... .max), 20))-\(TM_RECORDING_VERSION)"
                if mkdir(path, 0o700) != 0 {
                    if errno == EEXIST { continue }
                    break
                }
                // The lock is taken before the directory can look abandoned: until then its name tells of a living owner.
                guard let lock = try? takeLock(in: path, create: true) else {
                    rmdir(path)
                    break
                }
                var environment = [TM_ENV_SESSION: path, TM_ENV_FRAMES: String(frameLimit)]
                // Said only where it is wanted or would be inherited: each variable is more for the program to copy.
                if sampleInterval != 0 || getenv(TM_ENV_SAMPLE) != nil { environment[TM_ENV_SAMPLE] = String(sampleInterval) }
                if !followChildren { environment[TM_ENV_FOLLOW] = "0" }
                if checkLeaks { environment[TM_ENV_LEAKS] = "1" }
                return Session(directory: path, environment: environment, lock: lock)
            }
        }
        throw .noMemoryFileSystem(tried: bases)
    }

    /// About the size that the traced program gives its recording; next to nothing of it is ever used.
    static let largestRecording: UInt64 = {
        let fixed = UInt64(TM_TEXT_MAX) + UInt64(TM_IMAGES_MAX) * UInt64(MemoryLayout<tm_image>.stride)
        let stacks = UInt64(TM_NODES_MAX) * UInt64(MemoryLayout<tm_node>.stride)
        let rings = UInt64(TM_RINGS_MAX) * UInt64(MemoryLayout<tm_ring>.stride)
        return UInt64(TM_PAGE) + fixed + stacks + rings + UInt64(TM_EVENTS_MAX) * UInt64(MemoryLayout<tm_event>.stride)
    }()

    private static func padded(_ number: UInt64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Joins a session that a traced program made, as its collector.
    package init(joining directory: String) throws(RecordingError) {
        self.directory = directory
        environment = [TM_ENV_SESSION: directory]
        lock = Mutex(try Self.takeLock(in: directory, create: false))
    }

    /// Removes the directory and all that is in it. Recordings that are mapped live on in memory.
    package func remove() {
        let descriptor = Self.openDirectory(directory)
        if descriptor >= 0 {
            Self.empty(descriptor, directory: directory)
            close(descriptor)
            rmdir(directory)
        }
        release()
    }

    /// Whether a process has joined the session as its collector, after `handOver`.
    package var hasCollector: Bool {
        let folder = Self.openDirectory(directory)
        guard folder >= 0 else { return false }
        defer { close(folder) }
        return Self.hasOwner(folder)
    }

    /// Whether its collector serves a recording of the process.
    package func serves(_ pid: Int32) -> Bool { access("\(directory)/\(SessionRequest.servedName(pid))", F_OK) == 0 }

    // MARK: The bell

    private static func bell(in directory: String) -> String { "\(directory)/\(TM_BELL_NAME)" }

    /// The collector's end of the bell. It makes the bell: what was renamed before it finds by looking.
    func makeBell() throws(RecordingError) -> Int32 {
        let path = Self.bell(in: directory)
        guard mkfifo(path, 0o600) == 0 || errno == EEXIST else { throw .cannotCreate(path: path, errno: errno) }
        let bell = Self.openBell(in: directory)
        guard bell >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        return bell
    }

    /// Also open for writing, or for reading: so it never ends, and nobody is killed by a signal when the other end does.
    private static func openBell(in directory: String) -> Int32 {
        open(bell(in: directory), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
    }

    /// Says that something has been renamed into the directory of a session. False: its collector was not told, and finds it by itself a
    /// tenth of a second later.
    @discardableResult static func ringBell(in directory: String) -> Bool {
        let bell = openBell(in: directory)
        guard bell >= 0 else { return false }
        defer { close(bell) }
        // When it is full it has been rung.
        return write(bell, "", 1) == 1 || errno == EAGAIN
    }

    /// Lets another process join the session as its collector.
    package func handOver() { release() }

    private func release() {
        lock.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    // MARK: The lock

    private static func openDirectory(_ path: String) -> Int32 {
        open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    }

    private static func takeLock(in directory: String, create: Bool) throws(RecordingError) -> Int32 {
        let folder = openDirectory(directory)
        guard folder >= 0 else { throw .cannotOpen(path: directory, errno: errno) }
        defer { close(folder) }
        guard ownsPrivately(folder) else { throw .cannotOpen(path: directory, errno: EPERM) }
        let path = "\(directory)/\(lockName)"
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (create ? O_EXCL : 0)
        let file = openat(folder, lockName, flags, 0o600)
        guard file >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        // A program that hands its session over lets go of the lock around now.
        for attempt in 0..<100 {
            if flock(file, LOCK_EX | LOCK_NB) == 0 { return file }
            if errno != EWOULDBLOCK && errno != EINTR { break }
            if attempt < 99 { usleep(10_000) }
        }
        let code = errno
        close(file)
        throw code == EWOULDBLOCK ? .alreadyServed(path: directory) : .cannotOpen(path: path, errno: code)
    }

    private static func ownsPrivately(_ folder: Int32) -> Bool {
        var info = stat()
        return fstat(folder, &info) == 0 && info.st_uid == geteuid() && info.st_mode & 0o022 == 0
    }

    /// Nobody else can put something of theirs in the place of what we make there: others may not write, or, as in /dev/shm,
    /// may not rename and remove what is ours.
    private static func isSafe(_ base: String) -> Bool {
        var info = stat()
        guard stat(base, &info) == 0, info.st_uid == geteuid() || info.st_uid == 0 else { return false }
        return info.st_mode & 0o022 == 0 || info.st_mode & S_ISVTX != 0
    }

    // MARK: Other sessions

    /// Directories of this user's sessions that have a living collector.
    static func running(in bases: [String]) -> [String] {
        bases.flatMap { base in
            SystemCalls.names(in: base).filter { $0.hasPrefix(prefix) }.map { "\(base)/\($0)" }
        }
        .filter { path in
            let folder = openDirectory(path)
            guard folder >= 0 else { return false }
            defer { close(folder) }
            return ownsPrivately(folder) && hasOwner(folder)
        }
    }

    /// A lock that can be had is nobody's.
    private static func hasOwner(_ folder: Int32) -> Bool {
        let file = openat(folder, lockName, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_EX | LOCK_NB) != 0
    }

    // MARK: Leftovers

    /// Removes this user's sessions whose owner is dead.
    static func removeLeftovers(in base: String) {
        for name in SystemCalls.names(in: base) where name.hasPrefix(prefix) {
            let path = "\(base)/\(name)"
            let folder = openDirectory(path)
            guard folder >= 0 else { continue }
            defer { close(folder) }
            guard ownsPrivately(folder), isAbandoned(folder, name: name) else { continue }
            empty(folder, directory: path)
            rmdir(path)
        }
    }

    /// The owner is dead when its lock is free and the process that the name tells of is gone: it may have made the
    /// directory only just now, or be handing the lock to a collector.
    private static func isAbandoned(_ folder: Int32, name: String) -> Bool {
        if let maker = Int32(name.dropFirst(prefix.count).prefix { $0 != "-" }), maker != getpid(), kill(maker, 0) == 0 || errno == EPERM {
            // The number may belong to another process by now; its own start is younger than the directory then.
            if isOlder(process: maker, than: folder) { return false }
        }
        let file = openat(folder, lockName, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return errno == ENOENT && age(of: folder) > 10 }
        defer { close(file) }
        return flock(file, LOCK_EX | LOCK_NB) == 0
    }

    private static func isOlder(process: Int32, than folder: Int32) -> Bool {
        var uptime = timespec()
        clock_gettime(CLOCK_BOOTTIME, &uptime)
        guard let start = ProcessFiles.state(of: process)?.start else { return true }
        let running = Double(uptime.tv_sec) - Double(start) / Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        return running + 1 >= age(of: folder)
    }

    /// Seconds since the directory last changed.
    private static func age(of folder: Int32) -> Double {
        var info = stat()
        guard fstat(folder, &info) == 0 else { return 0 }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec - info.st_mtim.tv_sec)
    }

    private static func empty(_ folder: Int32, directory: String) {
        for name in SystemCalls.names(in: directory) { unlinkat(folder, name, 0) }
    }
}
