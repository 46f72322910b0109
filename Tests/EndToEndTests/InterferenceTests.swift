// InterferenceTests.swift: what others do to a traced process: debuggers, clocks, namespaces, memory limits.
import Foundation
import Glibc
import Testing

@Suite("Interference")
struct InterferenceTests {
    @Test("A debugger attaches, stops the program at breakpoints and detaches: nothing is lost")
    func debugger() throws {
        let scratch = try Scratch()
        let file = scratch / "out.tmalloc"
        _ = Products.library
        let process = try Subprocess(
            [Products.command, "run", "-o", file, "--", try Program("debugged.c").path], environment: baseEnvironment)
        try process.waitForOutput("ready")
        let pid = try #require(process.stdoutSoFar.split(separator: " ").first.map(String.init))
        var commands = ["set debuginfod enabled off", "break landmark"]
        commands += Array(repeating: "continue", count: 3) + ["delete", "detach"]
        let gdb = try run(
            [try tool("gdb"), "-nx", "-batch", "-p", pid] + commands.flatMap { ["-ex", $0] }, environment: ["HOME": scratch.path], limit: 60
        )
        let outcome = process.wait(limit: 60)
        #expect(gdb.stdout.components(separatedBy: "hit Breakpoint 1, landmark").count == 4, "\(gdb.stdout)\(gdb.stderr)")
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        try expectClaims(in: outcome.stdout, file: file)
        #expect(try Profile.stats(of: file).lostEvents == 0)
    }

    @Test("Steps of the wall clock, in the program and in the collector, change no figure", arguments: ["stopping.c", "hand_over.c"])
    func wallClock(source: String) throws {
        let clock = try Program("stepping_clock.c", flags: ["-shared", "-fPIC"]).path
        let program = try Program(source).path
        // Preloaded into the command as well.
        let profile = try Profile([program], options: ["--mark-every", "20ms"], environment: ["LD_PRELOAD": clock])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        let stats = try profile.stats()
        #expect(stats.unknownFrees == 0)
        #expect(stats.lostEvents == 0)
        #expect(stats.duration > 0 && stats.duration < 100)
    }

    static let canChangeClock =
        (try? run([tool("unshare"), "-T", "--fork", "--boottime", "1000", "true"]).ending) == .code(0)

    @Test(
        "A program in a time namespace, whose clocks are others, is recorded whole and in its place", .enabled(if: canChangeClock),
        arguments: ["1000000", "-50"])
    func timeNamespace(offset: String) throws {
        let program = try Program("hand_over.c").path
        let profile = try Profile(
            [try tool("unshare"), "-T", "--fork", "--monotonic", offset, "--boottime", offset, program, "300000"])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        let processes = try #require(try profile.stats().processes)
        #expect(processes.map { ($0.command[0] as NSString).lastPathComponent } == ["unshare", (program as NSString).lastPathComponent])
        #expect(processes.allSatisfy { $0.duration > 0 && $0.duration < 100 && $0.lostEvents == 0 })
    }

    @Test(
        "A program that has a number of its own (a PID namespace, as in containers and sandboxes) is recorded whole",
        .enabled(if: canChangeClock))
    func pidNamespace() throws {
        let unshare = [try tool("unshare"), "--pid", "--fork"]
        for program in [try Program("many_threads.c").path, try Program("hand_over.c").path] {
            let profile = try Profile(unshare + ["--mount-proc", program])
            #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
            try expectClaims(of: profile)
            let processes = try #require(try profile.stats().processes)
            #expect(processes.count == 2)
            #expect(processes.last?.parent == processes.first?.pid)
            #expect(processes.allSatisfy { $0.lostEvents == 0 && $0.pid > 1 })
        }
        // Both are number 1 of their own world.
        let script = "'\(unshare[0])' --pid --fork \"$0\" 300000 & '\(unshare[0])' --pid --fork \"$0\" 300000; wait"
        let profile = try Profile([try tool("sh"), "-c", script, try Program("hand_over.c").path])
        let processes = try #require(try profile.stats().processes)
        #expect(processes.filter { $0.bytesAllocated > 600_000 * 1733 && $0.lostEvents == 0 }.count == 2)
    }

    @Test("What a program had allocated when the kernel killed it for want of memory is in the file", .enabled(if: MemoryGroup.canBeMade))
    func outOfMemory() throws {
        let scratch = try Scratch()
        let group = try MemoryGroup(megabytes: 48)
        let program = try Program("outgrowing.c").path
        let script = "echo $$ > '\(group.processes)' && exec \"$@\""
        let profile = try Profile([try tool("sh"), "-c", script, "sh", program, scratch / "count"])
        #expect(profile.outcome.ending == .code(128 + SIGKILL), "\(profile.outcome.stderr)")
        let data = try #require(FileManager.default.contents(atPath: scratch / "count"))
        let count = data.withUnsafeBytes { Int($0.loadUnaligned(as: Int64.self)) }
        #expect(count > 50)
        let last = try #require(try profile.stats().processes?.last)
        #expect(last.exit.signal == SIGKILL)
        #expect((count...count + 1).contains(last.allocations))
        #expect(last.bytesAllocated == last.allocations * 262_144)
        #expect(last.lostEvents == 0)
    }
}

/// A control group that limits memory; removed with its last reference, when its processes have ended.
private final class MemoryGroup {
    private let path: String
    var processes: String { path + "/cgroup.procs" }

    static let canBeMade = (try? MemoryGroup(megabytes: 48)) != nil

    init(megabytes: Int) throws {
        // Version 1, then version 2.
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let path = "\(root)/tracemalloc-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            guard mkdir(path, 0o755) == 0 else { continue }
            if (try? "\(megabytes << 20)".write(toFile: "\(path)/\(limit)", atomically: false, encoding: .utf8)) != nil {
                self.path = path
                return
            }
            rmdir(path)
        }
        throw HarnessError("no control group for memory can be made")
    }

    deinit { rmdir(path) }
}
