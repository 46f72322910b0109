// ByHandTests.swift: LD_PRELOAD without the command, and what the library itself is made of.
import Foundation
import Testing

@Suite("By hand")
struct ByHandTests {
    @Test("LD_PRELOAD and TRACEMALLOC are enough: the library starts the collector", arguments: ["return", "_exit", "SIGKILL"])
    func byHand(end: String) throws {
        let program = try Program("endings.c").path
        let profile = try Profile(byHand: [program, end])
        #expect(profile.outcome.ending == (end == "SIGKILL" ? .signal(9) : .code(7)))
        #expect(try profile.outcome.stdout == run([program, end]).stdout)
        #expect(profile.outcome.stderr.isEmpty, "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        #expect(try profile.stats().allocations == 1000)
    }

    @Test("%p in the name is the process's id")
    func pidInName() throws {
        let scratch = try Scratch()
        let process = try Subprocess(
            [try Program("endings.c").path, "return"],
            environment: baseEnvironment.merging(["LD_PRELOAD": Products.library, "TRACEMALLOC": scratch / "a-%p-b.tmalloc"]) { $1 })
        #expect(process.wait().ending == .code(7))
        try Profile.waitForEnd(of: scratch / "a-\(process.pid)-b.tmalloc")
        #expect(try Profile.stats(of: scratch / "a-\(process.pid)-b.tmalloc").allocations == 1000)
    }

    @Test("A relative name is meant from the directory where the program starts")
    func relativeName() throws {
        let scratch = try Scratch()
        let outcome = try run(
            [try Program("endings.c").path, "return"], environment: ["LD_PRELOAD": Products.library, "TRACEMALLOC": "here.tmalloc"],
            directory: scratch.path)
        #expect(outcome.ending == .code(7))
        try Profile.waitForEnd(of: scratch / "here.tmalloc")
        #expect(try Profile.stats(of: scratch / "here.tmalloc").processes?.last?.allocations == 1000)
    }

    static let badValues: [[String: String]] = [
        ["TRACEMALLOC_FRAMES": "0"], ["TRACEMALLOC_FRAMES": "-1"], ["TRACEMALLOC_FRAMES": "many"], ["TRACEMALLOC_FRAMES": "99999999999"],
        ["TRACEMALLOC_START": "maybe"], ["TRACEMALLOC": "/nonexistent/directory/out.tmalloc"],
        ["TRACEMALLOC_COLLECTOR": "/nonexistent/collector"],
    ]

    @Test("A bad value is one line on stderr, and the program runs untraced", arguments: badValues)
    func badValue(variables: [String: String]) throws {
        let scratch = try Scratch()
        let program = try Program("endings.c").path
        let defaults = ["LD_PRELOAD": Products.library, "TRACEMALLOC": scratch / "out.tmalloc"]
        let outcome = try run([program, "return"], environment: defaults.merging(variables) { $1 }, limit: 20)
        #expect(outcome.ending == .code(7))
        #expect(try outcome.stdout == run([program, "return"]).stdout)
        #expect(outcome.stderr.split(separator: "\n").count == 1, "\(outcome.stderr)")
        #expect(outcome.stderr.hasPrefix("tracemalloc: "), "\(outcome.stderr)")
    }

    @Test("Loaded without a word of what to do, or told to wait, the library does nothing", arguments: [[:], ["TRACEMALLOC_START": "0"]])
    func idle(variables: [String: String]) throws {
        let scratch = try Scratch()
        var environment = variables.merging(["LD_PRELOAD": Products.library]) { $1 }
        if !variables.isEmpty { environment["TRACEMALLOC"] = scratch / "out.tmalloc" }
        let outcome = try run([try Program("endings.c").path, "return"], environment: environment, limit: 20)
        #expect(outcome.ending == .code(7))
        #expect(outcome.stderr.isEmpty, "\(outcome.stderr)")
    }

    @Test("The library needs nothing but the C library")
    func needsOnlyTheCLibrary() throws {
        let outcome = try run([try tool("readelf"), "-d", "-W", Products.library])
        let needed = outcome.stdout.split(separator: "\n").filter { $0.contains("(NEEDED)") }
            .compactMap { $0.split(separator: "[").last?.dropLast() }.map(String.init)
        #expect(needed.contains("libc.so.6"))
        #expect(needed.allSatisfy { ["libc.so.6", "ld-linux-x86-64.so.2"].contains($0) }, "\(needed)")
        let searched = outcome.stdout.split(separator: "\n").filter { $0.contains("PATH)") }
        #expect(searched.allSatisfy { $0.contains("[$ORIGIN]") }, "no path of the building machine: \(searched)")
    }

    @Test("The library exports the calls it stands for and names of its own, and no others")
    func exports() throws {
        let outcome = try run([try tool("nm"), "-D", "--defined-only", Products.library])
        var names: [String] = []
        for line in outcome.stdout.split(separator: "\n") {
            let words = line.split(separator: " ")
            // A small letter as the type: local.
            if words.count == 3, words[1] == words[1].uppercased() { names.append(String(words[2].prefix { $0 != "@" })) }
        }
        let hooks: Set<String> = [
            "malloc", "calloc", "realloc", "reallocarray", "free", "cfree", "posix_memalign", "aligned_alloc", "memalign", "valloc",
            "pvalloc", "malloc_usable_size", "free_sized", "free_aligned_sized", "dlclose", "fork", "vfork", "exit", "_exit", "_Exit",
            "execve",
            "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat",
        ]
        for hook in ["malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc"] {
            #expect(names.contains(hook), "\(hook)")
        }
        // The linker's own marks.
        for name in names where !["__bss_start", "_edata", "_end"].contains(name) {
            #expect(hooks.contains(name) || name.hasPrefix("tracemalloc_"), "\(name)")
        }
    }
}
