// StrangeNameTests.swift: files and arguments with escape codes, newlines and markup in their names, which messages repeat.
import Foundation
import Testing

@Suite("Files and arguments with strange names")
struct StrangeNameTests {
    private static let name = "evil\u{1b}[31m<script>alert(1)\n\u{7}.tool"

    @Test("They work, and no message about them has an escape code or an end of line in it")
    func working() throws {
        let scratch = try Scratch()
        let program = try scratch.program(Self.name, copyOf: try Program("cxx_sites.cpp").path)
        let file = program + ".tmalloc"
        _ = Products.library
        for words in [
            ["run", "-o", file, "--", program, "an argument\u{1b}"], ["doctor", program], ["report", file], ["heap", file],
            ["report", file, "--html"],
            ["export", file, "--to", "massif", "-o", program + ".massif"], ["compare", file, file, "--html"],
        ] {
            let outcome = try run([Products.command] + words)
            #expect(outcome.ending == .code(0), "\(words): \(outcome.stderr)")
            expectHarmless(outcome, "\(words)")
        }
    }

    @Test(
        "What is refused is refused without them",
        arguments: [
            ["report", name], ["run", "--", "./" + name], ["leaks", "--", "./" + name], ["doctor", "./" + name], ["report", "x", name],
            ["report", "x", "--by", name], ["report", "x", "--pid", name], [name], ["why", name], ["live", name], ["mark", name],
            ["export", name, "--to", "dhat"], ["export", "x", "--to", "dhat", "-o", name + "/" + name],
            ["run", "--frames", name, "--", "true"],
            ["leaks", "--suppressions", name, "--", "true"], ["compare", name, name], ["run", "--mark-every", name, "--", "true"],
        ])
    func refusing(words: [String]) throws {
        let outcome = try run([Products.command] + words)
        #expect([.code(2), .code(3)].contains(outcome.ending), "\(outcome.ending): \(outcome.stderr)")
        #expect(!(outcome.stdout + outcome.stderr).isEmpty)
        expectHarmless(outcome, "\(words)")
    }

    private func expectHarmless(_ outcome: Outcome, _ what: String) {
        let text = outcome.stdout + outcome.stderr
        let controls = text.unicodeScalars.filter { $0 != "\n" && ($0.value < 0x20 || (0x7f..<0xa0).contains($0.value)) }
        #expect(controls.isEmpty, "\(what): \(text)")
    }
}
