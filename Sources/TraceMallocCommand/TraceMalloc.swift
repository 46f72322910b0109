// TraceMalloc.swift: the command `tracemalloc`, its exit codes, and where its errors are worded.
import AllocationReports
import AllocationStore
import ArgumentParser
import Glibc

@main
struct TraceMalloc: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tracemalloc",
        abstract: "Exact allocation profiler for programs in Swift, C and C++.",
        discussion: """
            Example:
              tracemalloc run -o jq.tmalloc -- jq . big.json
              tracemalloc report jq.tmalloc --metric peak --top 10
            """,
        version: "0.1.0",
        // All say their own names: to find one out from its type's takes the parser a tenth of a millisecond, at each start.
        subcommands: [
            Run.self, Report.self, Stats.self, Tree.self, Compare.self, Advise.self, Export.self, Live.self, Leaks.self, Heap.self,
            Why.self,
            Start.self, Mark.self, TakeSnapshot.self, Doctor.self, Collect.self, RestoreTerminal.self, Manual.self,
        ])

    static func main() {
        forgoMemoryFigures()
        do {
            let arguments = CommandLine.arguments.dropFirst()
            var command = try runCommand(arguments) ?? parseAsRoot(Array(arguments))
            try command.run()
        } catch let error as CommandError {
            Terminal.error.say("\(error)")
            Glibc.exit(error.exitCode)
        } catch let code as ExitCode {
            Glibc.exit(code.rawValue)
        } catch {
            // The parser repeats what it does not understand, escape codes and all.
            let text = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false)
                .map { PrintableText.name(String($0), limit: 10_000) }.joined(separator: "\n")
            // Help and version are answers; everything else is wrong usage, for which the parser has a code of its own.
            if exitCode(for: error).isSuccess {
                try? Terminal.output.write(text + "\n")
                Glibc.exit(0)
            }
            try? Terminal.error.write(text + "\n")
            Glibc.exit(CommandError.usageCode)
        }
    }

    /// `run` with arguments that it understands, read by it alone: the parser needs half the time, and the program waits for it. Nil:
    /// another command, or something to say about these arguments.
    private static func runCommand(_ arguments: ArraySlice<String>) -> ParsableCommand? {
        guard arguments.first == Run.configuration.commandName else { return nil }
        return try? Run.parseAsRoot(Array(arguments.dropFirst())) as? Run
    }
}
