// RoomTests.swift: little room for the recording or for the file, from the start or all at once.
import Foundation
import Glibc
import Testing

@Suite("Little room")
struct RoomTests {
    static let canMount = (try? run([tool("unshare"), "-m", "mount", "-t", "tmpfs", "none", "/mnt"]).ending) == .code(0)

    /// A command in which `room` is a file system of this size, seen by nobody else.
    private func confined(to size: String, _ room: Scratch, _ command: [String], afterwards: String = "true") throws -> [String] {
        let script = "mount -t tmpfs -o size=\(size) none '\(room.path)' || exit 90; \"$@\"; code=$?; \(afterwards); exit $code"
        return [try tool("unshare"), "-m", try tool("sh"), "-c", script, "sh"] + command
    }

    @Test(
        "With little or no room for the recording the program is unharmed, and what is missing is said and counted",
        .enabled(if: canMount), arguments: ["16k", "64k", "256k", "320k", "512k", "1m", "4m", "64m"])
    func recording(size: String) throws {
        let (room, scratch) = (try Scratch(), try Scratch())
        let file = scratch / "out.tmalloc"
        let program = try Program("confined.c").path
        let outcome = try run(
            try confined(to: size, room, [Products.command, "run", "-o", file, "--", program, "as ever"]),
            environment: ["XDG_RUNTIME_DIR": room.path], limit: 60)
        if outcome.ending == .code(3) {
            #expect(outcome.stdout.isEmpty, "the program was not started")
            expectOneSentence(outcome.stderr, about: room.path)
            #expect(!FileManager.default.fileExists(atPath: file))
        } else {
            #expect(outcome.ending == .code(0), "\(outcome.stderr)")
            #expect(try outcome.stdout == run([program, "as ever"]).stdout)
            let stats = try Profile.stats(of: file)
            #expect(stats.allocations + stats.frees + stats.lostEvents == 300_200 + 300_000, "\(stats)")
            #expect(stats.unknownFrees == 0)
            #expect((stats.lostEvents > 0) == outcome.stderr.contains("lost"), "\(outcome.stderr)")
        }
    }

    @Test("A program that finds no room by hand says so in one line and runs untraced", .enabled(if: canMount))
    func recordingByHand() throws {
        let (room, scratch) = (try Scratch(), try Scratch())
        let program = try Program("confined.c").path
        let preloaded = [try tool("env"), "LD_PRELOAD=\(Products.library)", "TRACEMALLOC=\(scratch / "out.tmalloc")", program, "as ever"]
        let outcome = try run(
            try confined(to: "16k", room, preloaded), environment: ["XDG_RUNTIME_DIR": room.path], limit: 60)
        #expect(outcome.ending == .code(0))
        #expect(try outcome.stdout == run([program, "as ever"]).stdout)
        let lines = outcome.stderr.split(separator: "\n")
        #expect(lines.contains { $0.contains("no room in the shared memory file system") }, "\(lines)")
        #expect(lines.allSatisfy { $0.hasPrefix("tracemalloc: ") }, "\(lines)")
    }

    /// 1,000 threads that each took a ring of their own would need twice as much.
    @Test("1,000 threads one after another and 200 at a time need no more memory than 200", .enabled(if: canMount))
    func threads() throws {
        let (room, scratch) = (try Scratch(), try Scratch())
        let file = scratch / "out.tmalloc"
        let outcome = try run(
            try confined(to: "24m", room, [Products.command, "run", "-o", file, "--", try Program("many_threads.c").path]),
            environment: ["XDG_RUNTIME_DIR": room.path], limit: 60)
        #expect(outcome.ending == .code(0), "\(outcome.stderr)")
        try expectClaims(in: outcome.stdout, file: file)
        let stats = try Profile.stats(of: file)
        #expect(stats.threads == 1201 && stats.lostEvents == 0)
    }

    /// What a file system of some size does to a profile of about 100 KiB: from no room for the first page to just not enough.
    @Test(
        "A disk that fills while the profile is written is said, the program is unharmed, and no half profile stays",
        .enabled(if: canMount), arguments: ["4k", "8k", "16k", "24k", "32k", "48k", "64k", "80k", "96k", "1m"])
    func file(size: String) throws {
        let (room, scratch) = (try Scratch(), try Scratch())
        let program = try Program("cxx_sites.cpp").path
        let plain = try run([program])
        let outcome = try run(
            try confined(
                to: size, room, [Products.command, "run", "-o", room / "out.tmalloc", "--", program],
                afterwards: "cp -r '\(room.path)/.' '\(scratch.path)'"), limit: 60)
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
        if [.code(2), .code(3)].contains(outcome.ending) {
            #expect(outcome.stdout.isEmpty, "the program was not started")
            expectOneSentence(outcome.stderr, about: "out.tmalloc")
            #expect(names.isEmpty)
            return
        }
        #expect(outcome.ending == plain.ending && outcome.stdout == plain.stdout, "\(outcome.stderr)")
        if outcome.stderr.contains("wrote ") {
            #expect(names == ["out.tmalloc"])
            try expectClaims(in: outcome.stdout, file: scratch / "out.tmalloc")
        } else {
            #expect(outcome.stderr.contains("out.tmalloc cannot be written: no space is left"), "\(outcome.stderr)")
            // Nothing, or the empty file that kept the name.
            #expect(names.allSatisfy { $0 == "out.tmalloc" }, "\(names)")
        }
    }

    @Test("When the disk becomes full between two checkpoints the earlier one stays readable", .enabled(if: canMount))
    func checkpointStays() throws {
        let (room, scratch) = (try Scratch(), try Scratch())
        let file = room / "out.tmalloc"
        let command = [Products.command, "run", "-o", file, "--", try Program("enduring.c").path, "100000", scratch / "enough"]
        let process = try Subprocess(
            try confined(to: "4m", room, command, afterwards: "cp '\(file)' '\(scratch.path)'; ls '\(room.path)'"),
            environment: baseEnvironment)
        try process.waitForOutput("started")
        let inside = try #require(children(of: process.pid).first.map { "/proc/\($0)/root" })
        // SQLite would follow this "root" as an ordinary link.
        func seen() throws -> Stats {
            let copy = scratch / "copy.tmalloc"
            guard let content = FileManager.default.contents(atPath: inside + file) else { throw HarnessError("no \(file) yet") }
            try content.write(to: URL(fileURLWithPath: copy))
            return try Profile.stats(of: copy)
        }
        for _ in 0..<300 where (try? seen()) == nil { usleep(100_000) }
        let before = try seen()
        #expect(before.allocations >= 5000)
        let filler = open(inside + room.path + "/filler", O_WRONLY | O_CREAT, 0o600)
        let zeros = [UInt8](repeating: 0, count: 1024)
        while write(filler, zeros, zeros.count) > 0 {}
        close(filler)
        usleep(1_500_000)  // some checkpoints fail meanwhile
        _ = try scratch.write("enough", "")
        let outcome = process.wait(limit: 60)
        #expect(outcome.ending == .code(3), "the program's own: \(outcome.stderr)")
        #expect(outcome.stderr.contains("out.tmalloc cannot be written: no space is left"), "\(outcome.stderr)")
        let after = try Profile.stats(of: scratch / "out.tmalloc")
        #expect(after.allocations >= before.allocations && after.complete == false)
        let names = outcome.stdout.split(separator: "\n").drop { !$0.hasPrefix("done") }.dropFirst()
        #expect(names == ["filler", "out.tmalloc"], "\(outcome.stdout)")
    }
}
