// EnvironmentTests.swift: other allocators, confined programs, odd paths, missing libraries, little room.
import Foundation
import Glibc
import Testing

@Suite("Environments")
struct EnvironmentTests {
    static let allocators = ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"]

    @Test("Programs that run on another allocator are counted", arguments: allocators, [false, true])
    func otherAllocator(name: String, linked: Bool) throws {
        let library = try systemLibrary(name)
        let program = try Program("allocating.c", flags: linked ? ["-Wl,--no-as-needed", library] : [])
        let profile = try Profile([program.path], environment: linked ? [:] : ["LD_PRELOAD": library])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        #expect(try profile.stats().unknownFrees == 0)
    }

    @Test("A program that gives up descriptors and rights is recorded on", arguments: ["closefrom", "no files", "undumpable", "seccomp"])
    func confined(way: String) throws {
        try expectRecordedOn([way])
    }

    @Test("A program that changes its root or its user is recorded on", .enabled(if: geteuid() == 0), arguments: ["chroot", "setuid"])
    func confinedByRoot(way: String) throws {
        let scratch = try Scratch()
        try expectRecordedOn([way, scratch.path])
    }

    private func expectRecordedOn(_ arguments: [String]) throws {
        let profile = try Profile([try Program("confined.c").path] + arguments, limit: 60)
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        #expect(try profile.stats().lostEvents == 0)
    }

    @Test("Paths with spaces and colons, and what LD_PRELOAD and LD_LIBRARY_PATH held before, are kept")
    func oddPaths() throws {
        let scratch = try Scratch()
        let odd = scratch / "a directory: with spaces"
        try FileManager.default.createDirectory(atPath: odd, withIntermediateDirectories: false)
        let command = odd + "/tracemalloc"
        try FileManager.default.copyItem(atPath: Products.command, toPath: command)
        let library = URL(fileURLWithPath: Products.library).resolvingSymlinksInPath().path
        try FileManager.default.copyItem(atPath: library, toPath: odd + "/libtracemalloc.so")
        let preload = try systemLibrary("libjemalloc.so.2")
        let file = odd + "/out file.tmalloc"
        let outcome = try run(
            [command, "run", "-o", file, "--", try tool("sh"), "-c", "echo \"$LD_LIBRARY_PATH\"; grep -c jemalloc /proc/self/maps"],
            environment: ["LD_PRELOAD": preload, "LD_LIBRARY_PATH": "/nonexistent:/tmp"])
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        let lines = outcome.stdout.split(separator: "\n")
        #expect(lines.first == "/nonexistent:/tmp")
        #expect(lines.last.map { $0 != "0" } == true)
        #expect(try Profile.stats(of: file).allocations > 0)
    }

    @Test("Without libunwind a program is profiled all the same, and that is said once")
    func withoutLibunwind() throws {
        let scratch = try Scratch()
        // Files of its names that are no libraries: the loader finds them first, and fails.
        for name in ["libunwind.so.8", "libunwind-x86_64.so.8"] { _ = try scratch.write(name, "") }
        let profile = try Profile([try Program("cxx_sites.cpp").path], environment: ["LD_LIBRARY_PATH": scratch.path])
        #expect(profile.outcome.ending == .code(0))
        let lines = profile.outcome.stderr.split(separator: "\n").filter { $0.contains("libunwind") }
        #expect(lines.count == 1, "\(lines)")
        try expectClaims(of: profile)
    }

    @Test("A program under tracemalloc under tracemalloc is recorded once", .timeLimit(.minutes(1)))
    func nested() throws {
        let scratch = try Scratch()
        let program = try Program("endings.c").path
        let inner = scratch / "inner.tmalloc"
        let profile = try Profile([Products.command, "run", "-o", inner, "--", program, "return"])
        #expect(profile.outcome.ending == .code(7), "\(profile.outcome.stderr)")
        let outer = try profile.stats().processes?.filter { $0.command.first == program }.map(\.allocations) ?? []
        let recorded = try outer + (Profile.stats(of: inner).processes?.map(\.allocations) ?? [])
        #expect(recorded.filter { $0 == 1000 }.count == 1, "\(recorded)")
    }

    @Test("Nothing stays behind in shared memory")
    func nothingStaysBehind() throws {
        let scratch = try Scratch()
        let program = try Program("endings.c").path
        for end in ["return", "SIGKILL"] {
            _ = try Profile([program, end], environment: ["XDG_RUNTIME_DIR": scratch.path])
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == [])
        }
    }

    static let canMount = (try? run([tool("unshare"), "-m", "mount", "-t", "tmpfs", "none", "/mnt"]).ending) == .code(0)

    @Test(
        "With little or no room for the recording the program is unharmed, and what is missing is said", .enabled(if: canMount),
        arguments: ["16k", "256k", "1m", "4m", "64m"])
    func littleRoom(size: String) throws {
        let room = try Scratch()
        let scratch = try Scratch()
        let file = scratch / "out.tmalloc"
        let program = try Program("confined.c").path
        let script = "mount -t tmpfs -o size=\(size) none '\(room.path)' && XDG_RUNTIME_DIR='\(room.path)' exec \"$@\""
        let outcome = try run(
            [tool("unshare"), "-m", tool("sh"), "-c", script, "sh", Products.command, "run", "-o", file, "--", program, "as ever"],
            limit: 60)
        if outcome.ending == .code(3) {
            #expect(outcome.stdout.isEmpty, "the program was not started")
            expectOneSentence(outcome.stderr, about: room.path)
        } else {
            #expect(outcome.ending == .code(0), "\(outcome.stderr)")
            #expect(try outcome.stdout == run([program, "as ever"]).stdout)
            let stats = try Profile.stats(of: file)
            #expect(stats.allocations == 300_200 || (stats.lostEvents > 0 && outcome.stderr.contains("lost")), "\(outcome.stderr)")
        }
    }

    @Test("A full disk is said, the program is unharmed, and nothing hangs", .enabled(if: canMount))
    func fullDisk() throws {
        let room = try Scratch()
        let program = try Program("cxx_sites.cpp").path
        let script = "mount -t tmpfs -o size=16k none '\(room.path)' && exec \"$@\""
        let outcome = try run(
            [tool("unshare"), "-m", tool("sh"), "-c", script, "sh", Products.command, "run", "-o", room / "out.tmalloc", "--", program],
            limit: 60)
        if outcome.stdout.isEmpty {
            #expect([.code(2), .code(3)].contains(outcome.ending), "\(outcome.ending)")
        } else {
            #expect(try outcome.stdout == run([program]).stdout)
        }
        #expect(outcome.stderr.contains("out.tmalloc"), "\(outcome.stderr)")
    }
}

/// Tests that take times. One after another, and with generous bounds: other tests run beside them.
@Suite("Costs", .serialized)
struct CostTests {
    @Test("A throw costs the program at most 20 % more")
    func throwing() throws {
        let program = try Program("throw_cost.cpp", flags: ["-O2"]).path
        func nanoseconds(_ outcome: Outcome) throws -> Double {
            try #require(outcome.stdout.split(separator: " ").last.flatMap { Double($0.dropLast()) })
        }
        // By turns, and the best of each: other work on the machine only makes runs slower. It is waited for a better moment.
        var (bare, traced) = (Double.infinity, Double.infinity)
        for round in 0..<25 where round < 3 || traced >= bare * 1.2 {
            bare = min(bare, try nanoseconds(run([program])))
            traced = min(traced, try nanoseconds(Profile([program]).outcome))
        }
        #expect(traced < bare * 1.2, "\(bare) ns, \(traced) ns")
    }

    @Test("A traced program runs at most 30 times as long as it would, even when it does nothing but allocate")
    func bounded() throws {
        let program = try Program("confined.c").path
        var (bare, traced) = (Double.infinity, Double.infinity)
        for round in 0..<10 where round == 0 || traced >= bare * 30 + 3 {
            bare = min(bare, try run([program, "as ever"]).seconds)
            traced = min(traced, try Profile([program, "as ever"]).outcome.seconds)
        }
        #expect(traced < bare * 30 + 3, "\(bare) s, \(traced) s")
    }
}
