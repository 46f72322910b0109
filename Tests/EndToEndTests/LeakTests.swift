// LeakTests.swift: leaks of real programs, found at their end and while they run.
import Foundation
import Testing

/// `leaks --format json`.
struct LeakList: Decodable {
    struct Amount: Decodable, Equatable {
        var bytes: Int
        var count: Int
    }
    struct Leak: Decodable {
        var kind: String
        var type: String?
        var instances: Int
        var total: Amount
        var path: [String]
        var traceback: [Report.Site]
    }
    struct Process: Decodable {
        var pid: Int32
        var leaked: Amount
        var pause: Double
        var leaks: [Leak]
        var warnings: [String]
    }
    var leaked: Amount
    var processes: [Process]

    /// Runs a program and looks at it when it ends.
    static func of(_ command: [String], options: [String] = []) throws -> (list: LeakList, outcome: Outcome) {
        let scratch = try Scratch()
        _ = Products.library
        let outcome = try run(
            [Products.command, "leaks", "--format", "json", "--top", "0", "-o", scratch / "leaks.json"] + options + ["--"] + command)
        let data = FileManager.default.contents(atPath: scratch / "leaks.json")
        guard let data else { throw HarnessError("no report: \(outcome.ending): \(outcome.stderr)") }
        return (try JSONDecoder().decode(LeakList.self, from: data), outcome)
    }
}

@Suite("Leaks")
struct LeakTests {
    @Test(
        "What a C program loses is found to the byte, in whichever way it ends",
        arguments: ["return", "exit", "_exit", "quick", "thread"])
    func endings(ending: String) throws {
        let (list, outcome) = try LeakList.of([try Program("leak_kinds.c").path, ending])
        let claimed = outcome.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect([list.leaked.count, list.leaked.bytes] == claimed)
        #expect(outcome.ending == .code(1))
        #expect(list.processes.first?.leaks.count == 5)
    }

    @Test("A lost list of 100,000 blocks is one leak")
    func deepList() throws {
        let (list, _) = try LeakList.of([try Program("leak_kinds.c").path, "return", "100000"])
        #expect(list.processes.first?.leaks.contains { $0.total.count == 100_000 && $0.kind == "root" } == true)
    }

    @Test("valgrind loses the same blocks")
    func valgrind() throws {
        let program = try Program("leak_kinds.c").path
        let outcome = try run([try tool("valgrind"), "--leak-check=full", program, "return"])
        func figures(_ kind: String) throws -> [Int] {
            let line = try #require(outcome.stderr.split(separator: "\n").first { $0.contains("\(kind) lost:") && $0.contains("blocks") })
            let words = line.replacing(",", with: "").split(separator: " ")
            return words.compactMap { Int($0) }
        }
        let sum = try zip(figures("definitely"), figures("indirectly")).map(+)
        let (list, _) = try LeakList.of([program, "return"])
        #expect(sum == [list.leaked.bytes, list.leaked.count])
    }

    /// Kind of cycle, type at its beginning, fields around it.
    private static let cycles: [(kind: String, path: [String])] = [
        ("array", ["Child.parent", "Parent.children", "[0]"]), ("classes", ["Left.right", "Right.left"]),
        ("dictionary", ["Catalog.entries", "[value", "Entry.catalog"]), ("set", ["Circle.members", "[key", "Member.circle"]),
        ("closure", ["Button.onTap"]), ("enum", ["Station.link.to", "Station.link.twice.0"]),
        ("existential", ["Filter.host", "Host.plugin"]), ("value", ["Canvas.shape.owner"]),
        ("generic", ["Box<Swift.Int>.back", "Holder.box"]), ("actor", ["Account.partner", "Account.partner"]),
        ("delegate", ["Controller.view", "View.delegate"]), ("three", ["Pang.next", "Ping.next", "Pong.next"]),
        // Then its own memory, or the closure that it runs.
        ("task", ["Poller.task", "Swift task", " "]),
    ]

    @Test(
        "Every kind of Swift retain cycle is found with the way around it",
        arguments: [["-Onone"], ["-O"], ["-O", "-static-stdlib"], ["-O", "-Xlinker", "-s"]])
    func cycles(flags: [String]) throws {
        let program = try Program("cycles.swift", flags: flags).path
        for (kind, path) in LeakTests.cycles {
            let (list, outcome) = try LeakList.of([program, kind])
            #expect(outcome.ending == .code(1), "\(flags) \(kind): \(outcome.stderr)")
            let leaks = list.processes.first?.leaks ?? []
            #expect(leaks.count == 1, "\(flags) \(kind): \(leaks.map { ($0.type, $0.path) })")
            let found = leaks.first { $0.kind == "cycle" }?.path ?? []
            #expect(found.count == path.count, "\(flags) \(kind): \(found)")
            for (step, name) in zip(found, path) { #expect(step.contains(name), "\(flags) \(kind): \(found)") }
        }
    }

    @Test("Weak and unowned references, what a sleeping task holds, and what a task holds that a timer knows are no leaks")
    func noLeaks() throws {
        for kind in ["weak", "sleeping"] {
            let (list, outcome) = try LeakList.of([try Program("cycles.swift", flags: ["-O"]).path, kind])
            #expect(list.leaked.count == 0, "\(kind): \(list.processes.first?.leaks.map { ($0.type, $0.path) } ?? [])")
            #expect(outcome.ending == .code(0))
        }
    }

    @Test("Suppressed leaks are not reported")
    func suppressions() throws {
        let scratch = try Scratch()
        let file = try scratch.write("known.supp", "# known\nleak:lose_\n")
        let (list, outcome) = try LeakList.of([try Program("leak_kinds.c").path], options: ["--suppressions", file])
        #expect(list.leaked.count == 0)
        #expect(outcome.ending == .code(0))
    }

    @Test("A running program is asked for its leaks, its types, and what keeps an object alive; it goes on")
    func running() throws {
        let scratch = try Scratch()
        let input = scratch / "input"
        mkfifo(input, 0o600)
        let writer = open(input, O_RDWR)
        defer { close(writer) }
        _ = Products.library
        let process = try Subprocess(
            [
                Products.command, "run", "-o", scratch / "out.tmalloc", "--", try Program("cycles.swift", flags: ["-O"]).path, "array",
                "weak", "wait",
            ],
            environment: baseEnvironment, stdin: input)
        try process.waitForOutput("made")
        let pid = try #require(try Self.child(of: process.pid))
        let leaks = try run([Products.command, "leaks", pid])
        #expect(leaks.ending == .code(1), "\(leaks.stderr)")
        #expect(leaks.stdout.contains("Child.parent → "), "\(leaks.stdout)")
        let heap = try run([Products.command, "heap", pid, "--type", "Owner"])
        #expect(heap.ending == .code(0), "\(heap.stderr)")
        #expect(heap.stdout.contains("strong="), "\(heap.stdout)")
        let types = try run([Products.command, "heap", pid, "--top", "0"])
        #expect(types.stdout.contains(".Parent"), "\(types.stdout)")
        let why = try run([Products.command, "why", pid, "--type", "Part"])
        #expect(why.stdout.contains("global variable of"), "\(why.stdout)")
        #expect(why.stdout.contains("part → "), "\(why.stdout)")
        #expect(try run([Products.command, "why", pid, "10"]).stderr.contains("no live block"))
        write(writer, "\n", 1)
        #expect(process.wait().ending == .code(0))
    }

    @Test("A program goes on when the command that looks at it is killed, and when the collector is")
    func killed() throws {
        let scratch = try Scratch()
        let input = scratch / "input"
        mkfifo(input, 0o600)
        let writer = open(input, O_RDWR)
        defer { close(writer) }
        _ = Products.library
        let program = try Program("leak_kinds.c").path
        let process = try Subprocess(
            [Products.command, "run", "-o", scratch / "out.tmalloc", "--", program, "wait", "1000000"], environment: baseEnvironment,
            stdin: input)
        try process.waitForOutput(" ")
        let pid = try #require(try Self.child(of: process.pid))
        for pause: UInt32 in [1_000, 5_000, 20_000, 60_000] {
            let asking = try Subprocess([Products.command, "leaks", pid], environment: baseEnvironment)
            usleep(pause)
            kill(asking.pid, SIGKILL)
            _ = asking.wait()
        }
        // In the middle of a freeze, perhaps.
        let asking = try Subprocess([Products.command, "leaks", pid], environment: baseEnvironment)
        usleep(20_000)
        kill(process.pid, SIGKILL)
        _ = process.wait()
        kill(asking.pid, SIGKILL)
        _ = asking.wait()
        // It waits for its input, and for nobody else.
        var state = ""
        for _ in 0..<200 where !state.hasPrefix("State:\tS") {
            usleep(10_000)
            let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
            state = status.split(separator: "\n").first { $0.hasPrefix("State") }.map(String.init) ?? ""
        }
        #expect(state.hasPrefix("State:\tS"), "\(state)")
        write(writer, "\n", 1)
        if let number = Int32(pid) { kill(number, SIGKILL) }
    }

    /// The process that `run` started.
    static func child(of pid: pid_t) throws -> String? {
        let text = try String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)
        return text.split(separator: " ").first.map(String.init)
    }
}
