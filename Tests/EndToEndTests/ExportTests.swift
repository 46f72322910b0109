// ExportTests.swift: files for other tools: their totals are the profile's, the tools read them, and OUT is never half a file.
import Foundation
import Testing

@Suite("Exports")
struct ExportTests {
    static let formats = ["pprof", "collapsed", "speedscope", "massif", "dhat"]

    private func export(_ profile: Profile, _ format: String, _ options: String...) throws -> Outcome {
        try run([Products.command, "export", profile.file, "--to", format] + options)
    }

    private func json(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test("Totals are the profile's, in every format")
    func totals() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let stats = try profile.stats()
        for (metric, bytes) in [("current", stats.currentBytes), ("peak", stats.peakBytes), ("total", stats.bytesAllocated)] {
            let collapsed = try export(profile, "collapsed", "--metric", metric)
            #expect(collapsed.ending == .code(0), "\(collapsed.stderr)")
            let lines = collapsed.stdout.split(separator: "\n")
            #expect(lines.reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) } == bytes)
            #expect(lines.contains { $0.contains(";main") })

            let speedscope = try json(try export(profile, "speedscope", "--metric", metric).stdout)
            let profiles = try #require(speedscope["profiles"] as? [[String: Any]])
            #expect(profiles.first?["endValue"] as? Int == bytes)
        }
        let dhat = try json(try export(profile, "dhat").stdout)
        let points = try #require(dhat["pps"] as? [[String: Any]])
        func sum(_ field: String) -> Int { points.reduce(0) { $0 + ($1[field] as? Int ?? 0) } }
        #expect(["tb", "gb", "eb"].map(sum) == [stats.bytesAllocated, stats.peakBytes, stats.currentBytes])
        #expect(["tbk", "gbk", "ebk"].map(sum) == [stats.allocations, stats.peakBlocks, stats.currentBlocks])
        #expect(dhat["pid"] as? Int == Int(stats.pid))
    }

    @Test("ms_print reads massif files and shows the exact peak")
    func massif() throws {
        let profile = try Profile([try Program("strange_names.c").path])
        let scratch = try Scratch()
        #expect(try export(profile, "massif", "-o", scratch / "massif.out").ending == .code(0))
        let printed = try run([try tool("ms_print"), scratch / "massif.out"])
        #expect(printed.ending == .code(0), "\(printed.stderr)")
        #expect(printed.stderr.isEmpty)
        let stats = try profile.stats()
        #expect(printed.stdout.filter { $0 != "," }.contains("100.00% (\(stats.peakBytes)B) (heap allocation functions)"))
        // The file's name goes through ms_print as it is; the escape codes in it do not.
        let source = try String(contentsOfFile: Products.testsFolder + "/Programs/strange_names.c", encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false)
        let renaming = try #require(source.firstIndex { $0.hasPrefix("#line 7 \"evil") })
        let line = try 7 + #require(source.firstIndex { $0.contains("malloc(") }) - (renaming + 1)
        #expect(printed.stdout.contains("strange (evil\\n\\u{1b}[31m<script>alert(1)</script>.c:\(line))"))
        #expect(!printed.stdout.contains("\u{1b}"))
    }

    @Test("A pprof file is a gzip file for the user only; its content is the same every time")
    func pprof() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let scratch = try Scratch()
        #expect(try export(profile, "pprof", "-o", scratch / "out.pb.gz").ending == .code(0))
        #expect(try run([try tool("gzip"), "-t", scratch / "out.pb.gz"]).ending == .code(0))
        let mode = try FileManager.default.attributesOfItem(atPath: scratch / "out.pb.gz")[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let first = FileManager.default.contents(atPath: scratch / "out.pb.gz")
        #expect(try export(profile, "pprof", "-o", scratch / "out.pb.gz", "--force").ending == .code(0))
        #expect(FileManager.default.contents(atPath: scratch / "out.pb.gz") == first)
        // Strings are not compressed beyond recognition once unpacked.
        let unpacked = try run([try tool("gzip"), "-dc", scratch / "out.pb.gz"])
        for text in ["inuse_space", "alloc_objects", "cxx_sites.cpp", "main"] { #expect(unpacked.stdout.contains(text), "\(text)") }
    }

    @Test("An existing file is kept unless --force says otherwise, and nothing is left beside it", arguments: formats)
    func existing(format: String) throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let scratch = try Scratch()
        let file = try scratch.write("out", "precious")
        let refused = try export(profile, format, "-o", file)
        #expect(refused.ending == .code(2))
        expectOneSentence(refused.stderr, about: "--force")
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
        #expect(try export(profile, format, "-o", file, "--force").ending == .code(0))
        #expect(FileManager.default.contents(atPath: file)?.starts(with: Data("precious".utf8)) == false)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["out"])
    }

    @Test("What cannot be written or read is one sentence, and no file appears")
    func refused() throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let scratch = try Scratch()
        for (file, out, code) in [
            (profile.file, scratch / "missing/out", Int32(2)), (profile.file, scratch.path, 2), (profile.file, "/dev/null", 2),
            (scratch / "missing.tmalloc", scratch / "out", 2),
        ] {
            let outcome = try run([Products.command, "export", file, "--to", "dhat", "-o", out, "--force"])
            #expect(outcome.ending == .code(code), "\(out): \(outcome.stderr)")
            expectOneSentence(outcome.stderr, about: file == profile.file ? out : "missing.tmalloc")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
        #expect(try run([Products.command, "export", profile.file, "--to", "svg"]).ending == .code(2))
    }

    @Test("Binary data is refused on a terminal, text is not")
    func terminal() throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        let script = try tool("script")
        func onTerminal(_ format: String) throws -> Outcome {
            try run([script, "-qec", "'\(Products.command)' export '\(profile.file)' --to \(format)", "/dev/null"])
        }
        let refused = try onTerminal("pprof")
        #expect(refused.ending == .code(2))
        #expect(refused.stdout.contains("name a file with -o"))
        #expect(try onTerminal("collapsed").ending == .code(0))
    }

    @Test("Several processes are added up, --pid chooses one, and massif says which one it shows")
    func processes() throws {
        let profile = try Profile([try tool("sh"), "-c", "'\(try Program("endings.c").path)' return; true"])
        let stats = try profile.stats()
        let children = try #require(stats.processes).dropFirst()
        let child = try #require(children.first)
        func bytes(_ outcome: Outcome) -> Int {
            outcome.stdout.split(separator: "\n").reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
        }
        let all = try #require(stats.processes).reduce(0) { $0 + $1.bytesAllocated }
        #expect(bytes(try export(profile, "collapsed", "--metric", "total")) == all)
        #expect(bytes(try export(profile, "collapsed", "--metric", "total", "--pid", "\(child.pid)")) == child.bytesAllocated)
        expectOneSentence(try export(profile, "massif").stderr, about: "--pid")
    }
}

@Suite("Advice")
struct AdviceTests {
    private struct Advice: Decodable {
        struct Finding: Decodable {
            var kind: String
            var site: Report.Site?
            var count: Int
            var finding: String
            var remedy: String
        }
        var findings: [Finding]
    }

    private func advice(_ profile: Profile) throws -> Advice {
        let outcome = try run([Products.command, "advise", profile.file, "--format", "json"])
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        return try JSONDecoder().decode(Advice.self, from: Data(outcome.stdout.utf8))
    }

    @Test("Every kind of waste is found where it is, with its figure")
    func waste() throws {
        let profile = try Profile([try Program("wasteful.cpp").path])
        let findings = try advice(profile).findings
        let lines = profile.outcome.stdout.split(separator: "\n").filter { $0.hasPrefix("waste ") }
        #expect(lines.count == 5)
        for line in lines {
            let words = line.split(separator: " ").map(String.init)
            let found = findings.filter { $0.kind == words[1] && $0.site?.place == words[2] }
            #expect(found.map(\.count) == [Int(words[3])!], "\(line)")
            #expect(found.allSatisfy { !$0.finding.isEmpty && !$0.remedy.isEmpty })
        }
        #expect(findings.count == lines.count, "\(findings)")
    }

    @Test("A program that wastes nothing gets no advice")
    func nothing() throws {
        let profile = try Profile([try Program("endings.c").path, "return"])
        #expect(try advice(profile).findings.isEmpty)
        let text = try run([Products.command, "advise", profile.file])
        #expect(text.ending == .code(0))
        #expect(text.stdout.hasPrefix("Nothing to advise: "))
    }

    @Test("Memory that stays from mark to mark is a likely leak, memory that was there before is not")
    func leak() throws {
        let profile = try Profile([try Program("leaking.c").path], options: ["--mark-every", "100ms"])
        let claims = profile.outcome.stdout.split(separator: "\n").filter { $0.hasPrefix("leak ") }.map { $0.dropFirst(5) }
        let found = try advice(profile).findings.filter { $0.kind == "growingGenerations" }
        #expect(found.compactMap { $0.site?.place } == claims.map(String.init))
        #expect(found.first?.finding.contains("finished generations") == true)
    }
}
