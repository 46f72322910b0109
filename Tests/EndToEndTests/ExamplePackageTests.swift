// ExamplePackageTests.swift: a separate package that depends on this one, built and tested as its author would.
import Foundation
import Testing

@Suite("A package that depends on this one", .serialized)
struct ExamplePackageTests {
    private static let folder = Products.testsFolder + "/ExamplePackage"
    /// Kept between runs: only the first build takes long.
    private static let scratch = Products.directoryOfTests + "/example-package"

    private static func swift(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
        let common = ["--package-path", folder, "--scratch-path", scratch]
        // SwiftPM's caches belong to the user; programs under test have no home.
        let home = ProcessInfo.processInfo.environment["HOME"] ?? "/nonexistent"
        // Tests beside this one measure times.
        let command = [try tool("nice"), "-n", "19", try tool("swift"), arguments[0], "--jobs", "1"] + common + arguments.dropFirst()
        return try run(command, environment: environment.merging(["HOME": home]) { $1 }, limit: 900)
    }

    private static let built = Result { try swift("build", "--build-tests") }

    @Test("It builds without flags")
    func builds() throws {
        let outcome = try Self.built.get()
        #expect(outcome.ending == .code(0), "\(outcome.stdout.suffix(3000)) \(outcome.stderr.suffix(3000))")
    }

    @Test("Its program prints its own files and lines")
    func prints() throws {
        try #require(try Self.built.get().ending == .code(0))
        let outcome = try run([Self.scratch + "/debug/example"])
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        let lines = outcome.stdout.split(separator: "\n").map(String.init)
        let source = Self.folder + "/Sources/Inventory/Inventory.swift"
        let text = try String(contentsOfFile: source, encoding: .utf8).components(separatedBy: "\n")
        let line = try #require(text.firstIndex { $0.contains("items.append(Item(") }) + 1
        // Each of 1,000 items is an object and a string.
        let top = try #require(lines.first { $0.hasPrefix("\(source):\(line): size=") })
        let title = try #require(lines.firstIndex(of: "Top 10 lines"))
        #expect(lines.firstIndex(of: top) == title + 1, "\(lines)")
        #expect(top.contains("count=200"))
        // All ten are lines of the package's own.
        let rows = lines[(title + 1)...].prefix { $0 != "Since before" }
        #expect(rows.count == 10)
        for row in rows { #expect(row.hasPrefix(Self.folder + "/Sources/") && row.contains(".swift:"), "\(row)") }
        #expect(lines.contains { $0.hasPrefix("\(source):\(line): size=") && $0.contains(" (+") })
        #expect(lines.contains("  File \"\(source)\", line \(line)"))
        #expect(lines.contains("    " + text[line - 1].trimmingCharacters(in: .whitespaces)))
    }

    @Test("Its tests stay within their limits while others allocate")
    func testsPass() throws {
        try #require(try Self.built.get().ending == .code(0))
        let outcome = try Self.swift("test", "--skip-build")
        #expect(outcome.ending == .code(0), "\(outcome.stdout.suffix(3000)) \(outcome.stderr.suffix(3000))")
        #expect((outcome.stdout + outcome.stderr).contains("\"two limits watch the same test\" passed"))
    }

    @Test("A test outside of its limit fails with figures, sites and stacks")
    func testsFail() throws {
        try #require(try Self.built.get().ending == .code(0))
        let outcome = try Self.swift("test", "--skip-build", "--filter", "OutsideOfLimits", environment: ["SHOW_FAILURES": "1"])
        #expect(outcome.ending == .code(1))
        let output = outcome.stdout + outcome.stderr
        let tests = Self.folder + "/Tests/InventoryTests/InventoryTests.swift"
        #expect(output.contains("5000 B in 1 block at the peak where at most 100 B are allowed"), "\(output.suffix(3000))")
        #expect(output.contains("1 allocation (40 B) where 5 to 9 are allowed"))
        #expect(output.contains("where at most 0 are allowed; most by"))
        #expect(output.contains("allocateAndFree(5000)"))
        #expect(output.contains("File \"\(tests)\""))
        #expect(output.contains("items.map(\\.count).reduce(0, +)"), "\(output)")
        #expect(output.components(separatedBy: "recorded an issue").count == 4, "\(output)")
    }
}
