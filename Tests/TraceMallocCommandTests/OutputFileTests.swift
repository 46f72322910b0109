// OutputFileTests.swift: what is written when several threads write to the file of a run.
import AllocationProfile
import AllocationStore
import Glibc
import Testing

@testable import TraceMallocCommand

@Suite struct OutputFileTests {
    private func path() throws -> String {
        var template = Array("/tmp/output.XXXXXX".utf8CString)
        return String(cString: try #require(mkdtemp(&template))) + "/a.tmalloc"
    }

    private func remove(_ path: String) {
        unlink(path)
        rmdir(String(path.dropLast("/a.tmalloc".count)))
    }

    @Test func `a checkpoint that comes after the end changes nothing`() throws {
        let path = try path()
        defer { remove(path) }
        let file = try OutputFile(path: path, force: false)
        var snapshots = [Snapshot(process: ProcessSummary())]
        try file.complete(&snapshots) { _ in }
        try file.write([])
        let read = try SnapshotFile.read(path)
        #expect(read.complete && read.snapshots.count == 1)
    }

    @Test func `a checkpoint between the beginning of the last write and its end costs neither of them anything`() throws {
        let path = try path()
        defer { remove(path) }
        let file = try OutputFile(path: path, force: false)
        file.prepare()
        try file.write([])
        var snapshots = [Snapshot(process: ProcessSummary())]
        try file.complete(&snapshots) { _ in }
        let read = try SnapshotFile.read(path)
        #expect(read.complete && read.snapshots.count == 1)
        #expect(access(path + ".part", F_OK) != 0)
    }

    @Test func `a file that nothing came of is removed for good`() throws {
        let path = try path()
        defer { remove(path) }
        try OutputFile(path: path, force: false).remove()
        usleep(60_000)
        #expect(access(path, F_OK) != 0 && access(path + ".part", F_OK) != 0)
    }

    @Test func `a file that is to be written says after a moment that there is nothing yet`() throws {
        let path = try path()
        defer { remove(path) }
        let file = try OutputFile(path: path, force: false)
        for _ in 0..<500 where (try? SnapshotFile.read(path)) == nil { usleep(10_000) }
        let read = try SnapshotFile.read(file.path)
        #expect(!read.complete && read.snapshots.isEmpty)
    }
}
