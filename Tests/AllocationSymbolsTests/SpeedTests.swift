// SpeedTests.swift: figures, printed, with bounds that only a change of algorithm can miss.
import AllocationProfile
import AllocationSymbols
import Foundation
import Testing

@Suite(.serialized) struct SpeedTests {
    /// Debug builds on a busy machine take a hundred times what release builds on an idle one do.
    private static let bound = Duration.seconds(10)

    @Test("10,000 addresses of a large file without debug information take seconds at most")
    func largeSymbolTable() throws {
        guard let path = Tool.path("clang"), Tool.path("readelf") != nil else { return print("skipped: no clang or no readelf") }
        let sections = try Tool.run("readelf", ["-S", "-W", path]).split(separator: "\n").map { $0.split(separator: " ") }
        let text = try #require(sections.first { $0.contains(".text") })
        let at = try #require(text.firstIndex(of: ".text"))
        let start = try #require(UInt64(text[at + 2], radix: 16))
        let size = try #require(UInt64(text[at + 4], radix: 16))
        let addresses = OracleTests.sample([(start, size, ".text")], count: 10_000, seed: 7)
        let clock = ContinuousClock()
        var frames: [[Frame]] = []
        let time = clock.measure { frames = OracleTests.frames(of: addresses, in: path) }
        let named = frames.filter { $0[0].function != nil }.count
        print("10,000 addresses of a file without debug information, \(size >> 20) MiB of code, \(named) named: \(time)")
        #expect(frames.count == 10_000)
        #expect(time < Self.bound)
    }

    @Test("10,000 addresses of libc with debug information take seconds at most")
    func largeDebugFile() throws {
        let path = "/lib/x86_64-linux-gnu/libc.so.6"
        guard Tool.path("nm") != nil, FileManager.default.fileExists(atPath: path) else { return print("skipped: no libc or no nm") }
        let addresses = OracleTests.sample(try OracleTests.functions(of: path, ["-D"]), count: 10_000, seed: 8)
        let clock = ContinuousClock()
        var frames: [[Frame]] = []
        let time = clock.measure { frames = OracleTests.frames(of: addresses, in: path) }
        print("10,000 addresses of libc with debug information: \(time)")
        #expect(frames.allSatisfy { $0.first?.function != nil })
        #expect(time < Self.bound)
    }
}
