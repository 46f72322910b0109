// LeakFaultTests.swift: what stands in the way of a search for leaks: rights, debuggers, programs that end or become others, lies.
import Foundation
import Glibc
import Testing

@Suite("Leaks in spite of faults")
struct LeakFaultTests {
    @Test("Blocks that lie about being objects, about types and sizes are lost blocks and nothing else", arguments: 1...4)
    func lies(seed: Int) throws {
        let start = Date()
        let (list, outcome) = try LeakList.of([try Program("lying_objects.c").path, "\(seed * 1237)"])
        let claimed = outcome.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect([list.leaked.count, list.leaked.bytes] == claimed, "seed \(seed * 1237)")
        #expect(outcome.ending == .code(1))
        #expect(Date().timeIntervalSince(start) < 60)
    }

    static let canDropRights =
        getuid() == 0 && (try? run([tool("setpriv"), "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "true"]).ending) == .code(0)

    @Test("A program that may not be traced goes on, and the sentence says why nothing was found", .enabled(if: canDropRights))
    func noPermission() throws {
        _ = Products.library
        let outcome = try run(
            [
                try tool("setpriv"), "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", Products.command, "leaks", "--",
                try Program("confined.c").path, "undumpable",
            ], limit: 120)
        #expect(outcome.ending == .code(2))
        #expect(outcome.stderr.contains("no permission to trace it"), "\(outcome.stderr)")
        #expect(outcome.stdout.split(separator: "\n").count == 3, "\(outcome.stdout)")
    }

    @Test("While a debugger holds a program nothing is found, and the sentence names the debugger; afterwards something is")
    func debugger() throws {
        let scratch = try Scratch()
        let input = scratch / "input"
        mkfifo(input, 0o600)
        let writer = open(input, O_RDWR)
        defer { close(writer) }
        _ = Products.library
        let process = try Subprocess(
            [Products.command, "run", "--quiet", "-o", scratch / "out.tmalloc", "--", try Program("leak_kinds.c").path, "wait"],
            environment: baseEnvironment, stdin: input)
        try process.waitForOutput(" ")
        let pid = try #require(try LeakTests.child(of: process.pid))
        let before = try run([Products.command, "leaks", pid])
        #expect(before.ending == .code(1), "\(before.stderr)")
        let arguments = [
            try tool("gdb"), "-nx", "-batch", "-p", pid, "-ex", "set debuginfod enabled off", "-ex",
            "shell \(Products.command) leaks \(pid); echo leaks ends with $?", "-ex", "detach",
        ]
        let gdb = try run(arguments, environment: ["HOME": scratch.path], limit: 120)
        #expect((gdb.stdout + gdb.stderr).contains("traces it already"), "\(gdb.stdout)\(gdb.stderr)")
        #expect(gdb.stdout.contains("leaks ends with 2"), "\(gdb.stdout)\(gdb.stderr)")
        // The second line says how long it stood still.
        let after = try run([Products.command, "leaks", pid])
        #expect(after.stdout.split(separator: "\n").dropFirst(2) == before.stdout.split(separator: "\n").dropFirst(2))
        write(writer, "\n", 1)
        #expect(process.wait(limit: 60).ending == .code(3))
    }

    @Test("A program that becomes another one again and again while it is asked goes on; each answer is a report or a sentence")
    func becoming() throws {
        let scratch = try Scratch()
        _ = Products.library
        let process = try Subprocess(
            [Products.command, "run", "--quiet", "-o", scratch / "out.tmalloc", "--", try Program("becoming.c").path, "400"],
            environment: baseEnvironment)
        var pid: String?
        let limit = Date() + 30
        while pid == nil, Date() < limit { pid = try LeakTests.child(of: process.pid) }
        var answers = 0
        while let pid, kill(process.pid, 0) == 0, (try? LeakTests.child(of: process.pid)) == pid, Date() < limit {
            let outcome = try run([Products.command, "leaks", pid])
            let isReport = [.code(0), .code(1)].contains(outcome.ending) && outcome.stdout.hasPrefix("process \(pid)")
            let isSentence = outcome.ending == .code(2) && outcome.stderr.hasPrefix("tracemalloc: ")
            #expect(isReport || isSentence, "\(outcome)")
            answers += 1
        }
        #expect(answers > 0)
        #expect(process.wait(limit: 60).ending == .code(0))
    }

    @Test("A program that is killed while it is looked at is a sentence, and no answer is waited for")
    func gone() throws {
        _ = Products.library
        let program = try Program("leak_kinds.c").path
        for pause: UInt32 in [2_000, 10_000, 30_000] {
            let scratch = try Scratch()
            let input = scratch / "input"
            mkfifo(input, 0o600)
            let writer = open(input, O_RDWR)
            defer { close(writer) }
            let process = try Subprocess(
                [Products.command, "run", "--quiet", "-o", scratch / "out.tmalloc", "--", program, "wait", "200000"],
                environment: baseEnvironment, stdin: input)
            try process.waitForOutput(" ")
            let pid = try #require(try LeakTests.child(of: process.pid))
            let asking = try Subprocess([Products.command, "leaks", pid], environment: baseEnvironment)
            usleep(pause)
            if let number = Int32(pid) { kill(number, SIGKILL) }
            let outcome = asking.wait(limit: 60)
            #expect([.code(0), .code(1), .code(2)].contains(outcome.ending), "\(outcome)")
            if outcome.ending == .code(2) { #expect(outcome.stderr.hasPrefix("tracemalloc: "), "\(outcome.stderr)") }
            _ = process.wait(limit: 60)
        }
        let nobody = try run([Products.command, "leaks", "4194000"])
        #expect(nobody.ending == .code(2) && nobody.stderr.hasPrefix("tracemalloc: "), "\(nobody.stderr)")
    }
}
