// Profile.swift: runs a program under tracemalloc and reads what the command says about the file.
import Foundation

/// One process of `stats --format json`.
struct Stats: Decodable {
    struct Thread: Decodable {
        var tid: Int
        var name: String
        var bytesAllocated: Int
    }
    /// Ranges that the program tracks by itself.
    struct Domain: Decodable {
        var domain: Int
        var allocations: Int
        var frees: Int
        var currentBytes: Int
        var currentBlocks: Int
        var peakBytes: Int
    }
    struct Exit: Decodable {
        var code: Int32?
        var signal: Int32?
    }
    var pid: Int32
    var parent: Int32?
    var command: [String]
    var exit: Exit
    var duration: Double
    var threads: Int
    var allocations: Int
    var frees: Int
    var bytesAllocated: Int
    var bytesFreed: Int
    var currentBlocks: Int
    var currentBytes: Int
    var peakBlocks: Int
    var peakBytes: Int
    var temporaryAllocations: Int
    var callSites: Int
    var callStacks: Int
    var unknownFrees: Int
    var reentrantEvents: Int
    var lostEvents: Int
    var truncatedStacks: Int
    var sampledEvery: Int?
    var warnings: [String]?
    /// Not a checkpoint of a run that goes on, or was cut off.
    var complete: Bool?
    var processes: [Stats]?
    var byThread: [Thread]?
    var domains: [Domain]?
}

/// `report --format json`.
struct Report: Decodable {
    struct Total: Decodable {
        var bytes: Int
        var count: Int
    }
    struct Site: Decodable {
        var function: String?
        var file: String?
        var line: Int?
        var module: String?
        var async: Bool?
    }
    struct Statistic: Decodable {
        var bytes: Int
        var count: Int
        var site: Site?
        var traceback: [Site]?
    }
    var metric: String
    var by: String
    var total: Total
    var statistics: [Statistic]

    /// The statistic of a place, given as `FILE:LINE` with the last component of the file's path.
    func at(_ place: String) -> Statistic? {
        statistics.first { $0.site.map { "\(($0.file as NSString?)?.lastPathComponent ?? "?"):\($0.line ?? 0)" } == place }
    }
}

/// A program that was run under the profiler, and its file.
struct Profile {
    let outcome: Outcome
    let file: String
    private let scratch: Scratch

    /// `tracemalloc run OPTIONS -o FILE -- COMMAND`
    init(
        _ command: [String], options: [String] = [], environment: [String: String] = [:], directory: String? = nil,
        stdin: String = "/dev/null", limit: Double = 120
    ) throws {
        scratch = try Scratch()
        file = scratch / "out.tmalloc"
        _ = Products.library
        outcome = try run(
            [Products.command, "run", "-o", file] + options + ["--"] + command, environment: environment, directory: directory,
            stdin: stdin, limit: limit)
    }

    /// The same, by hand: `LD_PRELOAD=libtracemalloc.so TRACEMALLOC=FILE COMMAND`. The collector may end after the program.
    init(byHand command: [String], environment: [String: String] = [:], limit: Double = 120) throws {
        scratch = try Scratch()
        let path = scratch / "out.tmalloc"
        file = path
        let variables = ["LD_PRELOAD": Products.library, "TRACEMALLOC": path].merging(environment) { $1 }
        outcome = try run(command, environment: variables, limit: limit)
        try Profile.waitForEnd(of: path)
    }

    /// Waits until the collector that a library started has finished `file`.
    static func waitForEnd(of file: String, limit: Double = 30) throws {
        let started = ContinuousClock.now
        while true {
            if (try? Profile.stats(of: file))?.complete == true { return }
            guard started.duration(to: .now) < .seconds(limit) else {
                throw HarnessError("\(file) is not complete after \(limit) s")
            }
            usleep(20_000)
        }
    }

    func stats() throws -> Stats { try Profile.stats(of: file) }

    static func stats(of file: String) throws -> Stats {
        try decode(Stats.self, ["stats", file, "--format", "json"])
    }

    func report(_ options: String...) throws -> Report { try Profile.report(of: file, options) }

    static func report(of file: String, _ options: [String]) throws -> Report {
        try decode(Report.self, ["report", file, "--format", "json", "--top", "1000000"] + options)
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ arguments: [String]) throws -> Value {
        let outcome = try run([Products.command] + arguments)
        guard outcome.ending == .code(0) else {
            throw HarnessError("tracemalloc \(arguments.joined(separator: " ")): \(outcome.ending): \(outcome.stderr)")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(outcome.stdout.utf8))
        } catch {
            throw HarnessError("tracemalloc \(arguments.joined(separator: " ")): \(error) in \(outcome.stdout.prefix(2000))")
        }
    }
}
