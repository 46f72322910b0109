// FaultTests.swift: every system call that the library makes in the program fails once; the program must not notice.
import Foundation
import Glibc
import Testing

@Suite("Faults")
struct FaultTests {
    /// strace counts calls by name and lets the n-th one fail.
    private static let canTrace = (try? run([tool("strace"), "-o", "/dev/null", "/bin/true"]).ending) == .code(0)

    private struct Fault: CustomStringConvertible {
        var call: String
        var number: Int
        var error: String
        var description: String { "\(call) number \(number) fails with \(error)" }
    }

    /// Calls that no small program makes itself, and those of others that our arguments tell from the loader's and libc's.
    private static let own = [
        "ftruncate": "ENOSPC", "fallocate": "ENOSPC", "renameat": "EACCES", "mkdirat": "EACCES", "membarrier": "EPERM", "madvise": "EINVAL",
        "openat": "EMFILE", "mmap": "ENOMEM", "readlinkat": "EACCES", "faccessat": "EACCES", "clone": "EAGAIN", "wait4": "ECHILD",
        "getppid": "EPERM", "prlimit64": "EPERM",
    ]
    private static let marks = [
        "openat": ["new.", "/proc/self/", "clocksource"], "mmap": ["MAP_NORESERVE"], "prlimit64": ["RLIMIT_FSIZE"], "madvise": ["MADV_"],
    ]

    private func environment(_ file: String, _ runtime: Scratch) -> [String: String] {
        ["TRACEMALLOC": file, "XDG_RUNTIME_DIR": runtime.path]
    }

    /// The library is the program's, not strace's.
    private func traced(_ options: [String], _ program: [String]) throws -> [String] {
        [try tool("strace")] + options + ["-E", "LD_PRELOAD=\(Products.library)"] + program
    }

    @Test("A system call of the library that fails costs the recording at most", .enabled(if: canTrace))
    func everyCall() throws {
        let program = [try Program("endings.c").path, "return"]
        let plain = try run(program)
        let runtime = try Scratch(under: "/dev/shm")
        let scratch = try Scratch()
        let log = scratch / "log"
        let names = Self.own.keys.sorted()
        try run(
            try traced(["-o", log, "-s", "200", "-e", "trace=" + names.joined(separator: ",")], program),
            environment: environment(scratch / "first.tmalloc", runtime))
        try Profile.waitForEnd(of: scratch / "first.tmalloc")

        var counts: [String: Int] = [:]
        var faults: [Fault] = []
        for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
            guard let call = names.first(where: { line.hasPrefix($0 + "(") }) else { continue }
            counts[call, default: 0] += 1
            let isOurs = Self.marks[call].map { $0.contains { line.contains($0) } } ?? true
            if isOurs { faults.append(Fault(call: call, number: counts[call]!, error: Self.own[call]!)) }
        }
        print("\(faults.count) system calls of the library")
        #expect(faults.count > 20)

        for (index, fault) in faults.enumerated() {
            print(fault)
            let file = scratch / "\(index).tmalloc"
            let outcome = try run(
                try traced(["-o", "/dev/null", "-e", "inject=\(fault.call):error=\(fault.error):when=\(fault.number)"], program),
                environment: environment(file, runtime), limit: 40)
            #expect(outcome.ending == plain.ending, "\(fault): \(outcome.stderr)")
            #expect(outcome.stdout == plain.stdout, "\(fault)")
            for line in outcome.stderr.split(separator: "\n") { #expect(line.hasPrefix("tracemalloc: "), "\(fault): \(line)") }
            // Not recorded at all, and that is said, or recorded as ever.
            if outcome.stderr.contains("untraced") { continue }
            try Profile.waitForEnd(of: file)
            #expect(try Profile.stats(of: file).allocations >= 1000, "\(fault)")
        }
    }

    /// What the command does around a run. Its own memory comes from mmap as well: without that nothing can go on, so only
    /// mappings of recordings are among these.
    private static let commands = [
        "openat": "EMFILE", "ftruncate": "ENOSPC", "fallocate": "ENOSPC", "pwrite64": "ENOSPC", "fdatasync": "EIO",
        "rename": "EACCES", "mkdir": "ENOSPC", "flock": "ENOLCK", "mknodat": "ENOSPC",
        "mmap": "ENOMEM",
        "membarrier": "EPERM", "pidfd_open": "EMFILE", "epoll_create1": "EMFILE", "eventfd2": "EMFILE", "unlink": "EACCES",
    ]

    @Test("A program that begins tells the collector at once", .enabled(if: canTrace))
    func bell() throws {
        let scratch = try Scratch()
        let log = scratch / "log"
        let strace = [try tool("strace"), "-f", "-o", log, "-e", "trace=renameat,write"]
        let outcome = try run(
            strace + [Products.command, "run", "-q", "-o", scratch / "out.tmalloc", "--", try Program("endings.c").path, "return"])
        #expect(outcome.ending == .code(7), "\(outcome.stderr)")
        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
        let renamed = try #require(lines.firstIndex { $0.contains("renameat(") && $0.contains(".recording") })
        let thread = try #require(lines[renamed].split(separator: " ").first)
        let next = lines[(renamed + 1)...].first { $0.split(separator: " ").first == thread && $0.contains(" write(") }
        #expect(next?.contains(#", "\0", 1"#) == true, "\(next ?? "nothing")")
    }

    @Test(
        "A system call of the command or its collector that fails is said, or costs nothing; the program is unharmed",
        .enabled(if: canTrace))
    func everyCallOfTheCommand() throws {
        let program = [try Program("endings.c").path, "return"]
        let plain = try run(program)
        let (runtime, scratch) = (try Scratch(under: "/dev/shm"), try Scratch())
        let file = scratch / "out.tmalloc"
        // Threads of the command, but not the program that it starts.
        let strace = [try tool("strace"), "-f", "-b", "execve", "-o"]
        let command = [Products.command, "run", "-q", "--force", "-o", file, "--"] + program
        let names = Self.commands.keys.sorted()
        let log = scratch / "log"
        try run(
            strace + [log, "-s", "200", "-e", "trace=" + names.joined(separator: ",")] + command,
            environment: ["XDG_RUNTIME_DIR": runtime.path])

        // Calls are counted for each thread on its own; the n-th of any thread fails.
        var counts: [String: Int] = [:]
        var faults: Set<String> = []
        for line in try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let call = names.first(where: { words[1].drop { $0 == " " }.hasPrefix($0 + "(") }) else { continue }
            counts["\(words[0]) \(call)", default: 0] += 1
            let isOurs = line.contains(runtime.path) || line.contains("out.tmalloc") || !["openat", "mmap"].contains(call)
            let isShared = call == "mmap" && line.contains("MAP_SHARED")
            if isOurs || isShared { faults.insert("\(call):error=\(Self.commands[call]!):when=\(counts["\(words[0]) \(call)"]!)") }
        }
        print("\(faults.count) faults of the command")
        #expect(faults.count > 20)

        for fault in faults.sorted() {
            unlink(file)
            let outcome = try run(
                strace + ["/dev/null", "-e", "inject=" + fault] + command, environment: ["XDG_RUNTIME_DIR": runtime.path], limit: 40)
            // The n-th call of another thread may be one of the loader's, before there is any command.
            if outcome.ending == .code(127), outcome.stderr.contains("error while loading shared libraries: ") { continue }
            if [.code(2), .code(3)].contains(outcome.ending) {
                #expect(outcome.stdout.isEmpty, "\(fault): the program was not started")
                #expect(outcome.stderr.hasPrefix("tracemalloc: "), "\(fault): \(outcome.stderr)")
                continue
            }
            #expect(outcome.ending == plain.ending && outcome.stdout == plain.stdout, "\(fault): \(outcome.ending) \(outcome.stderr)")
            for line in outcome.stderr.split(separator: "\n") { #expect(line.hasPrefix("tracemalloc: "), "\(fault): \(line)") }
            if let reason = outcome.stderr.range(of: "nothing was recorded: ") {
                // What the collector could not do with it.
                let words = outcome.stderr[reason.upperBound...]
                #expect(words.hasPrefix("out of memory") || words.contains(".recording"), "\(fault): \(outcome.stderr)")
            } else if outcome.stderr.contains("wrote ") {
                #expect(try Profile.stats(of: file).allocations == 1000, "\(fault)")
            } else {
                #expect(outcome.stderr.contains("out.tmalloc"), "\(fault): \(outcome.stderr)")
                #expect(outcome.stderr.contains("cannot be written"), "\(fault): \(outcome.stderr)")
            }
        }
    }

    @Test("Under a limit on the size of files nothing is recorded, and that is said")
    func fileSizeLimit() throws {
        let program = [try Program("endings.c").path, "return"]
        let plain = try run(program)
        let scratch = try Scratch()
        let limited = [try tool("bash"), "-c", "ulimit -f 1000; exec \"$@\"", "bash"]
        let byHand = try run(
            limited + [try tool("env"), "LD_PRELOAD=\(Products.library)"] + program, environment: ["TRACEMALLOC": scratch / "a.tmalloc"])
        #expect(byHand.ending == plain.ending && byHand.stdout == plain.stdout)
        #expect(byHand.stderr.contains("ulimit -f"), "\(byHand.stderr)")
        let refused = try run(limited + [Products.command, "run", "-o", scratch / "b.tmalloc", "--"] + program)
        #expect(refused.ending == .code(3) && refused.stderr.contains("ulimit -f"), "\(refused.stderr)")
        #expect(refused.stdout.isEmpty && !FileManager.default.fileExists(atPath: scratch / "b.tmalloc"))
    }
}
