// CountingTests.swift: figures equal the independent counter's digit for digit, and lines have what the programs claim for them.
import Foundation
import Testing

/// A run of a test program that does the same every time.
struct Counted: CustomTestStringConvertible, Sendable {
    var sentence: String
    var source: String
    var arguments: [String] = []
    /// The order in which threads run decides about the peak.
    var isThreaded = false
    var ending = Ending.code(0)

    var testDescription: String { sentence }
}

@Suite("Counting")
struct CountingTests {
    static let programs: [Counted] = [
        Counted(sentence: "The library adds nothing to a program that allocates nothing", source: "nothing.c"),
        Counted(sentence: "realloc in all its outcomes", source: "realloc_cases.c"),
        Counted(sentence: "Four threads hand addresses to each other", source: "realloc_storm.c", isThreaded: true),
        Counted(sentence: "Threads free what others allocated a moment ago", source: "hand_over.c", isThreaded: true),
        Counted(sentence: "Threads take turns, and free what the one before allocated", source: "take_turns.c", isThreaded: true),
        Counted(sentence: "Every call that aligns", source: "alignments.c"),
        Counted(sentence: "Calls that fail are not counted", source: "failures.c"),
        Counted(sentence: "Usable sizes may be asked for", source: "usable_size.c"),
        Counted(sentence: "return from main", source: "endings.c", arguments: ["return"], ending: .code(7)),
        Counted(sentence: "exit", source: "endings.c", arguments: ["exit"], ending: .code(7)),
        Counted(sentence: "_exit", source: "endings.c", arguments: ["_exit"], ending: .code(7)),
        Counted(sentence: "_Exit", source: "endings.c", arguments: ["_Exit"], ending: .code(7)),
        Counted(sentence: "quick_exit", source: "endings.c", arguments: ["quick_exit"], ending: .code(7)),
        Counted(sentence: "execve starts another image", source: "endings.c", arguments: ["execve"], ending: .code(7)),
        Counted(sentence: "SIGKILL", source: "endings.c", arguments: ["SIGKILL"], ending: .code(128 + SIGKILL)),
        Counted(sentence: "SIGTERM", source: "endings.c", arguments: ["SIGTERM"], ending: .code(128 + SIGTERM)),
        Counted(sentence: "SIGSEGV", source: "endings.c", arguments: ["SIGSEGV"], ending: .code(128 + SIGSEGV)),
        Counted(sentence: "abort", source: "endings.c", arguments: ["abort"], ending: .code(128 + SIGABRT)),
        Counted(sentence: "fork, vfork, posix_spawn, system and popen", source: "spawning.c"),
        Counted(sentence: "clone and _Fork without exec", source: "raw_children.c"),
        Counted(sentence: "A stopped process goes on", source: "stopping.c"),
        Counted(sentence: "Destructors of thread-specific data", source: "thread_exit.c"),
        Counted(sentence: "thread_local objects of C++", source: "thread_locals.cpp", isThreaded: true),
        Counted(sentence: "1,000 short threads and 200 live ones", source: "many_threads.c", isThreaded: true),
        Counted(sentence: "longjmp out of many frames", source: "longjmp.c"),
        Counted(sentence: "paths that differ in the middle", source: "same_ends.c"),
        Counted(sentence: "more paths than are kept, each taken again and again", source: "many_paths.c"),
        Counted(sentence: "Exceptions through many frames", source: "exceptions.cpp"),
        Counted(sentence: "Exceptions through code made at run time", source: "jit_frames.cpp"),
        Counted(sentence: "swapcontext", source: "fibers.c"),
        Counted(sentence: "A handler on its own stack", source: "alternate_stack.c"),
        Counted(sentence: "A stack of more than 4 GiB", source: "vast_stack.c"),
        Counted(sentence: "alloca, variable-length arrays, realigned frames", source: "dynamic_frames.c"),
        Counted(sentence: "Code without unwind information", source: "no_unwind_info.c"),
        Counted(sentence: "Allocations before any constructor", source: "before_main.c"),
        Counted(sentence: "All calls, in threads", source: "allocating.c", isThreaded: true),
        Counted(sentence: "operator new and the standard library", source: "cxx_sites.cpp"),
        Counted(sentence: "Swift objects, arrays and raw memory", source: "swift_objects.swift"),
    ]

    @Test("Counts equal the oracle's, and lines what the program claims", arguments: programs)
    func countsAreExact(_ program: Counted) throws {
        let command = [try Program(program.source).path] + program.arguments
        let oracle = try Oracle(command)
        let profile = try Profile(command)
        let stats = try profile.stats()
        #expect(profile.outcome.ending == program.ending, "\(profile.outcome.stderr)")
        #expect(try profile.outcome.stdout == run(command).stdout)
        #expect(stats.lostEvents == 0)
        if program.isThreaded {
            #expect(stats.figuresOfAll.map(\.withoutPeak) == oracle.figuresOfAll.map(\.withoutPeak))
        } else {
            #expect(stats.figuresOfAll == oracle.figuresOfAll)
        }
        if program.source != "nothing.c" { try expectClaims(of: profile) }
    }

    static let oddities = ["failures.c", "usable_size.c"]

    @Test("The oracle and valgrind agree", arguments: ["endings.c", "longjmp.c", "fibers.c"])
    func oracleIsRight(source: String) throws {
        let command = [try Program(source).path, "return"]
        let valgrind = try run([tool("valgrind"), "--run-libc-freeres=no"] + command).stderr
        let figures = try #require(try Oracle(command).figuresOfAll.first)
        func grouped(_ number: Int) -> String {
            String(String(number).reversed().enumerated().flatMap { $0 > 0 && $0 % 3 == 0 ? [",", $1] : [$1] }.reversed())
        }
        let usage =
            "total heap usage: \(grouped(figures.allocations)) allocs, \(grouped(figures.frees)) frees, \(grouped(figures.bytes)) bytes"
        #expect(valgrind.contains(usage), "\(valgrind)")
    }

    @Test("Failing and odd calls have the results, errno and usable sizes that they have without the profiler", arguments: oddities)
    func resultsAreUnchanged(source: String) throws {
        let program = try Program(source).path
        #expect(try Profile([program]).outcome.stdout == run([program]).stdout)
    }

    @Test("Frees that race with allocations of the same address never leave a block alive, in 10 of 10 runs")
    func stormLeavesNothing() throws {
        let program = try Program("realloc_storm.c").path
        for _ in 0..<10 {
            let profile = try Profile([program, "5000"])
            try expectClaims(of: profile)
            #expect(try profile.stats().unknownFrees == 0)
        }
    }

    @Test("A block that one thread frees right after another one allocated it is never free before it is allocated, in 10 of 10 runs")
    func handedOver() throws {
        let program = try Program("hand_over.c").path
        for _ in 0..<10 {
            let profile = try Profile([program, "50000", "3"])
            try expectClaims(of: profile)
            #expect(try profile.stats().unknownFrees == 0)
        }
    }

    @Test("Figures of a stripped program are those of the program with debug information")
    func strippedCountsTheSame() throws {
        let profile = try Profile([try Program("cxx_sites.cpp", flags: ["-s"]).path])
        let whole = try Profile([try Program("cxx_sites.cpp").path])
        #expect(try profile.stats().figuresOfAll == whole.stats().figuresOfAll)
        let sites = try profile.report("--by", "line", "--metric", "total").statistics
        #expect(sites.allSatisfy { $0.site?.function != nil || ($0.site?.module != nil) }, "a site is never nothing")
    }
}

extension Figures {
    var withoutPeak: Figures {
        var figures = self
        (figures.peak, figures.peakBlocks) = (0, 0)
        return figures
    }
}
