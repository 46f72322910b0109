// DHATExportTests.swift: DHAT's JSON, read back with the fields that its viewer checks for.
import AllocationProfile
import Foundation
import Testing

@testable import AllocationReports

struct DHATFile: Decodable {
    struct Point: Decodable {
        var tb, tbk, tl, mb, mbk, gb, gbk, eb, ebk: Int
        var fs: [Int]
    }
    var dhatFileVersion: Int
    var mode: String
    var verb: String
    var bklt: Bool
    var bkacc: Bool
    var tu: String
    var millionUnits: String
    var tuth: Int
    var cmd: String
    var pid: Int
    var te: Int
    var tg: Int
    var pps: [Point]
    var ftbl: [String]

    enum CodingKeys: String, CodingKey {
        case dhatFileVersion, mode, verb, bklt, bkacc, tu, tuth, cmd, pid, te, tg, pps, ftbl
        case millionUnits = "Mtu"
    }

    init(_ snapshots: [Snapshot]) throws {
        self = try JSONDecoder().decode(DHATFile.self, from: Data(ExportFixture.text(snapshots, .dhat).utf8))
    }
}

@Suite struct DHATExportTests {
    @Test func theWholeFile() throws {
        #expect(
            try ExportFixture.text([ExportFixture.process()], .dhat) == #"""
                {"dhatFileVersion":2,"mode":"heap","verb":"Allocated"
                ,"bklt":true,"bkacc":false
                ,"tu":"µs","Mtu":"s","tuth":10
                ,"cmd":"app 'a b' '\\u{1b}[2J#'","pid":12
                ,"te":2000000
                ,"tg":750000
                ,"pps":[
                {"tb":1000,"tbk":10,"tl":2000064,"mb":300,"mbk":3,"gb":300,"gbk":3,"eb":100,"ebk":2,"fs":[4,2,3,1]},
                {"tb":500,"tbk":5,"tl":0,"mb":100,"mbk":1,"gb":100,"gbk":1,"eb":0,"ebk":0,"fs":[6,5,1]},
                {"tb":70,"tbk":2,"tl":1000000,"mb":48,"mbk":1,"gb":48,"gbk":1,"eb":7,"ebk":1,"fs":[2,3,7]},
                {"tb":2,"tbk":1,"tl":0,"mb":2,"mbk":1,"gb":2,"gbk":1,"eb":0,"ebk":0,"fs":[8]},
                {"tb":3,"tbk":1,"tl":0,"mb":0,"mbk":0,"gb":0,"gbk":0,"eb":0,"ebk":0,"fs":[9]}]
                ,"ftbl":[
                "[root]",
                "0x401010: main (/src/app.c:3)",
                "0x401020: copy (/src/inl.h:7)",
                "0x401020: load (/src/load.c:9)",
                "0x7F0020: libc.so.6+0x21 (in /lib/libc.so.6)",
                "0x401030: <script>alert(1)</script>;\\u{1b}[31m\\n#1 (evil\\u{1b}\\n.c:5)",
                "0x7F0100: malloc (in /lib/libc.so.6)",
                "[outer frames cut off]",
                "[stacks that found no room]",
                "[unknown]"]}

                """#)
    }

    @Test func stacksAreInnermostFirstAndFrameZeroIsTheRoot() throws {
        let file = try DHATFile([ExportFixture.process()])
        #expect(file.dhatFileVersion == 2)
        #expect(file.ftbl[0] == "[root]")
        #expect(file.pps.allSatisfy { $0.fs.allSatisfy { $0 > 0 && $0 < file.ftbl.count } && !$0.fs.isEmpty })
        let point = try #require(file.pps.first { $0.tb == 1000 })
        #expect(
            point.fs.map { file.ftbl[$0] } == [
                "0x7F0020: libc.so.6+0x21 (in /lib/libc.so.6)", "0x401020: copy (/src/inl.h:7)", "0x401020: load (/src/load.c:9)",
                "0x401010: main (/src/app.c:3)",
            ])
        // The viewer subtracts nothing and asks for as much: a stack had at least what it has at the peak and at the end.
        #expect(file.pps.allSatisfy { $0.mb >= max($0.gb, $0.eb) && $0.tb >= $0.mb })
    }

    @Test func noTwoStacksHaveTheSameFrames() throws {
        let one = try DHATFile([ExportFixture.process()])
        let two = try DHATFile([ExportFixture.process(), ExportFixture.process(pid: 13)])
        #expect(two.pps.count == one.pps.count)
        #expect(Set(two.pps.map(\.fs)).count == two.pps.count)
        #expect(two.pps.map(\.tb) == one.pps.map { 2 * $0.tb })
        #expect(two.ftbl == one.ftbl)
    }

    @Test func timesOfDamagedFilesAreNumbers() throws {
        var snapshot = ExportFixture.process()
        snapshot.process.duration = .infinity
        snapshot.process.peakTime = .nan
        let file = try DHATFile([snapshot])
        #expect(file.te == 0)
        #expect(file.tg == 0)
    }
}
