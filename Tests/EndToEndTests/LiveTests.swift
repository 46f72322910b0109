// LiveTests.swift: `tracemalloc live` in a terminal: keys, sorting, resizing, snapshots, and the terminal given back.
import Foundation
import Glibc
import Testing

@Suite("Live", .serialized, .enabled(if: TerminalWindow.isInstalled, "tmux is not installed: tools/bootstrap --tests installs it"))
struct LiveTests {
    /// Where `load` allocates.
    private static let load: String = {
        let source = (try? String(contentsOfFile: Products.testsFolder + "/Programs/living.c", encoding: .utf8)) ?? ""
        let line = source.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.contains("static void load") }
        return "living.c:\((line ?? 0) + 1)"
    }()

    private func live(in window: TerminalWindow, _ options: String = "") throws -> String {
        _ = Products.library
        return "'\(Products.command)' live --interval 0.2 \(options) -- '\(try Program("living.c").path)' stop; echo \"code $?\""
    }

    /// The shell has its terminal back: its own screen, echo, line editing.
    private func expectRestored(_ window: TerminalWindow, _ location: SourceLocation = #_sourceLocation) throws {
        try window.wait("the shell's own screen") { _ in (try? window.isAlternate) == false }
        try window.enter("stty -a")
        let settings = try window.wait(for: " icanon ")
        #expect(settings.contains(" echo ") && !settings.contains("-isig"), "\(settings)", sourceLocation: location)
    }

    @Test("Keys sort, filter, open stacks, mark and write; the program's output comes at the end, and its exit code")
    func keys() throws {
        let window = try TerminalWindow(width: 100, height: 30)
        try window.enter(try live(in: window))
        try window.wait(for: "load  ")
        #expect(try window.isAlternate)
        let first = try window.wait("the table") { $0.contains("\(LiveTests.load)  load") && $0.contains("hostile") }
        #expect(first.contains("living' stop  pid") || first.contains("stop  pid"), "\(first)")
        #expect(!first.contains("own output"))
        // The largest first; by allocations it is the one that allocates all the time.
        try window.press("a")
        try window.wait("sorting by allocations") { text in
            let rows = text.split(separator: "\n").filter { $0.contains("living.c") || $0.contains("evil") }
            return text.contains("allocs▼") && rows.first?.contains("scratch") == true
        }
        try window.press("/", "script", "Enter")
        try window.wait("the filter") { $0.contains("evil\\u{1b}[31m<script>alert(1).c:7") && !$0.contains("scratch") }
        try window.press("Escape", "b", "/", "load", "Enter", "Enter")
        try window.wait(for: "load ← main")
        try window.press("Enter")
        try window.wait(for: "innermost first")
        try window.press("Escape", "Escape", "Escape", "m", "first mark", "Enter")
        try window.wait(for: "generation 1 first mark")
        try window.press("?")
        try window.wait(for: "write a snapshot")
        try window.press("Escape", "p")
        try window.wait(for: "PAUSED")
        try window.press("p", "w")
        try window.wait(for: "Wrote living.")
        try window.press("q")
        try window.wait(for: "q again ends it")
        try window.press("v")
        try window.wait(for: "Peak▼")
        _ = FileManager.default.createFile(atPath: window.scratch / "stop", contents: nil)
        try window.wait(for: "ended: exit code 7")
        try window.wait(for: "q leaves")
        try window.press("q")
        try window.wait(for: "code 7")
        try expectRestored(window)
        let shown = try window.history
        #expect(shown.contains("own output") && shown.contains("and this its last word") && shown.contains("exit code 7"))
        let written = try FileManager.default.contentsOfDirectory(atPath: window.scratch.path).filter { $0.hasSuffix(".tmalloc") }
        let file = try #require(written.first)
        let report = try run([Products.command, "report", window.scratch / file])
        #expect(report.stdout.contains(LiveTests.load), "\(report.stderr)")
    }

    @Test("The screen follows the window's size, and narrow ones keep the table")
    func resize() throws {
        let window = try TerminalWindow(width: 80, height: 24)
        try window.enter(try live(in: window))
        try window.wait(for: "load")
        for (width, height) in [(132, 40), (40, 10), (20, 4), (80, 24)] {
            try window.resize(width: width, height: height)
            let shown = try window.wait("a table of \(width) columns") { text in
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
                return lines.contains { $0.hasPrefix("  Current") } && lines.last { !$0.isEmpty }?.contains("q quit") == (width >= 20)
            }
            #expect(shown.contains("KiB") || shown.contains("B "), "\(shown)")
        }
        try window.press("C-c")
        try window.wait(for: "ended: signal 2")
        try window.wait(for: "q leaves")
        try window.press("q")
        try window.wait(for: "code 130")
        try expectRestored(window)
    }

    @Test(
        "A session of another terminal is watched by its pid; a signal, even SIGKILL, leaves the terminal as it was",
        arguments: [SIGTERM, SIGKILL, SIGSEGV])
    func killed(signal: Int32) throws {
        // Swift's own report of a crash would stand in the way for a while.
        let window = try TerminalWindow(environment: ["SWIFT_BACKTRACE": "enable=no"])
        _ = Products.library
        let recorded = try Subprocess(
            [Products.command, "run", "-o", window.scratch / "run.tmalloc", "--", try Program("living.c").path, window.scratch / "stop"],
            environment: baseEnvironment)
        try recorded.waitForOutput("own output")
        let pid = try #require(recorded.stdoutSoFar.split { !$0.isNumber }.first.map(String.init))
        try window.enter("'\(Products.command)' live \(pid)")
        try window.wait(for: "load")
        let viewers = try run([try tool("pgrep"), "-f", "live \(pid)$"]).stdout.split(separator: "\n").compactMap { pid_t($0) }
        for viewer in viewers { kill(viewer, signal) }
        try expectRestored(window)
        _ = FileManager.default.createFile(atPath: window.scratch / "stop", contents: nil)
        #expect(recorded.wait().ending == .code(7))
    }

    @Test("In an ASCII locale without color the screen has neither")
    func ascii() throws {
        let window = try TerminalWindow(environment: ["LC_ALL": "C", "NO_COLOR": "1"])
        try window.enter(try live(in: window))
        let shown = try window.wait("the table") { $0.contains("Currentv") && $0.contains("load") }
        #expect(!shown.contains { !$0.isASCII }, "\(shown)")
        _ = FileManager.default.createFile(atPath: window.scratch / "stop", contents: nil)
        try window.wait(for: "q leaves")
        try window.press("q")
        try window.wait(for: "code 7")
    }

    @Test("Without a terminal there is a line for each refresh; the program's output goes to standard error or to a file")
    func lines() throws {
        let scratch = try Scratch()
        _ = Products.library
        _ = try scratch.write("later", "")
        let command = [Products.command, "live", "--interval", "0.2"]
        let program = try Program("living.c").path
        let stop = scratch / "stop"
        let process = try Subprocess(
            command + ["--program-output", scratch / "out", "-o", scratch / "p.tmalloc", "--", program, stop], environment: baseEnvironment)
        try process.waitForOutput(LiveTests.load)
        _ = FileManager.default.createFile(atPath: stop, contents: nil)
        let outcome = process.wait()
        #expect(outcome.ending == .code(7), "\(outcome.stderr)")
        for line in outcome.stdout.split(separator: "\n") {
            #expect(line.contains(" s: current=") && line.contains(", allocations=") && !line.contains("\u{1b}"), "\(line)")
        }
        #expect(try String(contentsOfFile: scratch / "out", encoding: .utf8).contains("last word"))
        let stats = try JSONDecoder().decode(
            Stats.self, from: Data(try run([Products.command, "stats", scratch / "p.tmalloc", "--format", "json"]).stdout.utf8))
        #expect(
            outcome.stdout.split(separator: "\n").last?.contains("allocations=\(stats.allocations),") == true, "the last line is the end")

        let counted = try run(command + ["--count", "1", "--", program, stop])
        #expect(counted.ending == .code(7))
        #expect(counted.stdout.split(separator: "\n").count == 1)
        #expect(counted.stderr.contains("own output"))
    }

    @Test("What makes no sense is refused before anything is started")
    func refused() throws {
        let scratch = try Scratch()
        let existing = try scratch.write("out", "precious")
        for (words, text) in [
            ([], "PID"), (["1", "--", "true"], "PID"), (["1", "--interval", "0"], "--interval"), (["1", "--count", "0"], "--count"),
            (["1"], "process 1 is not being recorded"), (["--", "/missing/program"], "no such file"), (["1", "--by", "type"], "--by"),
            (["--program-output", existing, "--", "true"], "--force"), (["1", "-o", "x"], "snapshot"),
        ] {
            let outcome = try run([Products.command, "live"] + words)
            #expect(outcome.ending == .code(words.first == "--" ? 3 : 2), "\(words): \(outcome.stderr)")
            #expect(outcome.stderr.contains(text), "\(words): \(outcome.stderr)")
        }
        #expect(try String(contentsOfFile: existing, encoding: .utf8) == "precious")
    }
}
