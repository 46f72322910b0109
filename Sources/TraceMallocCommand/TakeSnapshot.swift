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
        do { snapshots = try TakeSnapshot.snapshots(of: pid) } catch {
            file.remove()
            throw error
        }
        if let failure = Recording.finish(&snapshots, file) { throw CommandError.noOutput(failure) }
        Terminal.error.say("wrote \(output)")
    }

    /// What a recorded process has allocated so far, with addresses instead of names.
    static func snapshots(of pid: Int32) throws(CommandError) -> [Snapshot] {
        let path: String
        do { path = try SessionRequest(verb: .snapshot, pid: pid).ask() } catch { throw .noAnswer(error) }
        defer { unlink(path) }
        do { return try SnapshotFile.read(path).snapshots } catch { throw .unreadable(error) }
    }
}
