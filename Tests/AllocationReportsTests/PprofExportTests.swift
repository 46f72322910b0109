// PprofExportTests.swift: pprof's profiles, decoded with a decoder of the tests' own.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct PprofExportTests {
    private func file(_ snapshots: [Snapshot], _ metric: Metric = .current) throws -> PprofFile {
        try PprofFile(gzip: Array(ExportFixture.pieces(snapshots, .pprof, metric).joined()))
    }

    private let app: UInt64 = 2

    @Test func sampleTypesAreInTheUsualOrderAndInUseBytesAreShown() throws {
        let file = try file([ExportFixture.process()])
        #expect(
            file.sampleTypes == [
                "alloc_objects/count", "alloc_space/bytes", "peak_objects/count", "peak_space/bytes", "inuse_objects/count",
                "inuse_space/bytes",
            ])
        #expect(file.defaultSampleType == "inuse_space")
        #expect(file.periodType == "space/bytes")
        #expect(file.period == 1)
        #expect(file.timeNanos == 1_000_500_000_000)
        #expect(file.durationNanos == 2_000_000_000)
        #expect(file.comments == [#"app 'a b' '\u{1b}[2J#' (pid 12)"#])
        #expect(file.texts.first == "")
        #expect(Set(file.texts).count == file.texts.count)
    }

    @Test(arguments: [(Metric.total, "alloc_space"), (.peak, "peak_space"), (.current, "inuse_space"), (.temporary, "temporary_space")])
    func theMetricIsWhatIsShownFirst(metric: Metric, type: String) throws {
        let file = try file([ExportFixture.process()], metric)
        #expect(file.defaultSampleType == type)
        #expect(try file.total(type + "/bytes") == Int64(ExportFixture.process().total(of: metric).bytes))
    }

    @Test func samplesAreLeafFirstWithAllValues() throws {
        let file = try file([ExportFixture.process()])
        let samples = file.samples.map { "\(file.functions(of: $0).joined(separator: " < ")): \($0.values)" }
        #expect(
            samples == [
                "[unknown]: [1, 3, 0, 0, 0, 0]",
                "libc.so.6+0x21 < copy < load < main: [10, 1000, 3, 300, 2, 100]",
                #"malloc < <script>alert(1)</script>;\u{1b}[31m\n#1 < main: [5, 500, 1, 100, 0, 0]"#,
                "copy < load < [outer frames cut off]: [2, 70, 1, 48, 1, 7]",
                "[stacks that found no room]: [1, 2, 1, 2, 0, 0]",
            ])
        #expect(file.samples.allSatisfy { $0.labels.isEmpty })
    }

    @Test func locationsHaveTheCallInstructionAndTheirInlinedLines() throws {
        let file = try file([ExportFixture.process()])
        let stack = try #require(file.samples.first { $0.values[1] == 1000 }).locations.map { file.locations[$0] }
        #expect(
            stack == [
                PprofFile.Location(mapping: 1, address: 0x7f0020, lines: [.init(function: "libc.so.6+0x21", file: "", line: 0)]),
                PprofFile.Location(
                    mapping: app, address: 0x401020,
                    lines: [.init(function: "copy", file: "/src/inl.h", line: 7), .init(function: "load", file: "/src/load.c", line: 9)]),
                PprofFile.Location(mapping: app, address: 0x401010, lines: [.init(function: "main", file: "/src/app.c", line: 3)]),
            ])
        // A signal frame's address is the instruction itself.
        let exact = try #require(file.samples.first { $0.values[1] == 500 }).locations.first.flatMap { file.locations[$0] }
        #expect(exact?.address == 0x7f0100)
    }

    @Test func theProgramIsTheFirstMappingAndBuildIDsAreHexadecimal() throws {
        let file = try file([ExportFixture.process()])
        #expect(file.mappings.map(\.id) == [app, 1])
        #expect(
            file.mappings.map(\.mapping) == [
                .init(start: 0x400000, limit: 0x500000, file: "/usr/bin/app", buildID: "ab01", has: [true, true, true, true]),
                .init(start: 0x7f0000, limit: 0x7f9000, file: "/lib/libc.so.6", buildID: "", has: [true, false, false, false]),
            ])
    }

    @Test func processesKeepTheirAddressesAndAreTold() throws {
        let file = try file([ExportFixture.process(pid: 12), ExportFixture.process(pid: 13)])
        #expect(file.samples.map { $0.labels["pid"] } == [Int64](repeating: 12, count: 5) + [Int64](repeating: 13, count: 5))
        #expect(Set(file.mappings.map(\.id)) == [1, 2, 3, 4])
        #expect(Set(file.samples.prefix(5).flatMap(\.locations)).isDisjoint(with: file.samples.suffix(5).flatMap(\.locations)))
        #expect(file.samples.map(file.functions).prefix(5) == file.samples.map(file.functions).suffix(5))
        #expect(file.comments.count == 2)
        #expect(try file.total("alloc_space/bytes") == 2 * 1575)
    }

    @Test func brokenReferencesAreMarkersAndNoTrap() throws {
        var snapshot = ExportFixture.process()
        snapshot.nodes[2] = StackNode(parent: 99, location: 77)
        snapshot.nodes[4] = StackNode(parent: -3, location: -9)
        snapshot.locations[0].module = 40
        snapshot.costs.append(StackCost(stack: 1000))
        snapshot.costs[snapshot.costs.count - 1].total = Tally(bytes: -5, count: 1)
        for format in ExportFormat.allCases { _ = try ExportFixture.pieces([snapshot], format, .total) }
        let file = try file([snapshot])
        #expect(file.samples.allSatisfy { $0.locations.allSatisfy { file.locations[$0] != nil } })
        #expect(try file.total("alloc_space/bytes") == 1570)
    }

    @Test func equalContentMakesEqualFiles() throws {
        let snapshots = [ExportFixture.process()]
        #expect(try ExportFixture.pieces(snapshots, .pprof) == ExportFixture.pieces(snapshots, .pprof))
    }
}
