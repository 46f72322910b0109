// SpeedscopeExportTests.swift: JSON for speedscope, read back field by field.
import AllocationProfile
import Foundation
import Testing

@testable import AllocationReports

/// The fields of speedscope's file format that sampled profiles have.
struct SpeedscopeFile: Decodable {
    struct Frame: Decodable, Equatable {
        var name: String
        var file: String?
        var line: Int?
    }
    struct Shared: Decodable { var frames: [Frame] }
    struct Profile: Decodable {
        var type: String
        var name: String
        var unit: String
        var startValue: Int
        var endValue: Int
        var samples: [[Int]]
        var weights: [Int]
    }
    var schema: String
    var exporter: String
    var name: String
    var activeProfileIndex: Int
    var shared: Shared
    var profiles: [Profile]

    enum CodingKeys: String, CodingKey {
        case schema = "$schema"
        case exporter, name, activeProfileIndex, shared, profiles
    }

    init(_ snapshots: [Snapshot], _ metric: Metric = .current) throws {
        self = try JSONDecoder().decode(SpeedscopeFile.self, from: Data(ExportFixture.text(snapshots, .speedscope, metric).utf8))
    }
}

@Suite struct SpeedscopeExportTests {
    @Test func theWholeFile() throws {
        #expect(
            try ExportFixture.text([Fixture.typical()], .speedscope) == """
                {"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"tracemalloc",\
                "name":"","activeProfileIndex":0,"shared":{"frames":[
                {"name":"main","file":"/src/main.c"},
                {"name":"load","file":"/src/load.c"},
                {"name":"save","file":"/src/save.c"},
                {"name":"malloc"},
                {"name":"[unknown]"}]},"profiles":[
                {"type":"sampled","name":"current bytes","unit":"bytes","startValue":0,"samples":[
                [0],
                [0,1,3],
                [0,2]],
                "weights":[24,40036,1000],"endValue":41060},
                {"type":"sampled","name":"current blocks","unit":"none","startValue":0,"samples":[
                [0],
                [0,1,3],
                [0,2]],
                "weights":[1,7,4],"endValue":12}]}

                """)
    }

    @Test func everyFieldIsThereAndAgrees() throws {
        let file = try SpeedscopeFile([ExportFixture.process()], .total)
        #expect(file.schema == "https://www.speedscope.app/file-format-schema.json")
        #expect(file.exporter == "tracemalloc")
        #expect(file.activeProfileIndex == 0)
        #expect(file.profiles.map(\.name) == ["total bytes", "total blocks"])
        #expect(file.profiles.map(\.unit) == ["bytes", "none"])
        #expect(file.profiles.map(\.endValue) == [1575, 19])
        for profile in file.profiles {
            #expect(profile.type == "sampled")
            #expect(profile.startValue == 0)
            #expect(profile.samples.count == profile.weights.count)
            #expect(profile.weights.reduce(0, +) == profile.endValue)
            #expect(profile.samples.allSatisfy { !$0.isEmpty && $0.allSatisfy(file.shared.frames.indices.contains) })
        }
        let names = file.profiles[0].samples.map { $0.map { file.shared.frames[$0].name } }
        #expect(names.contains(["main", "load", "copy", "libc.so.6+0x21"]))
        #expect(names.contains(["[unknown]"]))
    }

    @Test func hostileNamesAreEscaped() throws {
        let text = try ExportFixture.text([ExportFixture.process()], .speedscope, .total)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 })
        let frames = try SpeedscopeFile([ExportFixture.process()], .total).shared.frames
        #expect(
            frames.contains(
                SpeedscopeFile.Frame(name: #"<script>alert(1)</script>;\u{1b}[31m\n#1"#, file: #"evil\u{1b}\n.c"#, line: nil)))
    }
}
