// ManualTests.swift: the man page and the completions say what the command can do, and the tools that read them do not complain.
import Foundation
import Testing

@Suite("Manual and completions")
struct ManualTests {
    /// The commands that `--help` lists.
    private func subcommands() throws -> [String] {
        let help = try run([Products.command, "--help"]).stdout
        let list = try #require(help.range(of: "SUBCOMMANDS:")).upperBound
        let names = help[list...].split(separator: "\n").compactMap { line in
            line.hasPrefix("  ") && !line.hasPrefix("   ") ? line.split(separator: " ").first.map(String.init) : nil
        }
        try #require(names.contains("run") && names.contains("live"))
        return names.filter { $0 != "help" && $0 != "See" }
    }

    @Test("The man page names every command and option, and is formatted without a warning")
    func manual() throws {
        let scratch = try Scratch()
        let page = try run([Products.command, "manual"])
        #expect(page.ending == .code(0))
        let file = try scratch.write("tracemalloc.1", page.stdout)
        let checked = try run([try tool("groff"), "-man", "-ww", "-Tutf8", "-z", file])
        #expect(checked.ending == .code(0))
        #expect(checked.stderr.isEmpty, "\(checked.stderr)")
        let shown = try run([try tool("groff"), "-man", "-Tascii", "-P-cbou", file]).stdout
        // Options break at their hyphens.
        let text = shown.filter { !$0.isWhitespace }
        for name in try subcommands() {
            #expect(shown.contains("\n\(name.uppercased())\n"), "\(name)")
            let help = try run([Products.command, name, "--help"]).stdout
            #expect(help.contains("Example:") || name == "help", "\(name) --help has no example")
            let options = Set(help.split { " \n,[]<>`.;:()".contains($0) }.filter { $0.hasPrefix("--") && $0.count > 2 })
            let missing = options.subtracting(["--help", "--version"]).filter { !text.contains($0) }
            #expect(missing.isEmpty, "\(name)")
        }
        for hidden in ["collect", "restore-terminal", "manual"] {
            #expect(!shown.contains("\n\(hidden.uppercased())\n") && !shown.contains("\n       \(hidden) "), "\(hidden) stays hidden")
        }
    }

    @Test("Completion scripts name every command; bash completes commands, options, values and files")
    func completions() throws {
        let scratch = try Scratch()
        for shell in ["bash", "zsh", "fish"] {
            let script = try run([Products.command, "--generate-completion-script", shell]).stdout
            for name in try subcommands() { #expect(script.contains(name), "\(shell): \(name)") }
            _ = try scratch.write(shell, script)
        }
        _ = try scratch.write("jq.tmalloc", "")
        _ = try scratch.write(
            "ask",
            """
            source ./bash
            COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            _tracemalloc "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
            printf '%s\\n' "${COMPREPLY[@]}"
            """)
        func complete(_ words: String...) throws -> [String] {
            try run([try tool("bash"), "--norc", scratch / "ask", "tracemalloc"] + words, directory: scratch.path).stdout
                .split(separator: "\n").map(String.init)
        }
        #expect(try complete("rep") == ["report"])
        #expect(try Set(complete("")).isSuperset(of: subcommands()))
        #expect(try complete("report", "--metr") == ["--metric"])
        #expect(try complete("report", "--metric", "pe") == ["peak"])
        #expect(try complete("report", "jq") == ["jq.tmalloc"])
    }

    @Test("Help fits 80 columns, in a terminal too")
    func help() throws {
        for name in try subcommands() {
            for line in try run([Products.command, name, "--help"]).stdout.split(separator: "\n") {
                // Examples are for copying.
                #expect(line.count <= 80 || line.contains("tracemalloc "), "\(name): \(line)")
            }
        }
    }
}
