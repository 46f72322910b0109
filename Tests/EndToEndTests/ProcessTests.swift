// ProcessTests.swift: children, daemons, sudden ends, and the death of the collector.
import Foundation
import Glibc
import Testing

@Suite("Processes")
struct ProcessTests {
    @Test("fork in a threaded program hangs in 0 of 40, and each child is a process of its own in the file")
    func forkWhileThreadsAllocate() throws {
        let profile = try Profile([try Program("fork_threads.c").path, "40"], limit: 60)
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stdout)\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        let processes = try #require(try profile.stats().processes)
        #expect(processes.count == 41)
        for child in processes.dropFirst() {
            #expect(child.parent == processes[0].pid)
            // 20 of its own, 10 of its thread's, and at most the thread itself.
            #expect((30...31).contains(child.allocations))
            #expect(child.lostEvents == 0)
        }
    }

    @Test("Children are not followed when that is not wanted")
    func childrenAreLeftAlone() throws {
        let profile = try Profile([try Program("spawning.c").path], options: ["--no-follow-children"])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        #expect(try profile.stats().processes?.count == 1)
    }

    @Test("A daemon that outlives its parents is in the file")
    func daemon() throws {
        let profile = try Profile([try Program("daemonizing.c").path])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try Profile.waitForEnd(of: profile.file)
        let processes = try #require(try profile.stats().processes)
        #expect(processes.count == 3)
        #expect(processes.contains { $0.allocations == 77 && $0.bytesAllocated == 77 * 603 })
    }

    @Test("exec has the image before it and the one after it in the file, both whole")
    func exec() throws {
        let processes = try #require(try Profile([try Program("endings.c").path, "execve"]).stats().processes)
        #expect(processes.map(\.allocations) == [1000, 700])
        #expect(processes[0].pid == processes[1].pid)
    }

    @Test("When the collector is killed the program goes on, undisturbed", arguments: [false, true])
    func collectorIsKilled(byHand: Bool) throws {
        let scratch = try Scratch()
        let program = try Program("enduring.c").path
        let file = scratch / "out.tmalloc"
        var process: Subprocess
        if byHand {
            process = try Subprocess(
                [program, "100000", scratch / "enough"],
                environment: baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
        } else {
            process = try Subprocess(
                [Products.command, "run", "-o", file, "--", program, "100000", scratch / "enough"], environment: baseEnvironment)
        }
        try process.waitForOutput("started")
        // A checkpoint is written every few seconds.
        for _ in 0..<300 where (try? Profile.stats(of: file)) == nil { usleep(100_000) }
        let collectors = processes(mentioning: file).filter { !runs(program, $0) }
        #expect(!collectors.isEmpty)
        for collector in collectors { kill(collector, SIGKILL) }
        // It goes on for a while, and ends when it wants.
        usleep(500_000)
        _ = try scratch.write("enough", "")
        try process.waitForOutput("done", limit: 100)
        let outcome = process.wait(limit: 100)
        if byHand { #expect(outcome.ending == .code(3)) }
        // What was written until then can be read.
        let stats = try Profile.stats(of: file)
        #expect(stats.allocations >= 5000)
    }

    @Test("Ctrl-C goes to the program, and the recording survives")
    func interrupt() throws {
        let scratch = try Scratch()
        let file = scratch / "out.tmalloc"
        let process = try Subprocess(
            [Products.command, "run", "-o", file, "--", try Program("enduring.c").path, "20000"], environment: baseEnvironment)
        try process.waitForOutput("started")
        kill(-process.pid, SIGINT)
        #expect(process.wait(limit: 20).ending == .code(128 + SIGINT))
        #expect(try Profile.stats(of: file).allocations >= 5000)
    }

    @Test("The program's input, directory and arguments arrive unchanged")
    func inputArrives() throws {
        let scratch = try Scratch()
        let input = try scratch.write("input", "one\ntwo\n")
        let script = [try tool("sh"), "-c", "cat; pwd; echo \"$@\"", "name", "--top", "a  b", ""]
        let profile = try Profile(script, directory: scratch.path, stdin: input)
        #expect(profile.outcome.stdout == "one\ntwo\n\(scratch.path)\n--top a  b \n")
    }

    private func runs(_ program: String, _ pid: pid_t) -> Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")) == program
    }
}
