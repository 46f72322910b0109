// RequestTests.swift: asking a session while its program runs.
import Foundation
import Testing

@Suite("Requests")
struct RequestTests {
    @Test("Snapshots of a running program tell what grew between them, and a mark divides the file")
    func snapshotsWhileRunning() throws {
        let scratch = try Scratch()
        _ = Products.library
        let file = scratch / "all.tmalloc"
        let process = try Subprocess(
            [Products.command, "run", "-o", file, "--", try Program("growing.c").path, scratch / "go1", scratch / "go2"],
            environment: baseEnvironment)
        try process.waitForOutput("first")
        let pid = try #require(process.stdoutSoFar.split(separator: " ").first.map(String.init))
        #expect(try run([Products.command, "snapshot", pid, "-o", scratch / "one.tmalloc"]).ending == .code(0))
        #expect(try run([Products.command, "mark", pid, "second half"]).ending == .code(0))
        _ = try scratch.write("go1", "")
        try process.waitForOutput("second")
        #expect(try run([Products.command, "snapshot", pid, "-o", scratch / "two.tmalloc"]).ending == .code(0))
        _ = try scratch.write("go2", "")
        let outcome = process.wait()
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")

        let line = try #require(outcome.stdout.split(separator: "\n").last?.split(separator: " ").last)
        let compared = try run([Products.command, "compare", scratch / "one.tmalloc", scratch / "two.tmalloc"]).stdout
        let row = try #require(compared.split(separator: "\n").first { $0.contains("growing.c:\(line):") }, "\(compared)")
        #expect(row.contains("count=30 (+30)"))
        // Both were complete files of a program that was still running.
        let one = try JSONDecoder().decode(
            Stats.self, from: Data(try run([Products.command, "stats", scratch / "one.tmalloc", "--format", "json"]).stdout.utf8))
        #expect(one.allocations == 50)
        #expect(one.currentBytes == 50 * 703)
    }

    @Test("A process that nobody records is refused in a sentence, and no file is left")
    func unknownProcess() throws {
        let scratch = try Scratch()
        let outcome = try run([Products.command, "snapshot", "1", "-o", scratch / "none.tmalloc"])
        #expect(outcome.ending == .code(2))
        #expect(outcome.stderr.contains("process 1 is not being recorded"))
        #expect(!FileManager.default.fileExists(atPath: scratch / "none.tmalloc"))
    }
}
