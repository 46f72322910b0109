// RealProgramTests.swift: programs that nobody here wrote keep their output and exit code, and are counted exactly.
import Foundation
import Testing

/// How far two runs of a program are the same: two runs under the oracle are, too.
enum Sameness {
    case exact
    /// The order in which objects die follows their addresses.
    case exceptPeak
    /// Pools and tables grow with where things lie.
    case roughly
}

/// A real program with its input, made in a directory of its own.
struct RealProgram: CustomTestStringConvertible, Sendable {
    var name: String
    var environment: [String: String] = [:]
    var sameness = Sameness.exact
    /// A function, or a module, that stands among the first call sites.
    var site: String
    var prepare: @Sendable (Scratch) throws -> [String]

    var testDescription: String { name }
}

@Suite("Real programs")
struct RealProgramTests {
    static let programs: [RealProgram] = [
        RealProgram(name: "jq", site: "jq") { scratch in
            let records = (0..<3000).map { "{\"id\": \($0), \"name\": \"record \($0)\", \"tags\": [\"a\($0 % 7)\", \"b\"]}" }
            return [
                try tool("jq"), "-c", "group_by(.tags[0]) | map({tag: .[0].tags[0], n: length})",
                try scratch.write("records.json", "[" + records.joined(separator: ",") + "]"),
            ]
        },
        RealProgram(name: "sqlite3", site: "sqlite3") { _ in
            [
                try tool("sqlite3"), ":memory:",
                """
                create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 5000)
                insert into t select x, hex(x * 7) from c; create index i on t(b); select count(*), max(b), sum(a) from t where b > '3';
                """,
            ]
        },
        RealProgram(name: "git log", environment: ["GIT_CONFIG_NOSYSTEM": "1"], site: "git") { scratch in
            try run([tool("git"), "init", "-q", scratch.path])
            var history = "blob\nmark :1\ndata 6\nlines\n\n"
            for commit in 2..<300 {
                history += """
                    commit refs/heads/main
                    mark :\(commit)
                    committer Someone <someone@example.com> \(1_600_000_000 + commit * 60) +0000
                    data <<END
                    Commit number \(commit)
                    END
                    \(commit > 2 ? "from :\(commit - 1)\n" : "")M 100644 inline file\(commit % 5)
                    data <<END
                    text \(commit)
                    END


                    """
            }
            try run([tool("git"), "-C", scratch.path, "fast-import", "--quiet"], stdin: scratch.write("history", history))
            return [try tool("git"), "-C", scratch.path, "--no-pager", "log", "-p", "main"]
        },
        RealProgram(name: "perl", environment: ["PERL_PERTURB_KEYS": "0"], site: "perl") { _ in
            [
                try tool("perl"), "-e",
                "my %h; for my $i (1..5000) { push @{$h{'k' . ($i % 97)}}, \"value $i\" } print join(',', (sort keys %h)[0..3]), \"\\n\"",
            ]
        },
        RealProgram(
            name: "python3", environment: ["PYTHONMALLOC": "malloc", "PYTHONDONTWRITEBYTECODE": "1"], sameness: .exceptPeak, site: "python3"
        ) { _ in
            [
                try tool("python3"), "-S", "-s", "-c",
                "import json; d = {str(i): [i, {'a': i}] for i in range(2000)}; t = json.dumps(d); print(len(t), len(json.loads(t)))",
            ]
        },
        RealProgram(name: "gcc -c, with its children", sameness: .roughly, site: "cc1") { scratch in
            let source = try scratch.write("in.c", "#include <stdio.h>\nint main(void) { return puts(\"x\"); }\n")
            return [try tool("gcc"), "-O1", "-c", "-o", scratch / "out.o", source]
        },
        RealProgram(name: "g++ -c, with its children", sameness: .roughly, site: "cc1plus") { scratch in
            [try tool("g++"), "-O1", "-c", "-o", scratch / "out.o", try scratch.write("in.cpp", cxx)]
        },
        RealProgram(name: "clang++ -c", sameness: .roughly, site: "clang") { scratch in
            [try tool("clang++"), "-O1", "-c", "-o", scratch / "out.o", try scratch.write("in.cpp", cxx)]
        },
        RealProgram(name: "swiftc --version, with its children", sameness: .roughly, site: "swift") { _ in
            [try tool("swiftc"), "--version"]
        },
        RealProgram(name: "a shell pipeline", site: "sh") { scratch in
            [try tool("sh"), "-c", "seq 1 1000 | sort -rn | head -3; echo $(expr 6 \\* 7)"]
        },
    ]

    private static let cxx = """
        #include <map>
        #include <string>
        int main() { std::map<std::string, int> map; map["a"] = 1; return (int)map.size(); }

        """

    @Test("Output and exit code are the program's own, figures the oracle's, sites plausible", arguments: programs)
    func profilesUnchanged(_ program: RealProgram) throws {
        let scratch = try Scratch()
        let command = try program.prepare(scratch)
        let bare = try run(command, environment: program.environment)
        var oracle = try Oracle(command, environment: program.environment)
        var profile = try Profile(command, environment: program.environment)
        // The session's name, which is longer or shorter by chance, stands in the environment that some programs copy.
        for _ in 0..<5 where program.sameness != .roughly {
            if try profile.stats().figuresOfAll.map(\.withoutPeak) == oracle.figuresOfAll.map(\.withoutPeak) { break }
            oracle = try Oracle(command, environment: program.environment)
            profile = try Profile(command, environment: program.environment)
        }
        #expect(bare.ending == .code(0), "\(bare.stderr)")
        #expect(profile.outcome.ending == bare.ending, "\(profile.outcome.stderr)")
        #expect(profile.outcome.stdout == bare.stdout)

        let stats = try profile.stats()
        let processes = stats.processes ?? [stats]
        for process in processes { #expect(process.lostEvents == 0) }
        switch program.sameness {
        case .exact: #expect(stats.figuresOfAll == oracle.figuresOfAll)
        case .exceptPeak: #expect(stats.figuresOfAll.map(\.withoutPeak) == oracle.figuresOfAll.map(\.withoutPeak))
        case .roughly:
            #expect(stats.figuresOfAll.count == oracle.figuresOfAll.count)
            let counted = stats.figuresOfAll.map(\.allocations).reduce(0, +)
            let expected = oracle.figuresOfAll.map(\.allocations).reduce(0, +)
            #expect(abs(counted - expected) <= expected / 100, "\(counted) \(expected)")
        }

        let report = try profile.report("--by", "function", "--metric", "total")
        #expect(report.total.count == processes.map(\.allocations).reduce(0, +))
        #expect(report.total.bytes == processes.map(\.bytesAllocated).reduce(0, +))
        let first = report.statistics.prefix(10).compactMap(\.site)
        #expect(
            first.contains { ($0.module ?? "").contains(program.site) || ($0.function ?? "").contains(program.site) },
            "\(first.map { "\($0.function ?? "?") in \($0.module ?? "?")" })")
        // What one looks for is never the allocator.
        #expect(!first.contains { ["malloc", "calloc", "realloc", "operator new(unsigned long)"].contains($0.function) })
    }

    @Test("make -j2 has all of its processes in the file")
    func make() throws {
        let scratch = try Scratch()
        let rules = (1...6).map { "out\($0):\n\t@jq -n '\($0)' > $@\n" }.joined()
        _ = try scratch.write("Makefile", "all: \((1...6).map { "out\($0)" }.joined(separator: " "))\n" + rules)
        let profile = try Profile([tool("make"), "-j2", "-s", "-C", scratch.path])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        let processes = try #require(try profile.stats().processes)
        #expect(processes.filter { $0.command.first.map { ($0 as NSString).lastPathComponent } == "jq" }.count == 6)
        #expect(processes.allSatisfy { $0.lostEvents == 0 })
        let make = try #require(processes.first)
        #expect(processes.dropFirst().contains { $0.parent == make.pid })
    }

    @Test("Every stack of a real program equals libunwind's", arguments: ["jq", "sqlite3", "git log", "perl", "g++ -c, with its children"])
    func stacksAreExact(name: String) throws {
        let program = try #require(RealProgramTests.programs.first { $0.name == name })
        let scratch = try Scratch()
        let profile = try Profile(
            program.prepare(scratch), environment: program.environment.merging(["TRACEMALLOC_VERIFY": "1"]) { $1 }, limit: 300)
        let stats = try JSONDecoder().decode(
            Verification.self, from: Data(run([Products.command, "stats", profile.file, "--format", "json"]).stdout.utf8))
        for process in stats.processes where process.allocations > 0 {
            #expect(process.walks > 0)
            #expect(process.walkDifferences == 0)
        }
    }
}

/// What a run with `TRACEMALLOC_VERIFY=1` adds to `stats`.
private struct Verification: Decodable {
    struct Process: Decodable {
        var allocations: Int
        var walks: Int
        var walkDifferences: Int
    }
    var processes: [Process]
}
