// Oracle.swift: what the independent counter (Tests/Programs/Oracle) says about a program.
import Foundation

/// The figures that the profiler and the oracle both know, of one process.
struct Figures: Hashable, Comparable, CustomStringConvertible {
    var allocations: Int
    var frees: Int
    var bytes: Int
    var freedBytes: Int
    var blocks: Int
    var current: Int
    var peak: Int
    var peakBlocks: Int
    var unknownFrees: Int

    private var fields: [Int] { [allocations, frees, bytes, freedBytes, blocks, current, peak, peakBlocks, unknownFrees] }

    static func < (left: Figures, right: Figures) -> Bool { left.fields.lexicographicallyPrecedes(right.fields) }

    var description: String {
        "\(allocations) allocations \(bytes) bytes, \(frees) frees \(freedBytes) bytes, alive \(blocks)/\(current),"
            + " peak \(peakBlocks)/\(peak), unknown \(unknownFrees)"
    }
}

extension Stats {
    var figures: Figures {
        Figures(
            allocations: allocations, frees: frees, bytes: bytesAllocated, freedBytes: bytesFreed, blocks: currentBlocks,
            current: currentBytes, peak: peakBytes, peakBlocks: peakBlocks, unknownFrees: unknownFrees)
    }

    /// Of every process that allocated or freed, in an order that does not depend on pids.
    var figuresOfAll: [Figures] {
        (processes ?? [self]).map(\.figures).filter { $0.allocations + $0.frees + $0.unknownFrees > 0 }.sorted()
    }
}

/// A program that was run under the oracle.
struct Oracle {
    let outcome: Outcome
    /// Of every process image that allocated or freed, in the order of `Stats.figuresOfAll`.
    let figuresOfAll: [Figures]

    init(
        _ command: [String], environment: [String: String] = [:], directory: String? = nil, stdin: String = "/dev/null",
        limit: Double = 120
    ) throws {
        let counts = try Scratch()
        var variables = try Oracle.environmentOfProfiled()
        let length = variables["LD_PRELOAD"]!.utf8.count
        // The library counts where it lies.
        try FileManager.default.createSymbolicLink(atPath: counts / "o", withDestinationPath: Oracle.library.get())
        let libraries = [counts / "o"] + (environment["LD_PRELOAD"].map { [$0] } ?? [])
        variables.merge(environment) { $1 }
        // The program may look at its environment: it is as large as under the profiler. The loader ignores extra slashes.
        let missing = length + (environment["LD_PRELOAD"].map { $0.utf8.count + 1 } ?? 0) - libraries.joined(separator: ":").utf8.count
        guard missing >= 0 else { throw HarnessError("the oracle's path is longer than the profiler's") }
        variables["LD_PRELOAD"] = String(repeating: "/", count: missing) + libraries.joined(separator: ":")
        outcome = try run(command, environment: variables, directory: directory, stdin: stdin, limit: limit)
        figuresOfAll = try Oracle.read(counts).filter { $0.allocations + $0.frees + $0.unknownFrees > 0 }.sorted()
    }

    private static let library = Result {
        try Program("Oracle/oracle.c", flags: ["-shared", "-fPIC"]).path
    }

    /// What the profiler adds to a program's environment; asked every time, because ids of processes have more digits or fewer.
    private static func environmentOfProfiled() throws -> [String: String] {
        let text = try Profile(["/usr/bin/env", "-0"]).outcome.stdout
        var variables: [String: String] = [:]
        for entry in text.split(separator: "\0") {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2, baseEnvironment[parts[0]] == nil { variables[parts[0]] = parts[1] }
        }
        guard variables["LD_PRELOAD"] != nil else { throw HarnessError("tracemalloc run preloads nothing: \(text)") }
        return variables
    }

    private static func read(_ directory: Scratch) throws -> [Figures] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0 != "o" }.map { name in
            let data = FileManager.default.contents(atPath: directory / name) ?? Data()
            guard data.count == 80 else { throw HarnessError("the oracle's file \(name) has \(data.count) bytes") }
            let words = data.withUnsafeBytes { bytes in (0..<10).map { Int(bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) } }
            return Figures(
                allocations: words[1], frees: words[2], bytes: words[3], freedBytes: words[4], blocks: words[6], current: words[7],
                peak: words[8], peakBlocks: words[9], unknownFrees: words[5])
        }
    }
}
