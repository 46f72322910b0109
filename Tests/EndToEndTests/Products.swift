// Products.swift: where the products under test lie, and the tools that the tests use.
import Foundation

/// The command and the library. `TRACEMALLOC_BIN` names another build's command; by default it is the one beside the tests.
enum Products {
    static let command: String = {
        if let path = ProcessInfo.processInfo.environment["TRACEMALLOC_BIN"] { return path }
        return directoryOfTests + "/tracemalloc"
    }()

    static let directory = (command as NSString).deletingLastPathComponent

    /// `libtracemalloc.so` beside the command. SwiftPM builds it under another name, and so does a plain `swift test`.
    static let library: String = {
        let path = directory + "/libtracemalloc.so"
        if !FileManager.default.fileExists(atPath: path) {
            try? FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "libTraceMallocPreload.so")
        }
        return path
    }()

    static let directoryOfTests: String = {
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return (executable as NSString).deletingLastPathComponent
    }()

    /// The folder Tests, found from this file.
    static let testsFolder = ((#filePath as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent
}

/// The path of a tool: of the system before anything else that stands in PATH, so that a wrapper script is not profiled instead.
func tool(_ name: String) throws -> String {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    for directory in ["/usr/bin", "/bin", "/usr/sbin", "/sbin"] + path.split(separator: ":").map(String.init) {
        let candidate = directory + "/" + name
        if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
    }
    throw HarnessError("\(name) is not installed: run tools/bootstrap --tests")
}

/// The first file of these names that the loader's directories hold.
func systemLibrary(_ name: String) throws -> String {
    for directory in ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"] {
        let candidate = directory + "/" + name
        if FileManager.default.fileExists(atPath: candidate) { return candidate }
    }
    throw HarnessError("\(name) is not installed: run tools/bootstrap --tests")
}
