// ThreadTests.swift: what each thread allocated.
import Testing

@Suite("Threads")
struct ThreadTests {
    @Test("A thread's allocations are told by its name and number, whoever frees them")
    func byName() throws {
        let profile = try Profile([try Program("named_threads.c").path])
        #expect(profile.outcome.ending == .code(0))
        let line = try #require(profile.outcome.stdout.split(separator: " ").first)
        let place = "named_threads.c:\(line)"
        let threads = try #require(try profile.stats().byThread)
        let first = try #require(threads.first { $0.name == "first worker" }, "\(threads)")
        for (name, total, count, alive) in [
            ("first*", 1010, 2, 10), ("second worker", 2020, 2, 2020), ("named_threads", 5, 1, 5), ("\(first.tid)", 1010, 2, 10),
        ] {
            let all = try #require(try profile.report("--thread", name, "--metric", "total").at(place), "thread \(name)")
            #expect(all.bytes == total && all.count == count)
            #expect(try profile.report("--thread", name).at(place)?.bytes == alive)
        }
        #expect(try profile.report("--metric", "total").at(place)?.bytes == 1010 + 2020 + 5)
        #expect(try profile.report("--thread", "first*", "--thread", "second*").at(place)?.bytes == 2030)
        #expect(try profile.report("--thread", "first*", "--exclude", "allocate").statistics.isEmpty)
    }

    @Test("A thread that is not there is refused with those that are")
    func unknown() throws {
        let profile = try Profile([try Program("named_threads.c").path])
        let outcome = try run([Products.command, "report", profile.file, "--thread", "nobody"])
        #expect(outcome.ending == .code(2))
        #expect(outcome.stderr.contains("holds no thread nobody; it holds") && outcome.stderr.contains("second worker ("))
    }
}
