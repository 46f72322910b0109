// Program.swift: builds the programs of Tests/Programs, each once for each set of flags.
import Foundation
import Synchronization

/// A program of Tests/Programs, built.
struct Program: Sendable {
    let path: String

    /// Builds `source` (a file name in Tests/Programs) unless a build that is newer than the sources exists.
    ///
    /// By default with debug information and some optimization, without frame pointers, and without the compiler's knowledge
    /// of malloc, which would remove pairs of malloc and free.
    init(_ source: String, flags: [String] = [], output: String? = nil) throws {
        let file = Products.testsFolder + "/Programs/" + source
        let stem = ((source as NSString).lastPathComponent as NSString).deletingPathExtension
        let folder = Products.directoryOfTests + "/test-programs"
        path = output ?? folder + "/" + stem + (flags.isEmpty ? "" : "-" + Program.checksum(flags))
        let target = path
        try Program.building.withLock { _ in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let header = Products.testsFolder + "/Programs/claims.h"
            guard Program.modified(target) <= max(Program.modified(file), Program.modified(header)) else { return }
            let compiler =
                switch (source as NSString).pathExtension {
                case "swift": [try tool("swiftc"), "-g", "-parse-as-library"]
                case "cpp": [try tool("g++"), "-g", "-O1", "-std=c++17", "-fno-builtin", "-pthread"]
                default: [try tool("gcc"), "-g", "-O1", "-std=gnu17", "-fno-builtin", "-pthread"]
                }
            let built = target + ".new"
            let outcome = try run(compiler + [file, "-o", built] + flags, limit: 300)
            guard outcome.ending == .code(0) else { throw HarnessError("cannot build \(source):\n\(outcome.stderr)") }
            guard rename(built, target) == 0 else { throw HarnessError("cannot write \(target)") }
        }
    }

    // Compilers take a second at most, and half of the programs share nothing: one at a time is simple and no slower.
    private static let building = Mutex<Void>(())

    private static func modified(_ path: String) -> Date {
        (try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date) ?? .distantPast
    }

    private static func checksum(_ flags: [String]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in flags.joined(separator: "\0").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return String(hash, radix: 36)
    }
}
