// CommandError.swift: everything that ends a command early, as a sentence and an exit code.
import AllocationProfile
import AllocationRecording
import AllocationReports
import AllocationStore

/// What went wrong, where, and the way out.
enum CommandError: Error, CustomStringConvertible {
    case unreadable(StoreError)
    case emptySnapshot(path: String)
    case unknownProcess(Int32, path: String, known: [Int32])
    case noMark(String, path: String, known: [String])
    case unknownThread(String, path: String, known: [String])
    case unanswerable(ProfileError)
    case cannotPrint(SystemError)
    /// A running session could not be asked, or said no.
    case noAnswer(RecordingError)
    case binaryOnTerminal(String)
    case cannotExport(ExportError)
    case noSuppressions(path: String, reason: String)
    /// A program whose leaks were asked for ended in a way that does not wait for us.
    case nothingExamined(program: String)
    case noSuchType(String, pid: Int32)
    case noTypeInFile(String, path: String)
    case noSuchBlock(UInt64, pid: Int32)
    /// A terminal of this name cannot be drawn on.
    case noScreen(String)

    case refused(ProgramRefusal)
    /// `tried`: directories, or the path that the user set.
    case noLibrary(tried: [String])
    case unusableLibraryPath(String)
    case noRecording(RecordingError)
    case noRoom(directory: String, free: UInt64)
    case noOutput(StoreError)
    case unwritableDirectory(SystemError)
    case cannotStart(program: String, SystemError)
    case noThread
    /// The process that `start` leaves behind ended at once, or never came.
    case noCollector

    static let usageCode: Int32 = 2

    var exitCode: Int32 {
        switch self {
        case .unreadable, .emptySnapshot, .unknownProcess, .unknownThread, .noMark, .unanswerable, .cannotPrint, .noAnswer,
            .binaryOnTerminal, .cannotExport, .noScreen, .noSuppressions, .nothingExamined, .noSuchType, .noTypeInFile,
            .noSuchBlock:
            CommandError.usageCode
        // The file can be named otherwise; what has no room has none under another name either.
        case .noOutput(.exists), .noOutput(.notAFile), .noOutput(.noDirectory): CommandError.usageCode
        case .noOutput, .unwritableDirectory, .refused, .noLibrary, .unusableLibraryPath, .noRecording, .noRoom, .cannotStart,
            .noThread, .noCollector:
            3
        }
    }

    var description: String {
        switch self {
        case .unreadable(let error), .noOutput(let error): "\(error)"
        case .emptySnapshot(let path): "\(path) holds no process: nothing was recorded in that run"
        case .unknownProcess(let pid, let path, let known):
            "\(path) holds no process \(pid); it holds \(known.map(String.init).joined(separator: ", "))"
        case .noMark(let mark, let path, let known):
            "\(path) has no mark \(mark); "
                + (known.isEmpty ? "nothing was marked in that run" : "its marks are \(known.prefix(20).joined(separator: ", "))")
        case .unknownThread(let name, let path, let known):
            "\(path) holds no thread \(name); it holds \(known.prefix(20).joined(separator: ", "))\(known.count > 20 ? ", …" : "")"
        case .unanswerable(let error): "\(error)"
        case .cannotPrint(let error): "cannot write to standard output: \(error)"
        case .binaryOnTerminal(let format): "\(format) is not for terminals; name a file with -o, or send the output to a program"
        case .cannotExport(let error): "\(error)"
        case .noSuppressions(let path, let reason): "cannot use the suppressions \(path): \(reason)"
        case .nothingExamined(let program):
            "\(program) could not be looked at when it ended: it was killed, ended by a system call of its own, or became another program"
        case .noSuchType(let name, let pid):
            "process \(pid) has no object of a type with \(name) in its name; see `tracemalloc heap \(pid)`"
        case .noTypeInFile(let name, let path):
            "\(path) has no memory of a type with \(name) in its name that is alive; see `tracemalloc heap \(path)`"
        case .noSuchBlock(let address, let pid):
            "no live block of process \(pid) holds the address 0x\(String(address, radix: 16)); see `tracemalloc heap \(pid) --type NAME`"
        case .noScreen(let name): "the terminal \(name) is not known here, so there is no screen; --count N prints lines"
        case .refused(let refusal): "\(refusal)"
        case .noLibrary(let tried):
            "libtracemalloc.so is not there (looked for it in \(tried.joined(separator: ", "))); set TRACEMALLOC_LIBRARY to its path"
        case .unusableLibraryPath(let path):
            "the library \(path) cannot be preloaded: the loader splits names at spaces and colons; set TRACEMALLOC_LIBRARY to another path"
        case .noRecording(let error), .noAnswer(let error): "\(error)"
        case .noRoom(let directory, let free):
            "no room for the recording in \(directory): \(free >> 10) KiB are free, \(Recording.smallestRoom >> 10) KiB are the least; "
                + "make that file system larger, or set XDG_RUNTIME_DIR to another memory file system"
        case .unwritableDirectory(let error): "cannot write to the current directory: \(error); choose a file with -o"
        case .cannotStart(let program, let error): "cannot start \(program): \(error)"
        case .noThread: "cannot start a thread for the collector: the limit of processes (ulimit -u) is reached"
        case .noCollector: "the collector did not begin; the program runs as before, and can be started again"
        }
    }
}
