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
        "longjmp.c", "exceptions.cpp", "fibers.c", "dynamic_frames.c", "alternate_stack.c", "no_unwind_info.c", "jit_frames.cpp",
        "cxx_sites.cpp", "swift_objects.swift",
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

    @Test("Strange names of files and functions are escaped in every output")
    func strangeNames() throws {
        for flags in [[], ["-g0"]] {
            let profile = try Profile([try Program("strange_names.c", flags: flags).path])
            var texts = [profile.outcome.stderr]
            for options in [["--by", "line"], ["--by", "function"], ["--by", "traceback"], ["--format", "json"]] {
                let outcome = try run([Products.command, "report", profile.file, "--metric", "total"] + options)
                #expect(outcome.ending == .code(0), "\(outcome.stderr)")
                texts.append(outcome.stdout)
            }
            texts.append(try run([Products.command, "tree", profile.file, "--metric", "total"]).stdout)
            for text in texts {
                #expect(!text.utf8.contains(0x1b))
                #expect(!text.split(separator: "\n").contains { $0.hasPrefix("<script>") })
            }
            #expect(texts[1].contains("size=3001 B"))
        }
    }

    private func canonical(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
}
