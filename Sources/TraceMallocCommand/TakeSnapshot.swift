// TakeSnapshot.swift: `tracemalloc snapshot`, the state of a program that is being recorded, without disturbing it.
import AllocationProfile
import AllocationRecording
import AllocationStore
import ArgumentParser
import Glibc

struct TakeSnapshot: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Write what a running program has allocated so far.",
        discussion: """
            Two snapshots tell what grew between them.

            Example:
              tracemalloc snapshot 4711 -o before.tmalloc
              tracemalloc snapshot 4711 -o after.tmalloc
              tracemalloc compare before.tmalloc after.tmalloc
            """)

    @Argument(help: "A process that `run` or the preloaded library records.")
    var pid: Int32

    @Option(name: .shortAndLong, help: "Where to write.")
    var output: String

    @Flag(help: "Overwrite the output when it exists.")
    var force = false

    func run() throws {
        let file: OutputFile
        do { file = try OutputFile(path: output, force: force) } catch { throw CommandError.noOutput(error) }
        var snapshots: [Snapshot]
        do {
            let path = try SessionRequest(verb: .snapshot, pid: pid).ask()
            defer { unlink(path) }
            snapshots = try SnapshotFile.read(path).snapshots
        } catch let error as RecordingError {
            file.remove()
            throw CommandError.noAnswer(error)
        } catch let error as StoreError {
            file.remove()
            throw CommandError.unreadable(error)
        }
        if let failure = Recording.finish(&snapshots, file) { throw CommandError.noOutput(failure) }
        Terminal.error.say("wrote \(output)")
    }
}
