// StackTests.swift: depth, exceptions, plug-ins, signal handlers.
import Foundation
import Testing

@Suite("Stacks")
struct StackTests {
    @Test("A stack of 200 frames reaches main; one of 5,000 keeps the innermost 256 and says that it was cut")
    func depth() throws {
        let program = try Program("recursion.c").path
        let shallow = try Profile([program, "200"])
        try expectClaims(of: shallow)
        let names = try #require(try shallow.report("--by", "traceback", "--metric", "total").statistics.first?.traceback).map(\.plainName)
        #expect(names.contains("main"))
        #expect(names.filter { $0 == "descend" }.count == 200)
        #expect(try shallow.stats().truncatedStacks == 0)

        let deep = try Profile([program, "5000"])
        try expectClaims(of: deep)
        let cut = try #require(try deep.report("--by", "traceback", "--metric", "total").statistics.first?.traceback)
        #expect(cut.filter { $0.plainName == "descend" }.count >= 250)
        #expect(cut.count == 256)
        #expect(try deep.stats().truncatedStacks == 1)

        let wanted = try Profile([program, "200"], options: ["--frames", "10"])
        #expect(try wanted.report("--by", "traceback", "--metric", "total").statistics.first?.traceback?.count == 10)
        #expect(try wanted.stats().truncatedStacks == 1)
    }

    static let jumping = [
        "longjmp.c", "same_ends.c", "many_paths.c", "exceptions.cpp", "fibers.c", "dynamic_frames.c", "alternate_stack.c",
        "no_unwind_info.c", "jit_frames.cpp", "cxx_sites.cpp", "swift_objects.swift", "vast_stack.c",
    ]

    @Test("Every stack of a program equals libunwind's", arguments: jumping)
    func verified(source: String) throws {
        let profile = try Profile([try Program(source).path], environment: ["TRACEMALLOC_VERIFY": "1"])
        let stats = try run([Products.command, "stats", profile.file, "--format", "json"]).stdout
        let fields = try #require(JSONSerialization.jsonObject(with: Data(stats.utf8)) as? [String: Any])
        #expect(fields["walks"] as? Int ?? 0 > 0)
        #expect(fields["walkDifferences"] as? Int == 0)
    }

    @Test("The program's exceptions stay with its own unwinder")
    func exceptionsStayWithLibgcc() throws {
        let program = try Program("exceptions.cpp").path
        #expect(try Profile([program]).outcome.stdout.contains("exceptions belong to libgcc_s.so.1"))
        #expect(try Profile([try Program("jit_frames.cpp").path]).outcome.stdout.contains("caught 42"))
    }

    @Test("Of libraries that follow each other at one address, each has its own allocations")
    func plugins() throws {
        let names = ["alpha", "beta", "gamma"]
        let libraries = try names.enumerated().map { index, name in
            try Program("plugin.c", flags: ["-shared", "-fPIC", "-DNAME=\(name)", "-DCONSTRUCTOR_SIZE=\(2450 + index)"]).path
        }
        let profile = try Profile([try Program("plugins.c").path] + libraries)
        #expect(profile.outcome.stdout.contains("at the same address: 2"), "they follow each other: \(profile.outcome.stdout)")
        let functions = try profile.report("--by", "function", "--metric", "total").statistics
        let modules = try profile.report("--by", "module", "--metric", "total").statistics
        for (index, name) in names.enumerated() {
            let function = functions.first { $0.site?.function == "allocate_in_\(name)" }
            #expect(function?.count == 3)
            #expect(function?.bytes == 3 * (2400 + index))
            let module = modules.first { $0.site?.module.map(canonical) == canonical(libraries[index]) }
            #expect(module?.count == 6, "the constructor's too")
            #expect(module?.bytes == 3 * (2400 + index + 2450 + index))
        }
    }

    @Test("A library opened with RTLD_DEEPBIND does no harm")
    func deepBind() throws {
        let library = try Program("plugin.c", flags: ["-shared", "-fPIC", "-DNAME=deep", "-DCONSTRUCTOR_SIZE=2499"]).path
        let profile = try Profile([try Program("deep_bind.c").path, library])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        #expect(try profile.stats().unknownFrees == 20)
    }

    @Test("A plug-in that only the RUNPATH of its opener finds is found")
    func runPath() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch / "plugins", withIntermediateDirectories: false)
        _ = try Program(
            "plugin.c", flags: ["-shared", "-fPIC", "-DNAME=hidden", "-DCONSTRUCTOR_SIZE=2699"], output: scratch / "plugins/libhidden.so")
        let carrier = try Program(
            "carrier.c", flags: ["-shared", "-fPIC", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/plugins"], output: scratch / "libcarrier.so")
        let program = try Program("by_bare_name.c", flags: [carrier.path, "-Wl,-rpath,$ORIGIN"], output: scratch / "by_bare_name")
        let profile = try Profile([program.path, "libhidden.so"])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stdout)")
        try expectClaims(of: profile)
    }

    @Test("malloc in a signal handler that interrupted malloc does not deadlock, and is counted")
    func reentrance() throws {
        let library = try Program("interrupting.c", flags: ["-shared", "-fPIC"]).path
        let profile = try Profile([try Program("interrupted.c").path], environment: ["LD_PRELOAD": library], limit: 20)
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        #expect(profile.outcome.stdout.contains("handled 100"), "\(profile.outcome.stdout)")
        try expectClaims(of: profile)
        let stats = try profile.stats()
        // 101 blocks of main's; the handler's 100 mallocs and frees are in the rings, or they are counted as reentrant.
        #expect(stats.allocations - 101 + stats.frees + stats.reentrantEvents == 200)
    }

    @Test("Allocations from a handler at any instruction, of linkage stubs, prologues and the loader itself, have stacks up to main")
    func everyInstruction() throws {
        let profile = try Profile([try Program("stepped.c", flags: ["-Wl,-z,lazy"]).path])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stdout)\(profile.outcome.stderr)")
        try expectClaims(of: profile)
        let stacks = try profile.report("--by", "traceback", "--metric", "total").statistics.compactMap(\.traceback)
        let stepped = stacks.map { $0.map(\.plainName) }.filter { $0.first == "handler" }
        #expect(stepped.count > 100)
        for names in stepped { #expect(names.contains("step_through") && names.contains("main"), "\(names)") }
    }

    /// Every command that reads a profile, with an output that people or programs see.
    static let readers: [[String]] = [
        ["stats"], ["stats", "--format", "json"], ["report"], ["report", "--by", "function"], ["report", "--by", "traceback"],
        ["report", "--by", "module"], ["report", "--by", "type"], ["report", "--format", "json"],
        ["report", "--by", "traceback", "--format", "json"], ["tree"], ["advise"], ["advise", "--format", "json"], ["compare"],
        ["export", "--to", "collapsed"], ["export", "--to", "speedscope"], ["export", "--to", "massif"], ["export", "--to", "dhat"],
    ]

    @Test(
        "Names of programs, files and functions with newlines, escape codes and HTML, or of 10,000 characters, are escaped in every output",
        arguments: [[], ["-g0"], ["-DLONG"], ["-DLONG", "-g0"]])
    func strangeNames(flags: [String]) throws {
        let folder = try Scratch()
        let long = String(repeating: "long", count: 2500)
        let definitions = flags.map { $0 == "-DLONG" ? "-DLONG=\"\(long)\"" : $0 }
        let program = try Program("strange_names.c", flags: definitions, output: folder / "program\n\u{1b}[31m<b>name")
        let profile = try Profile([program.path, "argument\u{1b}]0;title\u{7}\n<script>"])
        #expect(profile.outcome.ending == .code(0), "\(profile.outcome.stderr)")
        expectHarmless(profile.outcome.stderr, "the summary")
        for reader in StackTests.readers {
            let files = reader[0] == "compare" ? [profile.file, profile.file] : [profile.file]
            let metric = ["report", "tree", "export"].contains(reader[0]) ? ["--metric", "total"] : []
            let outcome = try run([Products.command, reader[0]] + files + reader.dropFirst() + metric)
            #expect(outcome.ending == .code(0), "\(reader): \(outcome.stderr)")
            expectHarmless(outcome.stdout + outcome.stderr, "\(reader)")
            if reader.contains("json") || reader.contains("speedscope") || reader.contains("dhat") {
                _ = try JSONSerialization.jsonObject(with: Data(outcome.stdout.utf8))
            } else if reader[0] == "report" {
                #expect(outcome.stdout.contains("size=3001 B"), "\(outcome.stdout)")
                #expect(outcome.stdout.split(separator: "\n").allSatisfy { $0.count < 2000 })
            }
        }
        let page = folder / "page.html"
        #expect(try run([Products.command, "report", profile.file, "--html", "--source", "-o", page]).ending == .code(0))
        let text = try String(contentsOfFile: page, encoding: .utf8)
        // Names stand in the page as data of a script, in which a "<" is written as its number.
        for tag in ["<b>", "<script>alert", "\u{1b}"] { #expect(!text.contains(tag), "\(tag)") }
    }

    /// Nothing that a terminal obeys, and no line of its own for what came after a newline in a name.
    private func expectHarmless(_ text: String, _ comment: String) {
        #expect(!text.utf8.contains { $0 < 0x20 && $0 != 0x0a && $0 != 0x09 || $0 == 0x7f }, "\(comment): \(text)")
        let ownLines = text.split(separator: "\n").filter { line in ["<script>", "[31m"].contains { line.hasPrefix($0) } }
        #expect(ownLines.isEmpty, "\(comment): \(ownLines)")
    }

    private func canonical(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
}
