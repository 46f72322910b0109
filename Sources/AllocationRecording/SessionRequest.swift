// SessionRequest.swift: what another process may ask the collector of a running session, and how.
//
// A request is a file "ask.CLIENT.NUMBER" that is renamed into the session directory, the answer a file "answer.CLIENT.NUMBER"
// beside it. The directory belongs to one user, who may do all this anyway: there is no socket and nothing listens.
import CRecording
import Glibc

package struct SessionRequest: Sendable, Hashable {
    package enum Verb: String, Sendable {
        /// Begin a new generation.
        case mark
        /// Write a snapshot, with addresses instead of names, beside the answer.
        case snapshot
        /// The same, and an image of the process's memory at that moment: a link beside the answer.
        case heap
        /// Write what is new since the last time beside the answer: `name` says what is known.
        case watch
    }

    package var verb: Verb
    package var pid: Int32
    /// Name of the mark.
    package var name: String

    package init(verb: Verb, pid: Int32, name: String = "") {
        self.verb = verb
        self.pid = pid
        self.name = name
    }

    static let prefix = "ask."
    static func servedName(_ pid: Int32) -> String { "served.\(pid)" }
    private static let answerPrefix = "answer."
    private static let dataSuffix = ".tmalloc"
    private static let imageSuffix = ".image"
    private static let done = "done"
    private static let elsewhere = "elsewhere"

    // MARK: The asking side

    /// Asks the running session of this user that records the process: it has a file "served.PID".
    /// - Returns: for a snapshot the path of its file, which is the caller's to remove.
    package func ask() throws(RecordingError) -> String {
        let runtime = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
        for directory in Session.running(in: [runtime, "/dev/shm"].compactMap(\.self)) {
            guard access("\(directory)/\(Self.servedName(pid))", F_OK) == 0 else { continue }
            let token = "\(getpid()).\(UInt32.random(in: 0 ... .max))"
            guard Self.put("\(verb.rawValue)\n\(pid)\n\(name)", at: "\(directory)/\(Self.prefix)\(token)") else { continue }
            Session.ringBell(in: directory)
            let path = "\(directory)/\(Self.answerPrefix)\(token)"
            guard let answer = Self.await(path, in: directory) else { throw .noAnswer(path: directory) }
            if answer == Self.elsewhere { continue }
            if answer != Self.done { throw .requestFailed(answer) }
            return path + Self.dataSuffix
        }
        throw .notRecorded(pid: pid)
    }

    /// Asks for a snapshot (a file that is the caller's to remove) and the image of the heap that belongs to it.
    package static func heap(of pid: Int32) throws(RecordingError) -> (snapshotPath: String, image: HeapImage) {
        let path = try SessionRequest(verb: .heap, pid: pid).ask()
        let link = String(path.dropLast(dataSuffix.count)) + imageSuffix
        // The collector gives the memory back when the link is gone.
        defer { unlink(link) }
        do { return (path, try HeapImage(contentsOf: link)) } catch {
            unlink(path)
            throw error
        }
    }

    /// Whether a running session of this user records the process.
    static func isRecorded(_ pid: Int32) -> Bool {
        let runtime = getenv("XDG_RUNTIME_DIR").map { String(cString: $0) }
        return Session.running(in: [runtime, "/dev/shm"].compactMap(\.self)).contains {
            access("\($0)/\(servedName(pid))", F_OK) == 0
        }
    }

    /// A snapshot of a large program takes a while to write.
    private static func await(_ path: String, in directory: String) -> String? {
        for attempt in 0..<12_000 {
            if let text = Self.text(of: path) {
                unlink(path)
                return text
            }
            // The session has ended: nobody answers any more.
            if access(directory, F_OK) != 0 { return nil }
            usleep(attempt < 50 ? 1_000 : 5_000)
        }
        return nil
    }

    private static func text(of path: String) -> String? { SystemCalls.contents(of: path).map { String(decoding: $0, as: UTF8.self) } }

    private static func put(_ text: String, at path: String) -> Bool {
        let building = "\(path).new"
        let file = open(building, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        let bytes = Array(text.utf8)
        let isWritten = write(file, bytes, bytes.count) == bytes.count
        close(file)
        if isWritten && rename(building, path) == 0 { return true }
        unlink(building)
        return false
    }

    // MARK: The answering side

    /// Takes the request in a file of the session directory; nil when it makes no sense.
    init?(taking name: String, in directory: String) {
        guard name.hasPrefix(Self.prefix), !name.hasSuffix(".new") else { return nil }
        let path = "\(directory)/\(name)"
        let text = Self.text(of: path)
        unlink(path)
        let lines = text?.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false) ?? []
        guard lines.count == 3, let verb = Verb(rawValue: String(lines[0])), let pid = Int32(lines[1]) else { return nil }
        self.init(verb: verb, pid: pid, name: String(lines[2].prefix(1000)))
    }

    /// Where the answer to a request goes, and what it may say.
    struct Reply: Sendable {
        private let path: String

        init(to name: String, in directory: String) {
            path = "\(directory)/\(SessionRequest.answerPrefix)\(name.dropFirst(SessionRequest.prefix.count))"
        }

        var dataPath: String { path + SessionRequest.dataSuffix }
        var imagePath: String { path + SessionRequest.imageSuffix }
        func done() { _ = SessionRequest.put(SessionRequest.done, at: path) }
        func elsewhere() { _ = SessionRequest.put(SessionRequest.elsewhere, at: path) }
        func failed(_ sentence: String) { _ = SessionRequest.put(sentence, at: path) }
    }
}
