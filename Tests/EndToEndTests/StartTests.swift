// StartTests.swift: programs that are started idle, and made to record from outside.
import Foundation
import Testing

@Suite("Starting from outside")
struct StartTests {
    private static let idle = baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC_START": "0"]) { $1 }

    private func command(_ arguments: String...) throws -> Outcome { try run([Products.command] + arguments) }

    @Test("An idle program is started, marked and snapshotted; what is older is not known")
    func start() throws {
        let scratch = try Scratch()
        let file = scratch / "out.tmalloc"
        let process = try Subprocess([try Program("growing.c").path, scratch / "go1", scratch / "go2"], environment: Self.idle)
        try process.waitForOutput("first")
        let before = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd").count
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/task").count == 1)
        // It sleeps, and takes the order with its next allocation.
        let started = try command("start", "\(process.pid)", "-o", file)
        #expect(started.ending == .code(0), "\(started.stderr)")
        #expect(started.stderr.contains("recording begins when it does"))
        #expect(started.stderr.contains("recording process \(process.pid) into \(file)"))
        _ = try scratch.write("go1", "")
        try process.waitForOutput("second")
        #expect(try command("mark", "\(process.pid)", "later").ending == .code(0))
        let snapshot = try command("snapshot", "\(process.pid)", "-o", scratch / "now.tmalloc")
        #expect(snapshot.ending == .code(0), "\(snapshot.stderr)")
        #expect(try Profile.stats(of: scratch / "now.tmalloc").allocations == 30)
        #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd").count == before)
        let again = try command("start", "\(process.pid)", "-o", scratch / "again.tmalloc")
        #expect(again.ending == .code(2))
        #expect(again.stderr.contains("is being recorded already"))
        #expect(!FileManager.default.fileExists(atPath: scratch / "again.tmalloc"))
        _ = try scratch.write("go2", "")
        #expect(process.wait().ending == .code(0))
        try Profile.waitForEnd(of: file)
        let stats = try Profile.stats(of: file)
        #expect(stats.allocations == 30 && stats.currentBytes == 30 * 907)
        #expect(stats.lostEvents == 0)
    }

    @Test("A forked child of an idle program is started alone, then its parent")
    func forked() throws {
        let scratch = try Scratch()
        let process = try Subprocess([try Program("idle_fork.c").path, scratch / "go"], environment: Self.idle)
        try process.waitForOutput("forked")
        let child = try #require(process.stdoutSoFar.split(separator: " ").dropFirst().first.map(String.init))
        for (pid, name) in [(child, "child"), ("\(process.pid)", "parent")] {
            let outcome = try command("start", pid, "-o", scratch / name)
            #expect(outcome.ending == .code(0), "\(outcome.stderr)")
            #expect(!outcome.stderr.contains("not allocated"), "\(outcome.stderr)")
        }
        usleep(50_000)
        _ = try scratch.write("go", "")
        #expect(process.wait().ending == .code(0))
        for (name, size) in [("child", 500), ("parent", 300)] {
            try Profile.waitForEnd(of: scratch / name)
            let stats = try Profile.stats(of: scratch / name)
            #expect(stats.processes?.count == 1)
            #expect(stats.allocations > 0 && stats.bytesAllocated == stats.allocations * size)
            // The block that is older than the start.
            #expect(stats.unknownFrees == 1 && stats.frees == 0)
        }
    }

    @Test("Whatever is started is collected, one program after the other")
    func collected() throws {
        let scratch = try Scratch()
        for number in 1...8 {
            let (file, go) = (scratch / "\(number).tmalloc", "go\(number)")
            let process = try Subprocess([try Program("idle_fork.c").path, scratch / go], environment: Self.idle)
            try process.waitForOutput("forked")
            let started = try command("start", "\(process.pid)", "-o", file)
            #expect(started.ending == .code(0) && !started.stderr.contains("not allocated"), "\(started.stderr)")
            _ = try scratch.write(go, "")
            #expect(process.wait().ending == .code(0))
            try Profile.waitForEnd(of: file)
        }
    }

    @Test("What cannot be started is refused in a sentence, and no file is left")
    func refusals() throws {
        let scratch = try Scratch()
        let file = scratch / "none.tmalloc"
        func refusal(_ pid: String) throws -> String {
            let outcome = try command("start", pid, "-o", file)
            #expect(outcome.ending == .code(2), "\(outcome.stderr)")
            #expect(!FileManager.default.fileExists(atPath: file))
            return outcome.stderr
        }
        let plain = try Subprocess([try tool("sleep"), "60"], environment: baseEnvironment)
        defer {
            kill(plain.pid, SIGKILL)
            _ = plain.wait()
        }
        #expect(try refusal("\(plain.pid)").contains("does not wait to be started"))
        #expect(try refusal("999999999").contains("there is no process 999999999"))
        #expect(try refusal("0").contains("there is no process 0"))
    }

    @Test("A process of another user is refused", .enabled(if: geteuid() == 0))
    func otherUser() throws {
        let scratch = try Scratch()
        let command = [try tool("setpriv"), "--reuid=65534", "--clear-groups", try tool("sleep"), "60"]
        let process = try Subprocess(command, environment: baseEnvironment)
        defer {
            kill(process.pid, SIGKILL)
            _ = process.wait()
        }
        usleep(200_000)
        let outcome = try self.command("start", "\(process.pid)", "-o", scratch / "none.tmalloc")
        #expect(outcome.ending == .code(2))
        #expect(outcome.stderr.contains("belongs to another user"), "\(outcome.stderr)")
    }

    @Test("An idle program that ends leaves nothing behind")
    func leavesNothing() throws {
        func segments() throws -> Int { try String(contentsOfFile: "/proc/sysvipc/shm", encoding: .utf8).split(separator: "\n").count }
        let before = try segments()
        for _ in 0..<5 { #expect(try run([try Program("nothing.c").path], environment: Self.idle).ending == .code(0)) }
        // Others may come and go meanwhile.
        #expect(try segments() < before + 5)
    }
}
