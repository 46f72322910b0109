// ConsumerTests.swift: exported files in the tools that they are for.
import Foundation
import Testing

@Suite("Exports in their tools", .serialized)
struct ConsumerTests {
    /// Python packages that `tools/bootstrap --tests` installs.
    private static let python = (Products.testsFolder as NSString).deletingLastPathComponent + "/.build/test-python"

    @Test(
        "pprof's published schema, as protobuf's own decoder knows it, reads totals, build-ids and lines",
        .enabled(if: FileManager.default.fileExists(atPath: python + "/pypprof"), "tools/bootstrap --tests installs pypprof"))
    func pprof() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        let scratch = try Scratch()
        #expect(try run([Products.command, "export", profile.file, "--to", "pprof", "-o", scratch / "out.pb.gz"]).ending == .code(0))
        let script = try scratch.write(
            "read.py",
            """
            import gzip, json, sys
            from pypprof import profile_pb2
            profile = profile_pb2.Profile()
            profile.ParseFromString(gzip.open(sys.argv[1]).read())
            text = profile.string_table
            assert text[0] == ""
            functions = {function.id: function for function in profile.function}
            mappings = {mapping.id for mapping in profile.mapping}
            for place in profile.location:
                assert place.mapping_id == 0 or place.mapping_id in mappings
                for line in place.line: assert line.function_id in functions
            places = {place.id for place in profile.location}
            for sample in profile.sample:
                assert all(place in places for place in sample.location_id)
                assert len(sample.value) == len(profile.sample_type)
            print(json.dumps({
                "types": [text[kind.type] + "/" + text[kind.unit] for kind in profile.sample_type],
                "sums": [sum(sample.value[i] for sample in profile.sample) for i in range(len(profile.sample_type))],
                "buildIDs": [text[mapping.build_id] for mapping in profile.mapping],
                "inlined": max(len(place.line) for place in profile.location),
                "names": sorted({text[function.name] for function in profile.function}),
            }))
            """)
        let read = try run(
            ["/usr/bin/python3", script, scratch / "out.pb.gz"],
            // The package's generated code is older than the decoder in C.
            environment: ["PYTHONPATH": Self.python, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"])
        #expect(read.ending == .code(0), "\(read.stderr)")
        let answer = try #require(JSONSerialization.jsonObject(with: Data(read.stdout.utf8)) as? [String: Any])
        let types = try #require(answer["types"] as? [String])
        let sums = try #require(answer["sums"] as? [Int])
        let stats = try profile.stats()
        let expected = [
            "alloc_objects/count": stats.allocations, "alloc_space/bytes": stats.bytesAllocated, "inuse_objects/count": stats.currentBlocks,
            "inuse_space/bytes": stats.currentBytes, "peak_objects/count": stats.peakBlocks, "peak_space/bytes": stats.peakBytes,
        ]
        #expect(Dictionary(uniqueKeysWithValues: zip(types, sums)) == expected)
        // The order that pprof's heap profiles have.
        #expect(
            types.filter { !$0.hasPrefix("peak") } == [
                "alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes",
            ])
        #expect((answer["buildIDs"] as? [String])?.contains { $0.count == 40 } == true)
        #expect((answer["names"] as? [String])?.contains("main") == true)
    }

    private static let go = try? tool("go")

    @Test(
        "go tool pprof reads every sample type's total, build-ids, lines and inlined calls",
        .enabled(if: go != nil, "golang is not installed"))
    func goPprof() throws {
        let go = try #require(Self.go)
        let profile = try Profile([try Program("cxx_sites.cpp", flags: ["-O2"]).path])
        let scratch = try Scratch()
        #expect(try run([Products.command, "export", profile.file, "--to", "pprof", "-o", scratch / "out.pb.gz"]).ending == .code(0))
        func pprof(_ options: String...) throws -> String {
            // It keeps settings in the home directory, and looks for the program's own file.
            let outcome = try run([go, "tool", "pprof"] + options + [scratch / "out.pb.gz"], environment: ["HOME": scratch.path])
            #expect(outcome.ending == .code(0), "\(outcome.stderr)")
            return outcome.stdout
        }
        let stats = try profile.stats()
        for (type, unit, total) in [
            ("alloc_objects", "count", stats.allocations), ("alloc_space", "B", stats.bytesAllocated),
            ("inuse_objects", "count", stats.currentBlocks), ("inuse_space", "B", stats.currentBytes),
            ("peak_objects", "count", stats.peakBlocks), ("peak_space", "B", stats.peakBytes),
        ] {
            let top = try pprof("-top", "-sample_index=\(type)", "-unit=\(unit)", "-nodefraction=0")
            let sum = unit == "B" ? "\(total)B" : "\(total)"
            #expect(top.contains("Showing nodes accounting for \(sum), 100% of \(sum) total"), "\(type): \(top)")
        }
        let raw = try pprof("-raw")
        #expect(raw.contains("inuse_objects/count inuse_space/bytes[dflt]"), "metric current is what viewers show first")
        let library = try #require(raw.split(separator: "\n").first { $0.contains("/libc.so.6 ") && $0.contains("0x") })
        #expect(library.split(separator: " ").contains { $0.count == 40 && $0.allSatisfy(\.isHexDigit) }, "\(library)")
        #expect(raw.contains("cxx_sites.cpp:"))
        #expect(try pprof("-top", "-lines", "-nodefraction=0").contains("cxx_sites.cpp:"))
    }

    /// The graph's own script, as Debian has it.
    private static let graphScript = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"

    @Test(
        "flamegraph.pl draws collapsed stacks with the profile's total, and a hostile name stays text",
        .enabled(if: FileManager.default.fileExists(atPath: graphScript), "libdevel-nytprof-perl is not installed"))
    func flamegraph() throws {
        let profile = try Profile([try Program("page_calls.c", flags: ["-g0"]).path])
        let scratch = try Scratch()
        #expect(try run([Products.command, "export", profile.file, "--to", "collapsed", "-o", scratch / "stacks"]).ending == .code(0))
        let drawn = try run([try tool("perl"), Self.graphScript, "--countname=bytes", scratch / "stacks"])
        #expect(drawn.ending == .code(0))
        #expect(drawn.stderr.isEmpty, "\(drawn.stderr)")
        let bytes = try profile.stats().currentBytes
        #expect(drawn.stdout.filter { $0 != "," }.contains("<title>all (\(bytes) bytes 100%)</title>"))
        #expect(drawn.stdout.contains("<title>parse ("))
        // The script writes round brackets for pointed ones.
        #expect(drawn.stdout.contains("<title>(/script)(script)alert(1)(/script) (3,000 bytes"))
        #expect(!drawn.stdout.contains("<script>alert"))
    }

    private static let viewer = "/usr/libexec/valgrind/dh_view.html"

    @Test(
        "valgrind's dh_view shows a DHAT file with the profile's totals",
        .enabled(if: Browser.isInstalled && FileManager.default.fileExists(atPath: viewer), "chromium or valgrind is not installed"))
    func dhat() throws {
        let profile = try Profile([try Program("page_calls.c").path])
        let text = try run([Products.command, "export", profile.file, "--to", "dhat"]).stdout
        let browser = try Browser()
        try browser.visit(Self.viewer, until: "typeof buildTree === 'function' && document.querySelector('select') !== null")
        let literal = String(decoding: try JSONSerialization.data(withJSONObject: [text]), as: UTF8.self)
        try browser.evaluate("(gData = JSON.parse(\(literal)[0]), buildTree(), displayTree(0, 0, 0), 1)")
        let shown = try browser.evaluate("document.body.textContent")
        let stats = try profile.stats()
        #expect(shown.filter { $0 != "," }.contains("Total:     \(stats.bytesAllocated) bytes"), "\(shown.prefix(2000))")
        #expect(shown.filter { $0 != "," }.contains("At t-gmax: \(stats.peakBytes) bytes"))
        #expect(shown.filter { $0 != "," }.contains("At t-end:  \(stats.currentBytes) bytes"))
        #expect(shown.contains("parse") && !shown.contains("error"))
    }
}
