// SamplingTests.swift: `run --sample`: estimates are right on average, and as far from the truth as they say at most.
import Foundation
import Testing

@Suite("Sampling")
struct SamplingTests {
    @Test("The distances between samples are exponentially distributed")
    func draws() throws {
        let seed = UInt64.random(in: 1 ... .max)
        print("sample_draws: seed \(seed)")
        let outcome = try run([try Program("sample_draws.c", flags: ["-lm"]).path, String(seed)])
        #expect(outcome.ending == .code(0), "seed \(seed): \(outcome.stdout)")
    }

    @Test("Estimates of the whole and of its lines are right on average")
    func estimatesAreUnbiased() throws {
        let program = try Program("sampled.c").path
        let interval = 16384.0
        let rounds = 6
        let exact = try Profile([program])
        let truth = try exact.stats()
        let trueLines = try exact.report("--by", "line", "--metric", "total").statistics
        var sums = (allocated: 0.0, peak: 0.0, current: 0.0)
        var lines: [String: Double] = [:]
        func place(_ statistic: Report.Statistic) -> String { "\(statistic.site?.file ?? ""):\(statistic.site?.line ?? 0)" }
        for _ in 0..<rounds {
            let sample = try Profile([program], options: ["--sample", "16K"])
            let stats = try sample.stats()
            #expect(sample.outcome.stderr.contains("estimated, sampled every 16.0 KiB"))
            #expect(stats.sampledEvery == 16384)
            #expect(stats.lostEvents == 0)
            #expect(stats.unknownFrees == 0)
            #expect(stats.allocations - stats.frees == stats.currentBlocks)
            sums.allocated += Double(stats.bytesAllocated)
            sums.peak += Double(stats.peakBytes)
            sums.current += Double(stats.currentBytes)
            for statistic in try sample.report("--by", "line", "--metric", "total").statistics {
                lines[place(statistic), default: 0] += Double(statistic.bytes)
            }
        }
        // The variance of a sum of bytes is at most the interval times the sum; five standard deviations.
        func expect(_ sum: Double, _ bytes: Int, _ what: String) {
            let margin = 5 * (interval * Double(bytes) / Double(rounds)).squareRoot()
            #expect(abs(sum / Double(rounds) - Double(bytes)) <= margin, "\(what)")
        }
        expect(sums.allocated, truth.bytesAllocated, "allocated")
        expect(sums.current, truth.currentBytes, "current")
        // The highest of many sums that are too high or too low is a little higher.
        #expect(abs(sums.peak / Double(rounds) / Double(truth.peakBytes) - 1) < 0.25)
        for line in trueLines where line.bytes > 1 << 20 { expect(lines[place(line)] ?? 0, line.bytes, place(line)) }
    }

    @Test("Where every byte is sampled nothing differs from an exact run: calls, reallocations, failures, frees")
    func everyBlock() throws {
        let program = try Program("sampled.c").path
        let exact = try Profile([program])
        let sample = try Profile([program], options: ["--sample", "1"])
        let (truth, stats) = (try exact.stats(), try sample.stats())
        #expect(stats.lostEvents == 0)
        #expect(stats.unknownFrees == truth.unknownFrees)
        for metric in ["total", "current", "peak", "temporary"] {
            func figures(_ profile: Profile) throws -> [String] {
                try profile.report("--by", "line", "--metric", metric).statistics
                    .filter { $0.site?.file?.hasSuffix("sampled.c") == true }
                    .map { "\($0.site?.line ?? 0): \($0.bytes) \($0.count)" }.sorted()
            }
            #expect(try figures(sample) == figures(exact), "\(metric)")
        }
    }

    @Test("A sampled block for which there is no room is counted as lost, and its free is no puzzle")
    func overflow() throws {
        let sample = try Profile([try Program("sampled.c").path, "40"], options: ["--sample", "1"])
        let stats = try sample.stats()
        #expect(sample.outcome.ending == .code(0))
        #expect(stats.lostEvents > 0)
        #expect(stats.unknownFrees == 0)
        #expect(stats.allocations - stats.frees == stats.currentBlocks)
    }

    @Test("A sample interval that makes no sense is refused")
    func nonsense() throws {
        for value in ["0", "-1", "many", "2T", "99999999999999999999"] {
            #expect(try Profile(["/bin/true"], options: ["--sample", value]).outcome.ending == .code(2), "\(value)")
        }
        let byHand = try run(
            ["/bin/true"], environment: ["LD_PRELOAD": Products.library, "TRACEMALLOC": "/dev/null", "TRACEMALLOC_SAMPLE": "x"])
        #expect(byHand.ending == .code(0))
        #expect(byHand.stderr.contains("TRACEMALLOC_SAMPLE must be a number of bytes"))
    }
}
