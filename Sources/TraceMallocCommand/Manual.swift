// Manual.swift: the hidden `tracemalloc manual`, which writes the man page from the same declarations as `--help`.
import ArgumentParser
import FoundationEssentials

struct Manual: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Write the manual page to standard output.", shouldDisplay: false)

    func run() throws {
        let tool = try JSONDecoder().decode(ManualPage.Tool.self, from: Data(TraceMalloc._dumpHelp().utf8))
        try Terminal.output.write(ManualPage(tool.command, version: TraceMalloc.configuration.version).text)
    }
}

/// A manual page in the macros of man(7).
struct ManualPage {
    /// What the parser tells of itself.
    struct Tool: Decodable {
        var command: Command
    }

    struct Command: Decodable {
        var commandName: String
        var abstract: String?
        var discussion: String?
        var shouldDisplay: Bool?
        var subcommands: [Command]?
        var arguments: [Argument]?
    }

    struct Argument: Decodable {
        struct Name: Decodable {
            var kind: String
            var name: String
        }
        var kind: String
        var shouldDisplay: Bool
        var isOptional: Bool
        var isRepeating: Bool
        var names: [Name]?
        var valueName: String?
        var abstract: String?
        var allValues: [String]?
        var defaultValue: String?
    }

    private let command: Command
    private let version: String
    private var subcommands: [Command] {
        (command.subcommands ?? []).filter { $0.shouldDisplay != false && $0.commandName != "help" }
    }

    init(_ command: Command, version: String) { (self.command, self.version) = (command, version) }

    var text: String {
        let name = command.commandName
        var page = """
            .\\" Written by `\(name) manual` from the declarations of the command.
            .TH \(name.uppercased()) 1 "" "\(name) \(version)" "User Commands"
            .SH NAME
            \(name) \\- \(ManualPage.escaped(ManualPage.lowered(command.abstract ?? "")))
            .SH SYNOPSIS
            .B \(name)
            .I command
            .RI [ arguments ]
            .SH DESCRIPTION
            \(ManualPage.paragraphs(command.discussion ?? ""))
            .SH COMMANDS

            """
        for subcommand in subcommands {
            page += ".TP\n.B \(ManualPage.escaped(subcommand.commandName))\n\(ManualPage.escaped(subcommand.abstract ?? ""))\n"
        }
        for subcommand in subcommands { page += section(of: subcommand) }
        return page + ManualPage.ending
    }

    private func section(of subcommand: Command) -> String {
        let arguments = (subcommand.arguments ?? []).filter { $0.shouldDisplay && !["version", "help"].contains($0.names?.last?.name) }
        var text = ".SH \(subcommand.commandName.uppercased())\n.B \(command.commandName) \(subcommand.commandName)\n"
        if arguments.contains(where: { $0.kind != "positional" }) { text += ".RI [ options ]\n" }
        for argument in arguments where argument.kind == "positional" {
            let value = ManualPage.escaped((argument.valueName ?? "value").uppercased())
            text += argument.isOptional ? ".RI [ \(value) ]\n" : ".I \(value)\n"
            if argument.isRepeating { text += "\\&...\n" }
        }
        text += ".PP\n\(ManualPage.escaped(subcommand.abstract ?? ""))\n"
        if let discussion = subcommand.discussion, !discussion.isEmpty { text += ".PP\n\(ManualPage.paragraphs(discussion))\n" }
        for argument in arguments { text += item(argument) }
        return text
    }

    private func item(_ argument: Argument) -> String {
        let value = ManualPage.escaped((argument.valueName ?? "").uppercased())
        let names = (argument.names ?? []).map { "\\fB" + ManualPage.escaped(($0.kind == "long" ? "--" : "-") + $0.name) + "\\fR" }
        var label = names.joined(separator: ", ")
        if argument.kind == "positional" { label = "\\fI\(value)\\fR" }
        if argument.kind == "option" { label += " \\fI\(value)\\fR" }
        var meaning = argument.abstract ?? ""
        var facts: [String] = []
        if let values = argument.allValues, !values.isEmpty { facts.append("one of \(values.joined(separator: ", "))") }
        if argument.kind == "option", let standard = argument.defaultValue { facts.append("default: \(standard)") }
        if !facts.isEmpty { meaning += (meaning.isEmpty ? "" : " ") + "(\(facts.joined(separator: "; ")))" }
        return ".TP\n\(label)\n\(ManualPage.escaped(meaning))\n"
    }

    // MARK: - Text

    /// Lines that are indented stand as they are; others flow.
    private static func paragraphs(_ text: String) -> String {
        var lines: [String] = []
        var isAsItIs = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let isIndented = line.hasPrefix("  ") || line.contains("   ")
            if isIndented != isAsItIs, !line.isEmpty || isAsItIs {
                lines += isIndented ? [".PP", ".nf"] : [".fi", ".PP"]
                isAsItIs = isIndented
            } else if line.isEmpty {
                lines.append(".PP")
            }
            if !line.isEmpty { lines.append(escaped(String(line))) }
        }
        if isAsItIs { lines.append(".fi") }
        // A paragraph that begins or ends a section says nothing.
        while lines.last == ".PP" { lines.removeLast() }
        return lines.reduce(into: [String]()) { if !($1 == ".PP" && ($0.isEmpty || $0.last == ".PP")) { $0.append($1) } }
            .joined(separator: "\n")
    }

    /// Text that no formatter takes for a request or an escape, on one line.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\e"
            case "-": result += "\\-"
            case "`": result += "\\(ga"
            case "'": result += "\\(aq"
            case "…": result += "..."
            case "\n": result += " "
            default: result.append(character)
            }
        }
        return result.hasPrefix(".") ? "\\&" + result : result
    }

    private static func lowered(_ text: String) -> String {
        let sentence = text.hasSuffix(".") ? String(text.dropLast()) : text
        return sentence.prefix(1).lowercased() + sentence.dropFirst()
    }

    private static let ending = """
        .SH EXIT STATUS
        .TP
        .B 0
        Done.
        .TP
        .B 1
        The thing that was asked about is there, as growth with \\fBcompare \\-\\-fail\\-on\\-growth\\fR.
        .TP
        .B 2
        Wrong usage, or input that cannot be read.
        .TP
        .B 3
        The program cannot be profiled.
        .PP
        \\fBrun\\fR and \\fBlive\\fR exit with the code of the program that they start, or with 128 and the number of its signal.
        .SH ENVIRONMENT
        .TP
        .B NO_COLOR
        When it is set, terminals get no color.
        .TP
        .B TRACEMALLOC
        For programs that are started by hand with \\fBLD_PRELOAD=libtracemalloc.so\\fR: the file to write; %p is the process id.
        .TP
        .B TRACEMALLOC_FRAMES, TRACEMALLOC_START
        For the same: frames to keep of each stack; 0 to load the library without recording.
        .TP
        .B TRACEMALLOC_LIBRARY, TRACEMALLOC_COLLECTOR
        Where libtracemalloc.so and this command are, when they are not beside each other.
        .TP
        .B DEBUGINFOD_URLS
        Servers that are asked for debug files that are not here.
        .SH FILES
        .TP
        .I PROGRAM.PID.tmalloc
        A profile: an SQLite database. An existing file is kept unless \\fB\\-\\-force\\fR.
        .SH SEE ALSO
        .BR valgrind (1),
        .BR sqlite3 (1)

        """
}
