// SnapshotFile.swift: the file of a run, made before it, replaced while it lasts, read anywhere.
package import AllocationProfile

/// A snapshot file that is being written.
///
/// Every write makes a whole new database beside the file (`FILE.part`) and gives it the file's name at the end. Whatever
/// happens on the way, a kill or a full disk, the file holds what was written before, needs no repair and does not grow
/// with the number of writes; readers never meet a half-written file.
package struct SnapshotFile: Sendable {
    /// Absolute.
    package let path: String

    /// Makes the file, without snapshots and incomplete, readable for the user only.
    /// - Parameter force: replace a file that exists.
    package static func create(at path: String, force: Bool) throws(StoreError) -> SnapshotFile {
        let file = SnapshotFile(path: try FileSystem.absolute(path))
        try file.refuse(force: force)
        var none: [Snapshot] = []
        try file.write(&none, complete: false, replaces: force, into: nil) { _ in }
        return file
    }

    /// What `create` refuses is refused here, in a tenth of the time: to be called before a run. The file is empty then.
    package static func reserve(at path: String, force: Bool) throws(StoreError) -> SnapshotFile {
        let file = SnapshotFile(path: try FileSystem.absolute(path))
        try file.refuse(force: force)
        try file.makePart()
        try file.orRemovePart { () throws(StoreError) in
            try FileSystem.tryRoom(file.part, smallestSize, for: file.path)
            try file.takePart(replaces: force)
        }
        return file
    }

    /// About the size of a file without snapshots.
    private static let smallestSize = 160 << 10

    private var part: String { path + ".part" }

    private func makePart() throws(StoreError) {
        FileSystem.remove(part)
        try FileSystem.reserve(part, for: path)
    }

    private func orRemovePart<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch {
            FileSystem.remove(part)
            throw error
        }
    }

    /// - Parameter replaces: false: there must be no such file before. Also then it is never seen half-written.
    private func takePart(replaces: Bool) throws(StoreError) {
        if replaces { try FileSystem.replace(path, with: part) } else { try FileSystem.name(part, path) }
    }

    private func refuse(force: Bool) throws(StoreError) {
        if let kind = FileSystem.kindOfOther(at: path) { throw .notAFile(path: path, kind: kind) }
        if FileSystem.exists(path) && !force { throw .exists(path: path) }
    }

    /// Replaces the content of the file.
    /// - Parameters:
    ///   - snapshots: one for each process, the first one first.
    ///   - complete: the run is over; nothing is missing.
    package func write(_ snapshots: [Snapshot], complete: Bool) throws(StoreError) {
        var snapshots = snapshots
        try write(&snapshots, complete: complete) { _ in }
    }

    /// The same for snapshots that get their names half-way, while those who look for them are still at it.
    /// - Parameters:
    ///   - draft: of this file, when there is one.
    ///   - name: changes the locations' frames and nothing else. Not called when an error comes before.
    package func write(
        _ snapshots: inout [Snapshot], complete: Bool, into draft: consuming Draft? = nil, name: (inout [Snapshot]) -> Void
    ) throws(StoreError) {
        try write(&snapshots, complete: complete, replaces: true, into: draft, name: name)
    }

    /// What a write begins with: the tables, still empty, in memory. They take two milliseconds to make and some hundred KiB to keep.
    /// Handed from thread to thread, used by one.
    package struct Draft: @unchecked Sendable {
        fileprivate let writer: Writer
    }

    package func draft() throws(StoreError) -> Draft { Draft(writer: try Writer(Database(inMemory: path))) }

    /// Rows that are put together in memory at most: some MiB.
    private static let mostRowsInMemory = 1 << 15

    private func write(
        _ snapshots: inout [Snapshot], complete: Bool, replaces: Bool, into draft: consuming Draft?, name: (inout [Snapshot]) -> Void
    ) throws(StoreError) {
        let rows = snapshots.reduce(0) { $0 + $1.nodes.count + $1.costs.count + $1.liveByGeneration.count + $1.timeline.count }
        let inMemory = rows <= Self.mostRowsInMemory ? draft?.writer : nil
        try makePart()
        try orRemovePart { () throws(StoreError) in
            var writer = if let inMemory { inMemory } else { try Writer(Database(writing: part, for: path)) }
            try writer.begin(snapshots, complete: complete)
            name(&snapshots)
            let database = try writer.end(snapshots)
            if inMemory != nil { try database.copy(to: part) }
            // A machine that fails may lose a checkpoint, the program that it describes is gone as well. The end is kept.
            if complete { try FileSystem.synchronize(part) }
            try takePart(replaces: replaces)
        }
    }

    /// Reads a file of whatever origin.
    /// - Returns: `complete` is false when the run was still going on or its collector was killed.
    package static func read(_ path: String) throws(StoreError) -> (snapshots: [Snapshot], complete: Bool) {
        let (size, start) = try FileSystem.peek(path, count: 100)
        if size == 0 { throw .empty(path: path) }
        guard start.starts(with: "SQLite format 3\0".utf8), start.count == 100, number(start, at: 68) == Schema.applicationID else {
            throw .foreign(path: path)
        }
        let version = number(start, at: 60)
        if version > Schema.version { throw .newer(path: path, version: version) }
        if version > 0 && version < Schema.version { throw .older(path: path, version: version) }
        if version != Schema.version { throw .damaged(path: path, detail: "there is no file version \(version)") }
        var reader = try Reader(path, size: size)
        return try reader.read()
    }

    /// A big-endian number of the database header.
    private static func number(_ bytes: [UInt8], at offset: Int) -> Int {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) }
    }
}
