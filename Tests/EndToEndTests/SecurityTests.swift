// SecurityTests.swift: what others could put in the way, read along, or be sent: see "Security" in the documentation.
import Foundation
import Glibc
import Testing

@Suite("Security")
struct SecurityTests {
    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    /// A program that goes on for a while under `run`, recorded in `runtime`.
    private func enduring(_ runtime: Scratch, _ file: String) throws -> Subprocess {
        let process = try Subprocess(
            [Products.command, "run", "-q", "-o", file, "--", try Program("enduring.c").path, "2500"],
            environment: baseEnvironment.merging(["XDG_RUNTIME_DIR": runtime.path]) { $1 })
        try process.waitForOutput("started")
        return process
    }

    private func session(in runtime: Scratch) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: runtime.path).filter { $0.hasPrefix("tracemalloc-") }
        return runtime / (try #require(names.first))
    }

    @Test("Session and file are the user's alone, and nothing listens")
    func isPrivate() throws {
        let runtime = try Scratch(under: "/dev/shm")
        let scratch = try Scratch()
        let old = umask(0)
        defer { umask(old) }
        let process = try enduring(runtime, scratch / "out.tmalloc")
        let directory = try session(in: runtime)
        #expect(mode(directory) == 0o700)
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) { #expect(mode("\(directory)/\(name)") == 0o600) }
        // Programs meet their collector in memory: neither has a socket, nor has the program a descriptor of ours.
        let program = try #require(children(of: process.pid).first)
        for pid in [process.pid, program] {
            for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd") {
                let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(name)")) ?? ""
                #expect(!target.hasPrefix("socket:"))
                #expect(pid != program || !target.hasPrefix(runtime.path))
            }
        }
        #expect(process.wait().ending == .code(3))
        #expect(mode(scratch / "out.tmalloc") == 0o600)
        #expect(mode(scratch / "out.tmalloc.part") == 0)
    }

    @Test("What is planted in a session is neither followed nor waited for")
    func plantedRequests() throws {
        let runtime = try Scratch(under: "/dev/shm")
        let scratch = try Scratch()
        let secret = try scratch.write("secret", "mark\n1\nsecret")
        let process = try enduring(runtime, scratch / "out.tmalloc")
        let directory = try session(in: runtime)
        let program = try #require(children(of: process.pid).first)
        #expect(mkfifo("\(directory)/ask.1.1", 0o600) == 0)
        #expect(symlink(secret, "\(directory)/ask.1.2") == 0)
        #expect(mkdir("\(directory)/ask.1.3", 0o700) == 0)
        #expect(symlink(secret, "\(directory)/served.1") == 0)
        #expect(mkfifo("\(directory)/1.1.recording", 0o600) == 0)
        #expect(symlink(secret, "\(directory)/2.1.recording") == 0)
        #expect(symlink("/dev/zero", "\(directory)/3.1.recording") == 0)
        let marked = try run(
            [Products.command, "mark", "\(program)", "still here"], environment: ["XDG_RUNTIME_DIR": runtime.path], limit: 20)
        #expect(marked.ending == .code(0), "\(marked.stderr)")
        #expect(process.wait(limit: 30).ending == .code(3))
        #expect(try String(contentsOfFile: secret, encoding: .utf8) == "mark\n1\nsecret")
        #expect(try Profile.stats(of: scratch / "out.tmalloc").allocations >= 5000)
    }

    /// The outputs: what to write, and the name of the option is always -o.
    private static let writers: [[String]] = [["run", "-q"], ["export", "--to", "collapsed"], ["report", "--html"]]

    @Test("An output goes through no link, nor does what it is built in", arguments: writers)
    func outputLinks(writer: [String]) throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let scratch = try Scratch()
        let victim = try scratch.write("victim", "precious")
        func write(_ output: String, force: Bool) throws -> Outcome {
            let options = writer + ["-o", output] + (force ? ["--force"] : [])
            let rest = writer[0] == "run" ? ["--", "/bin/true"] : [profile.file]
            return try run([Products.command] + options + rest)
        }
        for (name, target) in [("link", victim), ("dangling", scratch / "made")] {
            #expect(symlink(target, scratch / name) == 0)
            for force in [false, true] {
                let outcome = try write(scratch / name, force: force)
                #expect([.code(2), .code(3)].contains(outcome.ending), "\(outcome.stderr)")
            }
        }
        // The part is made anew: a link in its place goes, what it names stays.
        #expect(symlink(victim, scratch / "out.part") == 0)
        #expect(try write(scratch / "out", force: false).ending == .code(0))
        #expect(mode(scratch / "out") == 0o600 && mode(scratch / "out.part") == 0)
        #expect(mode(scratch / "made") == 0)
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
    }

    @Test(
        "A file that was sent makes no report quote other files than sources",
        arguments: [["report", "--by", "traceback"], ["report", "--html", "--source"]])
    func sourcesOnly(reader: [String]) throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let scratch = try Scratch()
        let secret = try scratch.write("id_secret", String(repeating: "private key of mine\n", count: 400))
        let source = try scratch.write("source.c", String(repeating: "a line of source\n", count: 400))
        for (path, isShown) in [(source, true), (secret, false)] {
            let change =
                "PRAGMA journal_mode=OFF; UPDATE text SET value='\(path)' WHERE id IN (SELECT file FROM frame WHERE file IS NOT NULL)"
            #expect(try run([try tool("sqlite3"), profile.file, change]).ending == .code(0))
            let page = scratch / "page.html"
            let outcome = try run(
                [Products.command] + reader + (reader.contains("--html") ? ["--force", "-o", page] : ["--metric", "total"]) + [profile.file]
            )
            #expect(outcome.ending == .code(0), "\(outcome.stderr)")
            let text = outcome.stdout + ((try? String(contentsOfFile: page, encoding: .utf8)) ?? "")
            #expect(text.contains("a line of source") == isShown)
            #expect(!text.contains("private key"))
        }
    }

    @Test("A runtime directory that others can write to is not used by hand either")
    func unsafeRuntimeDirectory() throws {
        for (mode, isUsed) in [(mode_t(0o777), false), (0o700, true)] {
            let runtime = try Scratch(under: "/dev/shm")
            chmod(runtime.path, mode)
            let profile = try Profile(
                byHand: [try tool("env")], environment: ["XDG_RUNTIME_DIR": runtime.path])
            #expect(profile.outcome.stdout.contains("TRACEMALLOC_SESSION=\(runtime.path)/") == isUsed, "\(profile.outcome.stdout)")
        }
    }

    @Test("The collector that a library starts has neither the library nor its settings in its environment")
    func collectorEnvironment() throws {
        let scratch = try Scratch()
        let file = scratch / "out.tmalloc"
        let process = try Subprocess(
            [try Program("enduring.c").path, "1500"],
            environment: baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
        try process.waitForOutput("started")
        let collector = try #require(collectors(of: file).first)
        let environment = FileManager.default.contents(atPath: "/proc/\(collector)/environ") ?? Data()
        let names = environment.split(separator: 0).map { String(decoding: $0, as: UTF8.self).prefix { $0 != "=" } }
        #expect(names.contains("HOME") && !names.contains("LD_PRELOAD") && !names.contains { $0.hasPrefix("TRACEMALLOC") })
        #expect(process.wait().ending == .code(3))
    }
}
