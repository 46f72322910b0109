// KillTests.swift: programs and collectors that are killed or stopped at random moments; tools/kills does it a thousand times.
import Foundation
import Glibc
import Testing

/// What `progress.c` has written down: how many calls each of its threads has made.
private final class Progress {
    let file: String
    let threads: Int
    private let words: UnsafeMutablePointer<UInt64>
    private static let size = 16 + 8 * 64

    init(in scratch: Scratch, threads: Int) throws {
        file = scratch / "progress"
        self.threads = threads
        let descriptor = open(file, O_RDWR | O_CREAT, 0o600)
        guard descriptor >= 0, ftruncate(descriptor, Self.size) == 0 else { throw HarnessError("cannot make \(file)") }
        words = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)!.assumingMemoryBound(to: UInt64.self)
        close(descriptor)
    }

    deinit { munmap(words, Self.size) }

    func waitForStart() throws {
        for _ in 0..<60_000 where words[0] == 0 { usleep(500) }
        guard words[0] != 0 else { throw HarnessError("the program has not started") }
    }
    var line: UInt64 { words[1] }
    var allocated: Int { (0..<8).reduce(0) { $0 + Int(words[2 + 8 * $1]) } }
    var freed: Int { (0..<8).reduce(0) { $0 + Int(words[3 + 8 * $1]) } }
}

/// What is in a small file of /proc. Plain calls: waiting for a process asks thousands of times.
private func words(of path: String, separator: UInt8) -> [String] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 8192)
    let length = read(file, &bytes, bytes.count)
    return bytes.prefix(max(length, 0)).split(separator: separator).map { String(decoding: $0, as: UTF8.self) }
}

private func numbers(in directory: String) -> [pid_t] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var numbers: [pid_t] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if let number = pid_t(name) { numbers.append(number) }
    }
    return numbers
}

/// The processes that `pid` started.
func children(of pid: pid_t) -> [pid_t] {
    numbers(in: "/proc/\(pid)/task").flatMap { task in
        words(of: "/proc/\(pid)/task/\(task)/children", separator: UInt8(ascii: " ")).compactMap { pid_t($0) }
    }
}

/// The collectors that libraries started for a file.
func collectors(of file: String) -> [pid_t] {
    numbers(in: "/proc").filter { pid in
        let command = words(of: "/proc/\(pid)/cmdline", separator: 0)
        return command.count > 1 && command[1] == "collect" && command.contains(file)
    }
}

/// Processes whose command line or environment names `text`: programs that are recorded into a file of this name, and collectors also
/// before their exec.
func processes(mentioning text: String) -> [pid_t] {
    numbers(in: "/proc").filter { pid in
        ["cmdline", "environ"].contains { name in
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/\(name)") else { return false }
            return String(decoding: data, as: UTF8.self).contains(text)
        }
    }
}

@Suite("Sudden ends", .serialized)
struct KillTests {
    private static let rounds = ProcessInfo.processInfo.environment["TRACEMALLOC_KILLS"].flatMap { Int($0) } ?? 25
    private static let limit = 60.0

    /// Allocations and releases at the program's line, according to the file; nil when it holds no process, or nothing yet.
    private func recorded(_ file: String, _ progress: Progress) throws -> (allocated: Int, freed: Int, bytes: Int)? {
        let stats = try run([Products.command, "stats", file])
        if stats.ending == .code(2), ["holds no process", "it holds no snapshot"].contains(where: stats.stderr.contains) { return nil }
        guard stats.ending == .code(0) else { throw HarnessError("\(file) does not open: \(stats.ending), \(stats.stderr)") }
        let question =
            "SELECT total(total_count), total(total_count - current_count), total(total_bytes) FROM sites "
            + "WHERE file LIKE '%/progress.c' AND line=\(progress.line)"
        let answer = try run([try tool("sqlite3"), file, question])
        let numbers = answer.stdout.split(separator: "|").compactMap { Double($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        guard numbers.count == 3 else { throw HarnessError("\(file) does not open: \(answer.stdout)\(answer.stderr)") }
        return (Int(numbers[0]), Int(numbers[1]), Int(numbers[2]))
    }

    private func seeded() -> SeededGenerator {
        let given = ProcessInfo.processInfo.environment["TRACEMALLOC_KILLS_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0 ... .max)
        print("seed \(seed), \(Self.rounds) rounds")
        return SeededGenerator(state: seed)
    }

    /// A runtime directory of its own, on a memory file system: other sessions of this machine do not matter.
    private func environment(_ runtime: Scratch) -> [String: String] {
        baseEnvironment.merging(["XDG_RUNTIME_DIR": runtime.path]) { $1 }
    }

    /// A file that holds as much as the program knows that it did, and at most one call of each thread more.
    private func expectWithinOneCall(_ file: String, _ progress: Progress, _ round: String) throws {
        guard let recorded = try recorded(file, progress) else {
            #expect(progress.allocated == 0, "\(round): nothing was recorded")
            return
        }
        let calls = (progress.allocated...progress.allocated + progress.threads)
        #expect(calls.contains(recorded.allocated), "\(round): \(recorded) of \(progress.allocated) allocations")
        #expect(recorded.bytes == recorded.allocated * 48, "\(round): \(recorded)")
        let releases = (progress.freed...progress.freed + progress.threads)
        #expect(releases.contains(recorded.freed), "\(round): \(recorded) of \(progress.freed) releases")
    }

    @Test("A program that is killed at any moment leaves a file that opens and lacks nothing")
    func programIsKilled() throws {
        var random = seeded()
        let program = try Program("progress.c")
        let runtime = try Scratch(under: "/dev/shm")
        var recordedSome = 0
        for round in 0..<Self.rounds {
            let scratch = try Scratch()
            let threads = Int.random(in: 1...4, using: &random)
            let progress = try Progress(in: scratch, threads: threads)
            let file = scratch / "out.tmalloc"
            let byHand = round % 3 == 0
            let arguments = [program.path, progress.file, "\(threads)", "0"]
            let process =
                try byHand
                ? Subprocess(
                    arguments,
                    environment: environment(runtime).merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
                : Subprocess([Products.command, "run", "-q", "-o", file, "--"] + arguments, environment: environment(runtime))
            // Also in the middle of starting up.
            let delay = UInt32.random(in: 0...150_000, using: &random)
            usleep(delay)
            var victim = byHand ? process.pid : 0
            for _ in 0..<60_000 where victim == 0 {
                victim = children(of: process.pid).first ?? 0
                usleep(500)
            }
            try #require(victim != 0, "round \(round): the program was not started")
            kill(victim, SIGKILL)
            let outcome = process.wait(limit: Self.limit)
            let name = "round \(round), \(byHand ? "by hand" : "run"), \(threads) threads, after \(delay) µs"
            #expect(outcome.ending == (byHand ? .signal(SIGKILL) : .code(128 + SIGKILL)), "\(name): \(outcome.stderr)")
            if byHand {
                // Before the library had started the collector nothing was recorded.
                for _ in 0..<600 where !processes(mentioning: file).isEmpty { usleep(50_000) }
                if !FileManager.default.fileExists(atPath: file) {
                    #expect(progress.allocated == 0, "\(name): no file")
                    continue
                }
            }
            try expectWithinOneCall(file, progress, name)
            if progress.allocated > 0 { recordedSome += 1 }
            if round % 100 == 99 { print("\(round + 1) kills") }
        }
        print("\(Self.rounds) kills, \(recordedSome) of them while the program was allocating")
        #expect(recordedSome > Self.rounds / 4)
        // What sessions left behind is removed by the next one; after ten seconds, where a program was killed between making the
        // session's directory and the lock in it.
        let last = [Products.command, "run", "-q", "--force", "-o", runtime / "last", "--", "/bin/true"]
        var left: [String] = []
        for attempt in 0..<30 where left != ["last"] {
            if attempt > 0 { usleep(500_000) }
            try run(last, environment: ["XDG_RUNTIME_DIR": runtime.path])
            left = try FileManager.default.contentsOfDirectory(atPath: runtime.path)
        }
        #expect(left == ["last"])
    }

    @Test("A collector that is killed at any moment takes nothing with it but later figures")
    func collectorIsKilled() throws {
        var random = seeded()
        let program = try Program("progress.c")
        let runtime = try Scratch(under: "/dev/shm")
        for round in 0..<max(Self.rounds / 4, 4) {
            let scratch = try Scratch()
            let progress = try Progress(in: scratch, threads: 2)
            let file = scratch / "out.tmalloc"
            let byHand = round % 2 == 0
            let arguments = [program.path, progress.file, "2", "50000"]
            let process =
                try byHand
                ? Subprocess(
                    arguments,
                    environment: environment(runtime).merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
                : Subprocess([Products.command, "run", "-q", "-o", file, "--"] + arguments, environment: environment(runtime))
            try progress.waitForStart()
            let delay = UInt32.random(in: 0...100_000, using: &random)
            usleep(delay)
            let name = "round \(round), \(byHand ? "by hand" : "run"), after \(delay) µs"
            for victim in byHand ? collectors(of: file) : [process.pid] { kill(victim, SIGKILL) }
            try process.waitForOutput("done", limit: Self.limit)
            let outcome = process.wait(limit: Self.limit)
            if byHand { #expect(outcome.ending == .code(5), "\(name): \(outcome.stderr)") }
            #expect(outcome.stdout == "done\n", "\(name)")
            #expect(progress.allocated == 100_000)
            for _ in 0..<600 where !collectors(of: file).isEmpty { usleep(50_000) }
            guard FileManager.default.fileExists(atPath: file), let recorded = try recorded(file, progress) else { continue }
            #expect(recorded.allocated <= progress.allocated && recorded.freed <= progress.freed, "\(name): \(recorded)")
        }
    }

    @Test("A collector that ends before it has served anything costs each program ten seconds, not each of its threads or calls")
    func collectorNeverServes() throws {
        let scratch = try Scratch()
        let progress = try Progress(in: scratch, threads: 6)
        let outcome = try run(
            [try Program("progress.c").path, progress.file, "6", "50000"],
            environment: [
                "LD_PRELOAD": Products.library, "TRACEMALLOC": scratch / "out.tmalloc", "TRACEMALLOC_COLLECTOR": try tool("true"),
            ], limit: Self.limit)
        #expect(outcome.ending == .code(5) && outcome.stdout == "done\n")
        #expect(outcome.seconds < 20)
        #expect(progress.allocated == 300_000)
        #expect(outcome.stderr == "tracemalloc: the collector is gone. The program goes on untraced.\n")
    }

    @Test("A collector that stands still for a while loses nothing, and the program waits for it")
    func collectorIsStopped() throws {
        var random = seeded()
        let program = try Program("progress.c")
        for _ in 0..<max(Self.rounds / 100, 2) {
            let scratch = try Scratch()
            let progress = try Progress(in: scratch, threads: 3)
            let file = scratch / "out.tmalloc"
            let process = try Subprocess(
                [program.path, progress.file, "3", "100000"],
                environment: baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": file]) { $1 })
            try progress.waitForStart()
            for _ in 0..<3 {
                for collector in collectors(of: file) {
                    kill(collector, SIGSTOP)
                    usleep(UInt32.random(in: 0...700_000, using: &random))
                    kill(collector, SIGCONT)
                }
                usleep(UInt32.random(in: 0...30_000, using: &random))
            }
            let outcome = process.wait(limit: Self.limit)
            #expect(outcome.ending == .code(5) && outcome.stdout == "done\n", "\(outcome.stderr)")
            try Profile.waitForEnd(of: file)
            let recorded = try recorded(file, progress)
            #expect(recorded?.allocated == 300_000 && recorded?.freed == progress.freed)
        }
    }
}

/// Numbers that repeat with the seed.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
