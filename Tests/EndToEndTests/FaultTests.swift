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
