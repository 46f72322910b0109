// Subprocess.swift: runs a command with a time limit and keeps what it wrote.
import Foundation
import Glibc

/// How a process ended.
enum Ending: Equatable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)
    case timeLimit

    var description: String {
        switch self {
        case .code(let code): "exit code \(code)"
        case .signal(let signal): "signal \(signal)"
        case .timeLimit: "over the time limit"
        }
    }
}

struct Outcome {
    var ending: Ending
    var stdout: String
    var stderr: String
    var seconds: Double
}

struct HarnessError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A process that runs in a process group of its own.
///
/// Its outputs go to files, not pipes: a daemon that keeps them open does not keep the test waiting.
struct Subprocess {
    let pid: pid_t
    private let outputs: Scratch
    private let started = ContinuousClock.now

    /// Starts `command`, whose first element is a path. The environment is `environment` and nothing else.
    init(_ command: [String], environment: [String: String], directory: String? = nil, stdin: String = "/dev/null") throws {
        outputs = try Scratch()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, stdin, O_RDONLY, 0)
        // Appending, because children that open the file anew must not write over what is there.
        posix_spawn_file_actions_addopen(&actions, 1, outputs / "stdout", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, outputs / "stderr", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        if let directory { _ = GNU.addChangeDirectory(&actions, directory) }
        // What the test process inherited or opened without a thought must not reach the program.
        _ = GNU.addCloseFrom(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGMASK))

        var arguments = command.map { strdup($0) } + [nil]
        var variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var child = pid_t()
        let error = posix_spawn(&child, command[0], &actions, &attributes, &arguments, &variables)
        guard error == 0 else { throw HarnessError("cannot start \(command[0]): \(String(cString: strerror(error)))") }
        pid = child
    }

    /// Waits for the end; after the limit the whole process group is killed.
    func wait(limit: Double = 120) -> Outcome {
        var status: Int32 = 0
        var ending: Ending?
        var pause: UInt32 = 200
        while ending == nil {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid {
                ending = status & 0x7f == 0 ? .code((status >> 8) & 0xff) : .signal(status & 0x7f)
            } else if seconds > limit {
                kill(-pid, SIGKILL)
                waitpid(pid, &status, 0)
                ending = .timeLimit
            } else {
                usleep(pause)
                pause = min(pause * 2, 20_000)
            }
        }
        return Outcome(ending: ending!, stdout: text("stdout"), stderr: text("stderr"), seconds: seconds)
    }

    /// What was written to the standard output up to now.
    var stdoutSoFar: String { text("stdout") }

    /// Waits until the standard output holds `text`.
    func waitForOutput(_ text: String, limit: Double = 30) throws {
        while !stdoutSoFar.contains(text) {
            guard seconds < limit else { throw HarnessError("no \"\(text)\" within \(limit) s") }
            usleep(2_000)
        }
    }

    private var seconds: Double { started.duration(to: .now) / .seconds(1) }

    // Not every byte that a program writes is UTF-8.
    private func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: outputs / name) ?? Data(), as: UTF8.self)
    }
}

/// Functions that glibc's headers show only to GNU sources, which the Swift overlay is not.
private enum GNU {
    typealias Actions = UnsafeMutablePointer<posix_spawn_file_actions_t>
    static let addChangeDirectory = function(
        "posix_spawn_file_actions_addchdir_np", as: (@convention(c) (Actions, UnsafePointer<CChar>) -> Int32).self)
    static let addCloseFrom = function("posix_spawn_file_actions_addclosefrom_np", as: (@convention(c) (Actions, Int32) -> Int32).self)

    private static func function<Function>(_ name: String, as type: Function.Type) -> Function {
        unsafeBitCast(dlsym(nil, name), to: type)
    }
}

/// Runs a command to its end. The environment is small and always the same, so that counts are the same too.
@discardableResult
func run(
    _ command: [String], environment: [String: String] = [:], directory: String? = nil, stdin: String = "/dev/null", limit: Double = 120
) throws -> Outcome {
    try Subprocess(command, environment: baseEnvironment.merging(environment) { $1 }, directory: directory, stdin: stdin).wait(limit: limit)
}

let baseEnvironment: [String: String] = [
    "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent",
    // Hash seeds change tables, and with them counts.
    "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0", "SWIFT_DETERMINISTIC_HASHING": "1",
]

/// A directory that vanishes with its last reference.
final class Scratch: Sendable {
    let path: String

    init(under parent: String = NSTemporaryDirectory()) throws {
        var template = Array((parent as NSString).appendingPathComponent("e2eXXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("cannot make a directory in \(parent)") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    static func / (directory: Scratch, name: String) -> String { directory.path + "/" + name }

    /// Writes a file and returns its path.
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: self / name, atomically: false, encoding: .utf8)
        return self / name
    }

    /// Copies a file to be executed, and returns the copy's path.
    ///
    /// Another process writes it: what this one has open for writing, a child that another test starts at this moment has open too,
    /// up to its own exec, and the kernel refuses to execute such a file (ETXTBSY).
    func program(_ name: String, copyOf source: String) throws -> String {
        let outcome = try run([try tool("install"), "-m", "755", "--", source, self / name])
        guard outcome.ending == .code(0) else { throw HarnessError(outcome.stderr) }
        return self / name
    }

    /// Writes a file to be executed, and returns its path.
    func program(_ name: String, holding content: Data) throws -> String {
        let draft = self / "draft of \(name)"
        try content.write(to: URL(fileURLWithPath: draft))
        defer { try? FileManager.default.removeItem(atPath: draft) }
        return try program(name, copyOf: draft)
    }
}
