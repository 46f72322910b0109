// Mark.swift: `tracemalloc mark`, a new generation in a program that is being recorded.
import AllocationRecording
import ArgumentParser

struct Mark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mark",
        abstract: "Begin a new generation in a running program.",
        discussion: """
            What is allocated from now on, and still alive later, belongs to the generation.

            Example:
              tracemalloc mark 4711 "after login"
            """)

    @Argument(help: "A process that `run` or the preloaded library records.")
    var pid: Int32

    @Argument(help: "A name for the generation.")
    var name = ""

    func run() throws {
        do { _ = try SessionRequest(verb: .mark, pid: pid, name: name).ask() } catch { throw CommandError.noAnswer(error) }
    }
}
