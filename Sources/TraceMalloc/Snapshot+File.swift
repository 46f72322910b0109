// Snapshot+File.swift: snapshots go into files and come back; the files are those of the command `tracemalloc`.
public import AllocationProfile
import AllocationStore
import CInterposer

extension Snapshot {
    /// Writes the snapshot, names included, into a file that `tracemalloc report`, `compare` and all the others read, here or
    /// on another machine. A file that is there already is replaced, and only when the new one is whole.
    ///
    ///     try AllocationTracer.takeSnapshot().write(to: "before.tmalloc")
    ///
    /// - Throws: `TracingError.file` with a sentence that names the file and the reason.
    public func write(to path: String) throws(TracingError) {
        try Self.storing { () throws(StoreError) in
            try SnapshotFile.create(at: path, force: true).write([self], complete: true)
        }
    }

    /// Reads the snapshot from a file; from a recording of several processes that of the first one.
    ///
    /// Files of unknown origin are safe: nothing in them is believed, and none makes the program crash or execute anything.
    /// - Throws: `TracingError.file` with a sentence that names the file and says what is wrong with it.
    public init(contentsOf path: String) throws(TracingError) {
        guard let first = try Self.processes(inFile: path).first else {
            throw .file("\(path) holds no snapshot yet: it is still being recorded, or the recording was cut off at its start")
        }
        self = first
    }

    /// The snapshots of all processes in a file, the first process's first.
    /// - Throws: as `init(contentsOf:)`.
    public static func processes(inFile path: String) throws(TracingError) -> [Snapshot] {
        try storing { () throws(StoreError) in try SnapshotFile.read(path).snapshots }
    }

    private static func storing<Result>(_ body: () throws(StoreError) -> Result) throws(TracingError) -> Result {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        do {
            return try body()
        } catch {
            throw .file(error.description)
        }
    }
}
