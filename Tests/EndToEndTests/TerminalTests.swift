// TerminalTests.swift: what a terminal gets and a pipe does not: progress, color, lines that fit.
import Foundation
import Testing

@Suite("Terminals")
struct TerminalTests {
    /// What a command writes on a terminal, that is through util-linux's `script`.
    private func onTerminal(_ words: [String], _ environment: [String: String] = [:], columns: Int = 80) throws -> String {
        let command = words.map { "'\($0)'" }.joined(separator: " ")
        let line = "stty cols \(columns); exec \(command)"
        let outcome = try run(
            [try tool("script"), "-qec", line, "/dev/null"], environment: ["TERM": "xterm"].merging(environment) { $1 })
        #expect(outcome.ending == .code(0), "\(outcome.stdout)")
        return outcome.stdout
    }

    private static let clear = "\r\u{1b}[2K"

    @Test("While names are looked up a terminal shows how far that is, in a line that is gone at the end; a dumb one and a pipe do not")
    func progress() throws {
        let scratch = try Scratch()
        _ = Products.library
        let command = [Products.command, "run", "--force", "-o", scratch / "a.tmalloc", "--", try Program("cxx_sites.cpp").path]
        let shown = try onTerminal(command)
        let steps = shown.components(separatedBy: Self.clear).filter { $0.hasPrefix("tracemalloc: ") && $0.contains(" %, reading ") }
        #expect(steps.count >= 2, "\(shown)")
        // The last one was cleared before the summary came.
        #expect(shown.components(separatedBy: Self.clear).last?.contains(" %, reading ") == false, "\(shown)")
        let narrow = try onTerminal(command, columns: 30)
        for step in narrow.components(separatedBy: Self.clear).filter({ $0.contains(" %, ") }) { #expect(step.count < 30, "\(step)") }
        #expect(!(try onTerminal(command, ["TERM": "dumb"])).contains("\u{1b}"))
        let piped = try run(command)
        #expect(!piped.stderr.contains("\u{1b}") && !piped.stderr.contains(" %, reading "))
        let page = try onTerminal([Products.command, "report", scratch / "a.tmalloc", "--html"])
        #expect(page.contains("making the page\(Self.clear)"), "\(page)")
    }

    @Test("Color is for terminals only and not where NO_COLOR or TERM forbids it; the text is the same")
    func color() throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        for words in [["report"], ["tree"], ["stats"], ["compare", profile.file], ["advise"], ["heap"]] {
            let command = [Products.command, words[0], profile.file] + words.dropFirst()
            let plain = try run(command).stdout
            #expect(!plain.contains("\u{1b}"), "\(words)")
            let colored = try onTerminal(command)
            #expect(colored.contains("\u{1b}[") || words == ["advise"], "\(words): \(colored)")
            #expect(!(try onTerminal(command, ["NO_COLOR": "1"])).contains("\u{1b}"), "\(words)")
            #expect(!(try onTerminal(command, ["TERM": "dumb"])).contains("\u{1b}"), "\(words)")
        }
    }

    @Test("Lines fit the terminal: names lose their middle, figures do not", arguments: [66, 80, 140])
    func widths(columns: Int) throws {
        let profile = try Profile([try Program("cxx_sites.cpp").path])
        for words in [["report"], ["report", "--by", "function"], ["tree"], ["stats"], ["heap"]] {
            let command = [Products.command, words[0], profile.file] + words.dropFirst()
            let shown = try onTerminal(command, ["NO_COLOR": "1"], columns: columns)
            let lines = shown.split(whereSeparator: \.isNewline)
            for line in lines { #expect(line.count <= columns, "\(words): \(line)") }
            if words[0] == "report" {
                #expect(lines.allSatisfy { $0.contains("size=") && $0.contains(", count=") })
            }
        }
    }
}
