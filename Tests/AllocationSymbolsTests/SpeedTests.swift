// SpeedTests.swift: figures, printed, with bounds that only a change of algorithm can miss.
import AllocationProfile
import AllocationSymbols
import Foundation
import Testing

@Suite(.serialized) struct SpeedTests {
    @Test("10,000 addresses of a large file without debug information take less than two seconds")
    func largeSymbolTable() throws {
        guard let path = Tool.path("clang"), Tool.path("nm") != nil else { return print("skipped: no clang or no nm") }
        let functions = try OracleTests.functions(of: path, [])
        guard functions.count > 1_000 else { return print("skipped: clang has no symbols") }
        let addresses = OracleTests.sample(functions, count: 10_000, seed: 7)
        let clock = ContinuousClock()
        var frames: [[Frame]] = []
        let time = clock.measure { frames = OracleTests.frames(of: addresses, in: path) }
        print("10,000 addresses of \(functions.count) functions without debug information: \(time)")
        #expect(frames.allSatisfy { $0.first?.function != nil })
        #expect(time < .seconds(2))
    }

    @Test("10,000 addresses of libc with debug information take less than two seconds")
    func largeDebugFile() throws {
        let path = "/lib/x86_64-linux-gnu/libc.so.6"
        guard Tool.path("nm") != nil, FileManager.default.fileExists(atPath: path) else { return print("skipped: no libc or no nm") }
        let addresses = OracleTests.sample(try OracleTests.functions(of: path, ["-D"]), count: 10_000, seed: 8)
        let clock = ContinuousClock()
        var frames: [[Frame]] = []
        let time = clock.measure { frames = OracleTests.frames(of: addresses, in: path) }
        print("10,000 addresses of libc with debug information: \(time)")
        #expect(frames.allSatisfy { $0.first?.function != nil })
        #expect(time < .seconds(2))
    }
}
