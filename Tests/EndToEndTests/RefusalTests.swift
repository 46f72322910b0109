// RefusalTests.swift: what cannot be profiled gets one clear sentence and exit code 3, before the program is started.
import Foundation
import Glibc
import Testing

/// Something that `run` refuses, made in a directory of its own.
struct Refusal: CustomTestStringConvertible, Sendable {
    var what: String
    var needsRoot = false
    /// Returns the program.
    var prepare: @Sendable (Scratch) throws -> String

    var testDescription: String { what }
}

@Suite("Refusals")
struct RefusalTests {
    static let refusals: [Refusal] = [
        Refusal(what: "A statically linked program") { _ in try Program("nothing.c", flags: ["-static"]).path },
        Refusal(what: "A statically linked, position-independent program") { _ in try Program("nothing.c", flags: ["-static-pie"]).path },
        Refusal(what: "A program for another processor") { try patched($0, [18: 183]) },
        Refusal(what: "A 32-bit program") { try patched($0, [4: 1, 18: 3]) },
        Refusal(what: "A big-endian program") { try patched($0, [5: 2]) },
        Refusal(what: "A program for another C library") { _ in
            try Program("nothing.c", flags: ["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]).path
        },
        Refusal(what: "A set-uid program", needsRoot: true) { scratch in
            let copy = try patched(scratch, [:])
            guard chown(copy, 65534, 65534) == 0, chmod(copy, 0o4755) == 0 else { throw HarnessError("cannot make a set-uid program") }
            return copy
        },
        Refusal(what: "A set-gid program", needsRoot: true) { scratch in
            let copy = try patched(scratch, [:])
            guard chown(copy, 0, 65534) == 0, chmod(copy, 0o2755) == 0 else { throw HarnessError("cannot make a set-gid program") }
            return copy
        },
        Refusal(what: "A program that is not there") { $0 / "missing" },
        Refusal(what: "A name that is not in PATH") { _ in "no-such-program-anywhere" },
        Refusal(what: "A file that is not executable") { try $0.write("program", "text\n") },
        Refusal(what: "A directory") { $0.path },
        Refusal(what: "An empty executable file") { try executable($0, "") },
        Refusal(what: "A file cut off within its headers") { scratch in
            let whole = FileManager.default.contents(atPath: try Program("nothing.c").path) ?? Data()
            return try scratch.program("program", holding: whole.prefix(80))
        },
        Refusal(what: "A script with a statically linked interpreter") { scratch in
            try executable(scratch, "#!\(try Program("nothing.c", flags: ["-static"]).path) -x\n")
        },
        Refusal(what: "A script whose interpreter is not there") { try executable($0, "#!/nonexistent/interpreter\n") },
    ]

    @Test("is refused in one sentence with exit code 3", arguments: refusals.filter { !$0.needsRoot || geteuid() == 0 })
    func refused(_ refusal: Refusal) throws {
        let scratch = try Scratch()
        let program = try refusal.prepare(scratch)
        let profile = try Profile([program, "argument"])
        #expect(profile.outcome.ending == .code(3))
        #expect(profile.outcome.stdout.isEmpty)
        expectOneSentence(profile.outcome.stderr, about: (program as NSString).lastPathComponent)
        #expect(!FileManager.default.fileExists(atPath: profile.file))
    }

    @Test("doctor gives the same sentence and exit code", arguments: refusals.filter { !$0.needsRoot || geteuid() == 0 })
    func doctorAgrees(_ refusal: Refusal) throws {
        let scratch = try Scratch()
        let program = try refusal.prepare(scratch)
        let outcome = try run([Products.command, "doctor", program])
        #expect(outcome.ending == .code(3), "\(outcome.stdout)\(outcome.stderr)")
    }

    @Test("A program with file capabilities is refused, but not for root, for whom the loader does as ever", .enabled(if: geteuid() == 0))
    func fileCapabilities() throws {
        let scratch = try Scratch()
        let copy = try patched(scratch, [:])
        #expect(try run([try tool("setcap"), "cap_net_raw+ep", copy]).ending == .code(0))
        #expect(try Profile([copy]).outcome.ending == .code(0))
        // Another user, who can read the products only where everybody can.
        for (name, source) in [("tracemalloc", Products.command), ("libtracemalloc.so", Products.library)] {
            _ = try scratch.program(name, copyOf: source)
        }
        guard chmod(scratch.path, 0o777) == 0 else { throw HarnessError("cannot change the mode") }
        let user = [try tool("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"]
        let command = [scratch / "tracemalloc", "run", "-o", scratch / "out.tmalloc", "--"]
        let refused = try run(user + command + [copy])
        #expect(refused.ending == .code(3))
        expectOneSentence(refused.stderr, about: "program")
        let profiled = try run(user + command + [try tool("true")])
        #expect(profiled.ending == .code(0), "\(profiled.stderr)")
        #expect(try Profile.stats(of: scratch / "out.tmalloc").lostEvents == 0)
    }

    @Test("A script with a good interpreter is profiled")
    func scripts() throws {
        let scratch = try Scratch()
        let script = try executable(scratch, "#!/bin/sh -e\necho from a script\nexit 9\n")
        let profile = try Profile([script])
        #expect(profile.outcome.ending == .code(9))
        #expect(profile.outcome.stdout == "from a script\n")
        #expect(try profile.stats().allocations > 0)
    }

    @Test("An allocator inside the executable: it runs, and the summary says that its allocations were not seen")
    func ownAllocator() throws {
        let profile = try Profile([try Program("own_malloc.c").path])
        #expect(profile.outcome.ending == .code(4))
        #expect(profile.outcome.stdout.contains("used 1"))
        #expect(profile.outcome.stderr.contains("own_malloc"))
        #expect(profile.outcome.stderr.contains("malloc"), "\(profile.outcome.stderr)")
        let byHand = try Profile(byHand: [try Program("own_malloc.c").path])
        #expect(byHand.outcome.ending == .code(4))
        #expect(try byHand.stats().warnings?.contains { $0.contains("inside the executable") } == true)
    }

    @Test(
        "Wrong usage is exit code 2",
        arguments: [
            ["run"], ["run", "--"], ["run", "--no-such-option", "--", "true"], ["run", "--frames", "0", "--", "true"],
            ["run", "--frames", "many", "--", "true"], ["report"], ["report", "a", "b"], ["report", "--by", "moon", "file"],
            ["no-such-command"],
        ])
    func wrongUsage(arguments: [String]) throws {
        let outcome = try run([Products.command] + arguments)
        #expect(outcome.ending == .code(2), "\(outcome.stderr)")
        #expect(outcome.stdout.isEmpty)
        #expect(!outcome.stderr.isEmpty)
    }

    @Test("A program's arguments are its own, also those that the command would understand", arguments: [[], ["--"]])
    func passesArguments(separator: [String]) throws {
        let words = ["--generate-completion-script", "bash", "--version", "--help", "-h", "--quiet", "--", "-o", "x"]
        let scratch = try Scratch()
        let command = [Products.command, "run", "--quiet"] + separator + [try tool("printf"), "%s\n"] + words
        let outcome = try run(command, directory: scratch.path)
        #expect(outcome.ending == .code(0) && outcome.stdout.split(separator: "\n").map(String.init) == words, "\(outcome)")
    }

    @Test("An output that cannot be written is said before the program starts")
    func unwritableOutput() throws {
        let scratch = try Scratch()
        let kept = try scratch.write("kept.tmalloc", "precious")
        for output in ["/nonexistent/directory/out.tmalloc", scratch.path, kept, "/proc/out.tmalloc"] {
            let outcome = try run([Products.command, "run", "-o", output, "--", try tool("touch"), scratch / "started"])
            #expect([.code(2), .code(3)].contains(outcome.ending), "\(output): \(outcome.ending) \(outcome.stderr)")
            expectOneSentence(outcome.stderr, about: (output as NSString).lastPathComponent)
            #expect(!FileManager.default.fileExists(atPath: scratch / "started"))
        }
        #expect(try String(contentsOfFile: kept, encoding: .utf8) == "precious")
        let forced = try run([Products.command, "run", "--force", "-o", kept, "--", try tool("touch"), scratch / "started"])
        #expect(forced.ending == .code(0), "\(forced.stderr)")
        #expect(try Profile.stats(of: kept).allocations > 0)
    }
}

/// A copy of a good program with some bytes of its header changed.
private func patched(_ scratch: Scratch, _ changes: [Int: UInt8]) throws -> String {
    var bytes = FileManager.default.contents(atPath: try Program("nothing.c").path) ?? Data()
    for (offset, byte) in changes { bytes[offset] = byte }
    return try scratch.program("program", holding: bytes)
}

private func executable(_ scratch: Scratch, _ text: String) throws -> String {
    try scratch.program("script", holding: Data(text.utf8))
}

/// Expects one line in the command's name that names what it is about.
func expectOneSentence(_ text: String, about name: String, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(text.hasPrefix("tracemalloc: "), "\(text)", sourceLocation: sourceLocation)
    #expect(text.split(separator: "\n").count == 1, "\(text)", sourceLocation: sourceLocation)
    #expect(text.contains(name), "\(text)", sourceLocation: sourceLocation)
}
