// TypeTests.swift: memory by the type of its objects.
import Foundation
import Testing

@Suite("Types")
struct TypeTests {
    struct Build: Sendable, CustomTestStringConvertible {
        var flags: [String]
        var isStripped = false
        var testDescription: String { flags.joined(separator: " ") + (isStripped ? " stripped" : "") }
    }

    static let builds = [
        Build(flags: ["-Onone"]), Build(flags: ["-O"]), Build(flags: ["-O", "-static-stdlib"]), Build(flags: ["-O", "-Xlinker", "-s"]),
    ]

    private struct TypeReport: Decodable {
        struct Site: Decodable { var type: String? }
        struct Statistic: Decodable {
            var bytes: Int
            var count: Int
            var site: Site
        }
        var statistics: [Statistic]
    }

    private func rows(_ profile: Profile, _ options: [String] = []) throws -> [String: TypeReport.Statistic] {
        let outcome = try run([Products.command, "report", profile.file, "--by", "type", "--format", "json"] + options)
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        let report = try JSONDecoder().decode(TypeReport.self, from: Data(outcome.stdout.utf8))
        return Dictionary(report.statistics.map { ($0.site.type ?? "", $0) }) { first, _ in first }
    }

    private func expectClaims(_ profile: Profile, _ rows: [String: TypeReport.Statistic]) {
        for line in profile.outcome.stdout.split(separator: "\n") where line.hasPrefix("claim ") {
            let words = line.split(separator: " ")
            let name = words[1..<words.count - 2].joined(separator: " ")
            #expect(rows[name].map { [$0.bytes, $0.count] } == [Int(words[words.count - 2]), Int(words.last!)], "\(name)")
        }
    }

    @Test("Objects are grouped by their types, however the program was built", arguments: builds)
    func objectsHaveTypes(_ build: Build) throws {
        let profile = try Profile([try Program("swift_types.swift", flags: ["-module-name", "main"] + build.flags).path, "wait"])
        let rows = try rows(profile)
        expectClaims(profile, rows)
        #expect(
            rows.values.contains { $0.bytes == 4321 && $0.site.type?.hasPrefix("malloc in ") == true }
                || rows.values.contains { $0.bytes > 4321 })
        let all = try self.rows(profile, ["--metric", "total"])
        #expect(all["main.Small"].map { [$0.bytes, $0.count] } == [600, 25])
        #expect(all["main.Large"].map { [$0.bytes, $0.count] } == [3000, 75])
        // The same by `heap`, which picks types by their names.
        let dogs = try #require(rows["main.Dog"])
        let heap = try run([Products.command, "heap", profile.file, "--type", "Dog", "--format", "json"])
        let found = try #require(
            (JSONSerialization.jsonObject(with: Data(heap.stdout.utf8)) as? [String: Any])?["types"] as? [[String: Any]])
        #expect(found.contains { $0["type"] as? String == "main.Dog" && $0["count"] as? Int == dogs.count }, "\(heap.stdout)")
        #expect(found.allSatisfy { ($0["type"] as? String)?.contains("Dog") == true })
        let missing = try run([Products.command, "heap", profile.file, "--type", "Unicorn"])
        #expect(missing.ending == .code(2))
        expectOneSentence(missing.stderr, about: "Unicorn")
    }

    @Test("Memory of C programs is grouped under the functions that allocated it")
    func otherMemoryHasFunctions() throws {
        let profile = try Profile([try Program("leaking.c").path])
        let names = try rows(profile, ["--metric", "total"]).keys
        #expect(!names.isEmpty && names.allSatisfy { $0.hasPrefix("malloc in ") })
    }

    @Test("Types have no callers")
    func cumulativeIsRefused() throws {
        let profile = try Profile([try Program("nothing.c").path])
        let outcome = try run([Products.command, "report", profile.file, "--by", "type", "--cumulative"])
        #expect(outcome.ending == .code(2))
        #expect(outcome.stderr.contains("cannot be grouped by type"))
    }
}
