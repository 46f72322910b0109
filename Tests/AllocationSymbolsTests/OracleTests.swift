// OracleTests.swift: the same addresses asked of binutils' addr2line, on files that nobody here made.
import AllocationProfile
import AllocationSymbols
import Foundation
import Testing

@Suite struct OracleTests {
    /// Frames of file addresses.
    static func frames(of addresses: [UInt64], in path: String, options: SymbolicatorOptions = .init()) -> [[Frame]] {
        var snapshots = [Snapshot(process: ProcessSummary())]
        snapshots[0].modules = [Module(path: path)]
        snapshots[0].locations = addresses.map { Location(address: $0, module: 0, isExact: true) }
        var symbolicator = Symbolicator(options: options)
        symbolicator.symbolicate(&snapshots)
        return snapshots[0].locations.map(\.frames)
    }

    /// Starts and sizes of a file's functions, from `nm`.
    static func functions(of path: String, _ options: [String]) throws -> [(start: UInt64, size: UInt64, name: String)] {
        try Tool.run("nm", options + ["-S", "--defined-only", path]).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count == 4, "tTwWiu".contains(fields[2]), let start = UInt64(fields[0], radix: 16),
                let size = UInt64(fields[1], radix: 16), size > 0
            else { return nil }
            return (start, size, String(fields[3].prefix { $0 != "@" }))
        }
    }

    /// Random addresses within functions.
    static func sample(_ functions: [(start: UInt64, size: UInt64, name: String)], count: Int, seed: UInt64) -> [UInt64] {
        var random = SeededGenerator(state: seed)
        return (0..<count).map { _ in
            let function = functions[Int.random(in: 0..<functions.count, using: &random)]
            return function.start + UInt64.random(in: 0..<function.size, using: &random)
        }
    }

    /// What addr2line says: for each address its frames, innermost first.
    static func oracle(_ addresses: [UInt64], in path: String) throws -> [[(function: String, line: Int?)]] {
        let input = addresses.map { "0x" + String($0, radix: 16) + "\n" }.joined()
        var answers: [[(function: String, line: Int?)]] = []
        var function: String?
        for line in try Tool.run("addr2line", ["-a", "-i", "-f", "-e", path], input: input).split(separator: "\n") {
            if line.hasPrefix("0x"), function == nil {
                answers.append([])
            } else if let name = function {
                let number = line.prefix { $0 != " " }.split(separator: ":").last.flatMap { Int($0) }
                answers[answers.count - 1].append((name, number == 0 ? nil : number))
                function = nil
            } else {
                function = String(line)
            }
        }
        return answers
    }

    @Test("libc's functions, inlined ones included, and lines are those that addr2line finds")
    func agreesWithAddr2line() throws {
        let path = "/lib/x86_64-linux-gnu/libc.so.6"
        guard Tool.path("addr2line") != nil, Tool.path("nm") != nil, FileManager.default.fileExists(atPath: path) else {
            return print("skipped: binutils or libc is not where it is looked for")
        }
        let seed: UInt64 = 42
        let functions = try Self.functions(of: path, ["-D"])
        let addresses = Self.sample(functions, count: 2_000, seed: seed)
        let expected = try Self.oracle(addresses, in: path)
        try #require(expected.count == addresses.count)
        guard expected.contains(where: { $0.contains { $0.line != nil } }) else {
            return print("skipped: libc's debug information is not installed")
        }

        var different = 0
        var compared = 0
        for (index, (mine, theirs)) in zip(Self.frames(of: addresses, in: path), expected).enumerated() {
            // Lines that the compiler left open are ours to choose.
            guard theirs.allSatisfy({ $0.line != nil }) else { continue }
            compared += 1
            let same =
                mine.count == theirs.count && zip(mine, theirs).allSatisfy { $0.line == $1.line && Self.isSame($0.function, $1.function) }
            if !same {
                different += 1
                if different <= 12 {
                    print(String(addresses[index], radix: 16), mine.map { "\($0.function ?? "-"):\($0.line ?? 0)" }, theirs)
                }
            }
        }
        print("seed \(seed): \(different) of \(compared) stacks differ from addr2line's")
        #expect(compared > 1_000)
        #expect(different * 100 < compared, "seed \(seed)")
    }

    /// Aliases and clones of a function are one function.
    private static func isSame(_ mine: String?, _ theirs: String) -> Bool {
        guard let mine else { return theirs == "??" }
        let plain = { (name: String) in
            var rest = name.prefix { $0 != "." }.drop { $0 == "_" }
            for prefix in ["GI_", "libc_"] where rest.hasPrefix(prefix) { rest = rest.dropFirst(prefix.count).drop { $0 == "_" } }
            return rest
        }
        return plain(mine) == plain(theirs)
    }

    @Test("without debug information each function of the symbol table is found by its addresses")
    func findsSymbols() throws {
        let path = "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0"
        guard Tool.path("nm") != nil, let functions = try? Self.functions(of: path, ["-D"]), !functions.isEmpty else {
            return print("skipped: no libsqlite3 or no nm")
        }
        try #require(functions.count > 100)
        let frames = Self.frames(of: functions.map { $0.start + $0.size / 2 }, in: path)
        for (function, found) in zip(functions, frames) {
            let aliases = functions.filter { $0.start == function.start }.map(\.name)
            #expect(found.count == 1 && aliases.contains(found[0].function ?? ""), "\(function) \(found)")
        }
    }
}

/// splitmix64: the same numbers everywhere for a seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
