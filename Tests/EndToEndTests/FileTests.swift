// FileTests.swift: files that are not what they should be: exit code 2, one sentence, no crash.
import Foundation
import Glibc
import Testing

@Suite("Files")
struct FileTests {
    static let readers = [
        ["stats"], ["report"], ["report", "--format", "json"], ["tree"], ["advise"], ["export", "--to", "pprof"],
        ["export", "--to", "massif"],
    ]

    @Test("A file that is no profile is refused by every reading command", arguments: readers)
    func foreign(reader: [String]) throws {
        let scratch = try Scratch()
        let other = scratch / "other.sqlite"
        #expect(try run([try tool("sqlite3"), other, "create table t(a); insert into t values (1);"]).ending == .code(0))
        let files = [
            scratch / "missing.tmalloc", scratch.path, try scratch.write("empty.tmalloc", ""), other,
            try scratch.write("text.tmalloc", String(repeating: "no profile\n", count: 1000)), try Program("nothing.c").path,
            try scratch.write("header.tmalloc", "SQLite format 3\0"),
        ]
        for file in files { try expectRefused(reader, file) }
    }

    @Test("A file of a version to come is refused")
    func newer() throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        #expect(try run([try tool("sqlite3"), profile.file, "pragma user_version = 999"]).ending == .code(0))
        try expectRefused(["stats"], profile.file)
    }

    @Test("A truncated file is refused, or what it holds is shown; nothing crashes")
    func truncated() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let whole = try #require(FileManager.default.contents(atPath: profile.file))
        let scratch = try Scratch()
        for part in [1, 15, 16, 99, 100, 512, 4095, 4096, 4097, whole.count / 3, whole.count / 2, whole.count - 4096, whole.count - 1] {
            try whole.prefix(part).write(to: URL(fileURLWithPath: scratch / "cut.tmalloc"))
            for reader in FileTests.readers { try expectRefused(reader, scratch / "cut.tmalloc", orRead: part > 4096, "\(part) bytes") }
        }
    }

    @Test("A file of a terabyte is refused, or read, in no time and little memory", arguments: readers)
    func huge(reader: [String]) throws {
        let scratch = try Scratch()
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let whole = try #require(FileManager.default.contents(atPath: profile.file))
        // Nothing but zeros; the mark of a database and zeros; a profile and zeros behind it; a profile whose header counts them.
        var counted = whole
        for (index, byte) in [0x07, 0xff, 0xff, 0xff].enumerated() { counted[28 + index] = UInt8(byte) }
        for (name, start) in [("zeros", Data()), ("mark", whole.prefix(16)), ("tail", whole), ("counted", counted)] {
            let file = scratch / "\(name).tmalloc"
            try start.write(to: URL(fileURLWithPath: file))
            #expect(truncate(file, 1 << 40) == 0)
            let limited = [try tool("bash"), "-c", "ulimit -v 2000000; exec \"$@\"", "bash"]
            let outcome = try run(limited + [Products.command, reader[0], file] + reader.dropFirst(), limit: 10)
            if name == "tail" || name == "counted", outcome.ending == .code(0) { continue }
            #expect(outcome.ending == .code(2), "\(name): \(outcome.stderr)")
            expectOneSentence(outcome.stderr, about: (file as NSString).lastPathComponent)
        }
    }

    @Test("A file with flipped bits is refused, or read; nothing crashes or hangs")
    func flipped() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let whole = try #require(FileManager.default.contents(atPath: profile.file))
        let scratch = try Scratch()
        let seed = UInt64(ProcessInfo.processInfo.environment["TEST_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        var random = seed
        func next(below bound: Int) -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random % UInt64(bound))
        }
        for round in 0..<60 {
            var bytes = whole
            for _ in 0..<(1 << next(below: 7)) { bytes[next(below: bytes.count)] ^= UInt8(1 << next(below: 8)) }
            try bytes.write(to: URL(fileURLWithPath: scratch / "flipped.tmalloc"))
            let reader = FileTests.readers[round % FileTests.readers.count]
            try expectRefused(reader, scratch / "flipped.tmalloc", orRead: true, "seed \(seed), round \(round)")
        }
    }

    @Test("A profile is a SQLite database with a mark of its own")
    func isDatabase() throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let outcome = try run([try tool("sqlite3"), profile.file, "pragma application_id; pragma user_version; pragma integrity_check;"])
        let lines = outcome.stdout.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.first != "0")
        #expect(lines.last == "ok")
    }

    @Test("A file can be read by its bytes alone: moved, read-only, with the program gone")
    func isCompleteByItself() throws {
        let scratch = try Scratch()
        let program = try Program("endings.c", output: scratch / "endings").path
        let profile = try Profile([program, "return"])
        let before = try run([Products.command, "report", profile.file, "--metric", "total"])
        try FileManager.default.removeItem(atPath: program)
        try FileManager.default.createDirectory(atPath: scratch / "elsewhere", withIntermediateDirectories: false)
        try FileManager.default.moveItem(atPath: profile.file, toPath: scratch / "elsewhere/moved.tmalloc")
        try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: scratch / "elsewhere/moved.tmalloc")
        let after = try run([Products.command, "report", scratch / "elsewhere/moved.tmalloc", "--metric", "total"])
        #expect(before.ending == .code(0))
        #expect(after.stdout == before.stdout)
        #expect(after.stdout.contains("endings.c:"))
    }

    private func expectRefused(
        _ reader: [String], _ file: String, orRead: Bool = false, _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let outcome = try run([Products.command, reader[0], file] + reader.dropFirst(), limit: 30)
        if orRead, outcome.ending == .code(0) { return }
        #expect(outcome.ending == .code(2), "\(comment) \(outcome.stderr)", sourceLocation: sourceLocation)
        expectOneSentence(outcome.stderr, about: (file as NSString).lastPathComponent, sourceLocation: sourceLocation)
    }
}
