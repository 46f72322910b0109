// RecordingError.swift: what can go wrong between the traced programs and the collector, in sentences for people.

/// Each description says what failed, where, and the way out.
package enum RecordingError: Error, CustomStringConvertible, Hashable {
    /// Neither the user's runtime directory nor /dev/shm can hold a recording.
    case noMemoryFileSystem(tried: [String])
    /// The traced program could not make its recording; bytes.
    case fileSizeLimit(UInt64)
    case cannotCreate(path: String, errno: Int32)
    case cannotOpen(path: String, errno: Int32)
    /// Another collector serves the session.
    case alreadyServed(path: String)
    /// The recording's header contradicts itself or this version of the collector.
    case unusableRecording(path: String, reason: String)
    case outOfMemory(needed: String)
    /// No running session of this user records the process.
    case notRecorded(pid: Int32)
    /// The collector of a session did not answer.
    case noAnswer(path: String)
    case requestFailed(String)
    /// No image of a process's memory could be taken.
    case cannotFreeze(pid: Int32, reason: String)
    /// `tracemalloc start` has nothing to start.
    case cannotStart(pid: Int32, StartRefusal)

    package var description: String {
        switch self {
        case .noMemoryFileSystem(let tried):
            "no memory file system for the recording: tried \(tried.joined(separator: ", ")); "
                + "mount a tmpfs at /dev/shm (in a container: --shm-size=256m) or set XDG_RUNTIME_DIR to one"
        case .fileSizeLimit(let limit):
            "files may have \(limit >> 10) KiB at most (ulimit -f), which is too low for a recording, a sparse file of "
                + "\(Session.largestRecording >> 20) MiB; raise the limit"
        case .cannotCreate(let path, let code):
            "cannot create \(path): \(Self.text(code)); check the permissions of its directory and its free space"
        case .cannotOpen(let path, let code): "cannot open \(path): \(Self.text(code))"
        case .alreadyServed(let path): "the session \(path) has a collector already; start a session of your own"
        case .unusableRecording(let path, let reason):
            "cannot read the recording \(path): \(reason); the command and the preloaded library must be of the same version"
        case .notRecorded(let pid):
            "process \(pid) is not being recorded by a session of yours; start it with tracemalloc run, or preload the library"
        case .noAnswer(let path): "the collector of the session \(path) does not answer; it may be stopped"
        case .requestFailed(let sentence): sentence
        case .cannotFreeze(let pid, let reason): "cannot look into process \(pid): \(reason)"
        case .cannotStart(let pid, .gone): "there is no process \(pid)"
        case .cannotStart(let pid, .endedMeanwhile): "process \(pid) ended before it allocated anything"
        case .cannotStart(let pid, .foreign): "process \(pid) belongs to another user, and only that user can start it"
        case .cannotStart(let pid, .recorded): "process \(pid) is being recorded already; ask for a snapshot of it, or mark it"
        case .cannotStart(let pid, .unreadable): "the memory map of process \(pid) cannot be read: it has protected itself"
        case .cannotStart(let pid, .notIdle):
            "process \(pid) does not wait to be started: that takes LD_PRELOAD=libtracemalloc.so and TRACEMALLOC_START=0 at its own start"
        case .cannotStart(let pid, .otherVersion):
            "process \(pid) has loaded the library of another version of tracemalloc; use that version's command, or start the process anew"
        case .outOfMemory(let needed): "out of memory for \(needed); free some, or trace fewer processes at once"
        }
    }

    private static func text(_ code: Int32) -> String { SystemCalls.message(code) }
}
