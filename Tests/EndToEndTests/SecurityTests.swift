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

    /// A program that goes on until there is a file "enough" in `scratch`, under `run`, recorded in `runtime`.
    private func enduring(_ runtime: Scratch, _ scratch: Scratch) throws -> Subprocess {
        let program = [try Program("enduring.c").path, "100000", scratch / "enough"]
        let process = try Subprocess(
            [Products.command, "run", "-q", "-o", scratch / "out.tmalloc", "--"] + program,
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
        let process = try enduring(runtime, scratch)
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
        _ = try scratch.write("enough", "")
        #expect(process.wait().ending == .code(3))
        #expect(mode(scratch / "out.tmalloc") == 0o600)
        #expect(mode(scratch / "out.tmalloc.part") == 0)
    }

    static let canIsolate = (try? run([tool("unshare"), "-n", "true"]).ending) == .code(0)

    /// In a network namespace of its own every line in these files is a socket of ours.
    @Test(
        "While a program is recorded, watched and asked there is no socket of any kind", .enabled(if: canIsolate), arguments: [false, true])
    func nothingListens(byHand: Bool) throws {
        let (runtime, scratch) = (try Scratch(under: "/dev/shm"), try Scratch())
        let file = scratch / "out.tmalloc"
        let program = [try Program("enduring.c").path, "100000", scratch / "enough"]
        let byHandCommand = [try tool("env"), "LD_PRELOAD=\(Products.library)", "TRACEMALLOC=\(file)"]
        let command = byHand ? byHandCommand : [Products.command, "run", "-q", "-o", file, "--"]
        let process = try Subprocess(
            [try tool("unshare"), "-n"] + command + program, environment: baseEnvironment.merging(["XDG_RUNTIME_DIR": runtime.path]) { $1 })
        try process.waitForOutput("started")
        let pid = byHand ? process.pid : try #require(children(of: process.pid).first)
        // The collector of a program by hand takes a moment.
        var tries = 0
        while try run([Products.command, "mark", "\(pid)"], environment: ["XDG_RUNTIME_DIR": runtime.path]).ending != .code(0), tries < 100
        {
            tries += 1
            usleep(20_000)
        }
        let watcher = try Subprocess(
            [Products.command, "live", "--count", "3", "--interval", "0.2", "\(pid)"],
            environment: baseEnvironment.merging(["XDG_RUNTIME_DIR": runtime.path]) { $1 })
        for _ in 0..<20 {
            for table in ["tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "packet", "unix", "icmp"] {
                guard let text = try? String(contentsOfFile: "/proc/\(pid)/net/\(table)", encoding: .utf8) else { continue }
                #expect(text.split(separator: "\n").count <= 1, "\(table): \(text)")
            }
            usleep(30_000)
        }
        let watched = watcher.wait()
        #expect(watched.ending == .code(0), "\(watched.stderr)")
        _ = try scratch.write("enough", "")
        #expect(process.wait().ending == .code(3))
    }

    @Test("Nothing is started but the program that was named: no shell, no other tool", .enabled(if: (try? tool("strace")) != nil))
    func noShell() throws {
        let scratch = try Scratch()
        let (program, file) = (try Program("endings.c").path, scratch / "a;touch x $(id) `id`.tmalloc")
        func started(_ command: [String], environment: [String: String] = [:]) throws -> [String] {
            let log = scratch / "log"
            let outcome = try run(
                [try tool("strace"), "-f", "-q", "-e", "trace=execve,execveat", "-o", log] + command, environment: environment)
            #expect([.code(0), .code(7)].contains(outcome.ending), "\(outcome.stderr)")
            return try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter {
                $0.contains("execve(") || $0.contains("execveat(")
            }
            .compactMap { $0.split(separator: "\"").dropFirst().first.map { ($0 as NSString).lastPathComponent } }
        }
        let command = (Products.command as NSString).lastPathComponent
        #expect(try started([Products.command, "run", "-o", file, "--", program, "return"]) == [command, "endings"])
        for reader in [["stats"], ["report"], ["tree"], ["advise"], ["compare", file], ["export", "--to", "pprof", "-o", scratch / "e"]] {
            #expect(try started([Products.command, reader[0], file] + reader.dropFirst()) == [command], "\(reader)")
        }
        #expect(try started([Products.command, "report", file, "--html", "-o", scratch / "page.html"]) == [command])
        let byHand = try started(
            [try tool("env"), "LD_PRELOAD=\(Products.library)", "TRACEMALLOC=\(scratch / "by hand.tmalloc")", program, "return"])
        #expect(byHand.sorted() == ["endings", "env", command].sorted(), "\(byHand)")
        #expect(!FileManager.default.fileExists(atPath: scratch / "x"))
    }

    @Test(
        "In a directory that all users share nothing that was planted beforehand is joined, followed or removed",
        .enabled(if: geteuid() == 0))
    func sharedDirectory() throws {
        let (runtime, scratch) = (try Scratch(under: "/dev/shm"), try Scratch())
        chmod(runtime.path, 0o1777)
        let victim = try scratch.write("lock", "precious")
        // Left behind by a process that is gone, to all appearance; each hides something else.
        func name(_ kind: String) -> String { runtime / "tracemalloc-\(1 << 30)-\(kind)" }
        #expect(symlink(scratch.path, name("link")) == 0)
        for (index, owner) in [uid_t(65534), 0].enumerated() {
            #expect(mkdir(name("foreign\(index)"), 0o700) == 0 && chmod(name("foreign\(index)"), owner == 0 ? 0o777 : 0o700) == 0)
            FileManager.default.createFile(atPath: name("foreign\(index)") + "/lock", contents: Data("kept".utf8))
            #expect(chown(name("foreign\(index)"), owner, 0) == 0)
        }
        #expect(mkdir(name("mine"), 0o700) == 0 && symlink(victim, name("mine") + "/lock") == 0)
        #expect(mkfifo(name("fifo"), 0o600) == 0)
        let process = try enduring(runtime, scratch)
        let sessions = try FileManager.default.contentsOfDirectory(atPath: runtime.path).filter { !$0.hasPrefix("tracemalloc-\(1 << 30)") }
        #expect(sessions.count == 1)
        #expect(mode(runtime / (try #require(sessions.first))) == 0o700)
        _ = try scratch.write("enough", "")
        #expect(process.wait().ending == .code(3))
        #expect(try Profile.stats(of: scratch / "out.tmalloc").allocations >= 5000)
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
        let left = try FileManager.default.contentsOfDirectory(atPath: runtime.path).sorted()
        #expect(left == ["fifo", "foreign0", "foreign1", "link", "mine"].map { "tracemalloc-\(1 << 30)-\($0)" })
        for index in [0, 1] { #expect(FileManager.default.contents(atPath: name("foreign\(index)") + "/lock") == Data("kept".utf8)) }
    }

    @Test("In a child that is not to be followed the library does nothing: no memory, file or word of ours")
    func childrenThatDidNotAsk() throws {
        let script = "sh -c 'grep -c /tracemalloc- /proc/self/maps; ls -l /proc/self/fd | grep -c tracemalloc; echo $PPID'"
        let profile = try Profile([try tool("sh"), "-c", script + "; true"], options: ["--no-follow-children"])
        #expect(profile.outcome.stdout.split(separator: "\n").prefix(2) == ["0", "0"], "\(profile.outcome.stdout)")
        #expect(try profile.stats().processes?.count == 1)
    }

    @Test("What is planted in a session is neither followed nor waited for")
    func plantedRequests() throws {
        let runtime = try Scratch(under: "/dev/shm")
        let scratch = try Scratch()
        let secret = try scratch.write("secret", "mark\n1\nsecret")
        let process = try enduring(runtime, scratch)
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
        _ = try scratch.write("enough", "")
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
            [try Program("enduring.c").path, "100000", scratch / "enough"],
            environment: baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
        try process.waitForOutput("started")
        // The program does not wait for it: it may still be on its way from fork to exec.
        for _ in 0..<300 where collectors(of: file).isEmpty { usleep(100_000) }
        let collector = try #require(collectors(of: file).first)
        let environment = FileManager.default.contents(atPath: "/proc/\(collector)/environ") ?? Data()
        let names = environment.split(separator: 0).map { String(decoding: $0, as: UTF8.self).prefix { $0 != "=" } }
        #expect(names.contains("HOME") && !names.contains("LD_PRELOAD") && !names.contains { $0.hasPrefix("TRACEMALLOC") })
        _ = try scratch.write("enough", "")
        #expect(process.wait().ending == .code(3))
    }
}
