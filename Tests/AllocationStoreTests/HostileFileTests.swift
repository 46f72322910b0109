// HostileFileTests.swift: whatever a file contains, reading it ends with snapshots or a sentence.
import AllocationProfile
import AllocationStore
import Glibc
import Testing

@Suite struct HostileFileTests {
    private let scratch = Scratch()

    /// A good file to be spoiled.
    private func good() throws -> String {
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: true)
        try file.write([.random(seed: 11, size: 60), .random(seed: 12, size: 60)], complete: true)
        return file.path
    }

    private func error(_ path: String) -> StoreError? {
        do {
            _ = try SnapshotFile.read(path)
            return nil
        } catch {
            return error
        }
    }

    @Test func refusesWhatIsNoSnapshotFile() throws {
        #expect(error(scratch("none")) == .missing(path: scratch("none")))
        #expect(error("") == .missing(path: ""))
        #expect(error(scratch.path) == .notAFile(path: scratch.path, kind: "a directory"))
        mkfifo(scratch("fifo"), 0o600)
        #expect(error(scratch("fifo")) == .notAFile(path: scratch("fifo"), kind: "a FIFO"))
        #expect(error("/dev/zero") == .notAFile(path: "/dev/zero", kind: "a device"))
        write("".utf8, to: scratch("empty"))
        #expect(error(scratch("empty")) == .empty(path: scratch("empty")))
        for text in ["x", "SQLite format 3\0", String(repeating: "hello\n", count: 1000)] {
            write(text.utf8, to: scratch("text"))
            #expect(error(scratch("text")) == .foreign(path: scratch("text")))
        }
        sql(scratch("other.db"), "CREATE TABLE node(id)")
        #expect(error(scratch("other.db")) == .foreign(path: scratch("other.db")))
        write("".utf8, to: scratch("file"))
        #expect(error(scratch("file/a")) == .cannotRead(path: scratch("file/a"), reason: "Not a directory"))
    }

    @Test func namesNewerVersions() throws {
        let path = try good()
        sql(path, "PRAGMA user_version=5")
        #expect(error(path) == .newer(path: path, version: 5))
        #expect(error(path)?.description.contains("a newer tracemalloc can read it") == true)
        sql(path, "PRAGMA user_version=3")
        #expect(error(path) == .older(path: path, version: 3))
        #expect(error(path)?.description.contains("record it again") == true)
        sql(path, "PRAGMA user_version=0")
        #expect(error(path) == .damaged(path: path, detail: "there is no file version 0"))
    }

    @Test func readsWithoutTouchingAnything() throws {
        let path = try good()
        let before = bytes(of: path)
        chmod(path, 0o400)
        // Remains of a transaction that never was.
        write("rubbish".utf8, to: path + "-journal")
        write("rubbish".utf8, to: path + "-wal")
        #expect(error(path) == nil)
        #expect(scratch.names == ["a.tmalloc", "a.tmalloc-journal", "a.tmalloc-wal"])
        #expect(bytes(of: path) == before)
    }

    @Test func allowsWhatPeopleAdd() throws {
        let path = try good()
        sql(path, "CREATE INDEX mine ON cost(stack); CREATE TABLE notes(text); CREATE VIEW v AS SELECT * FROM sites; VACUUM")
        #expect(error(path) == nil)
        #expect(try SnapshotFile.read(path).snapshots[1].differences(to: .random(seed: 12, size: 60)) == [])
    }

    /// Puts another node in the place of node `number`.
    private static func node(_ number: Int, parent: UInt32, location: Int64) -> String {
        let digits = [UInt64(parent), UInt64(location + 3)].map { String($0 | 1 << 32, radix: 16).dropFirst() }.joined()
        return "UPDATE nodes SET packed=CAST(substr(packed, 1, \(number * 8))||x'\(digits)'||substr(packed, \(number * 8 + 9)) AS BLOB)"
    }

    @Test(arguments: [
        "DELETE FROM file", "INSERT INTO file VALUES(1, 0)", "UPDATE file SET complete=2",
        "DELETE FROM nodes", "INSERT INTO nodes VALUES(NULL, zeroblob(8))", "UPDATE nodes SET packed=x''",
        "UPDATE nodes SET packed=CAST(packed||zeroblob(1) AS BLOB)", "UPDATE nodes SET packed=CAST(packed||zeroblob(8) AS BLOB)",
        "UPDATE nodes SET packed=substr(packed, 1, length(packed) - 8)", "UPDATE nodes SET packed=zeroblob(32776)",
        "UPDATE nodes SET packed='text'", "UPDATE nodes SET packed=8",
        node(3, parent: 3, location: -1), node(3, parent: .max, location: -1), node(3, parent: 1_000_000_000, location: -1),
        node(200, parent: 1 << 31, location: -1), node(130, parent: 0, location: -1), node(3, parent: 0, location: 1_000_000),
        node(0, parent: 0, location: 0), node(3, parent: 0, location: 70), node(3, parent: 0, location: 0xffff_ffff - 3),
        "UPDATE process SET node_count=0 WHERE id=0", "UPDATE process SET node_count=9223372036854775807 WHERE id=0",
        "UPDATE process SET pid=3000000000", "UPDATE process SET exit_kind=3", "UPDATE process SET allocations=-1",
        "UPDATE process SET duration='long'", "UPDATE process SET duration=9e999", "UPDATE process SET executable=-1",
        "DELETE FROM process",
        "UPDATE argument SET process=2", "UPDATE argument SET process=1-process", "UPDATE warning SET value=100000",
        "UPDATE module SET process=-1", "UPDATE module SET build_id='text'", "UPDATE module SET path=4611686018427387904",
        "UPDATE location SET module=1000", "UPDATE location SET module=-1", "UPDATE location SET is_exact=7",
        "UPDATE location SET address=0.5",
        "UPDATE frame SET location=1000000 WHERE id=(SELECT max(id) FROM frame)", "UPDATE frame SET location=-1 WHERE id=0",
        "UPDATE frame SET location=100 WHERE id=1", "UPDATE frame SET function=-5", "UPDATE frame SET line=-1",
        "UPDATE frame SET is_system=2",
        "UPDATE cost SET stack=0", "UPDATE cost SET stack=100000", "UPDATE cost SET stack=-1", "UPDATE cost SET place=-1",
        "UPDATE cost SET place=100000", "UPDATE cost SET figures=-1", "UPDATE cost SET figures=9223372036854775807",
        "UPDATE cost SET place=(SELECT max(id) FROM place)", "UPDATE cost SET place=0",
        "UPDATE place SET process=1-process", "UPDATE place SET process=7", "UPDATE place SET thread=-1", "UPDATE place SET thread=1000",
        "UPDATE place SET domain=-1", "UPDATE figures SET total_bytes=-1", "UPDATE figures SET peak_count='many'",
        "UPDATE figures SET sizes=x'00'", "UPDATE figures SET sizes=x'ffffffffffffffffffffffff'",
        "UPDATE figures SET sizes=zeroblob(33)", "UPDATE figures SET lifetimes=zeroblob(600000) WHERE id=9",
        "UPDATE figures SET lifetimes=7", "DELETE FROM figures", "DELETE FROM place",
        "UPDATE generation SET name=-1", "UPDATE generation SET start=x'00'", "UPDATE alive SET generation=4", "UPDATE alive SET stack=-7",
        "UPDATE alive SET count=-2", "UPDATE alive SET stack=1", "UPDATE moment SET resident_bytes=-1",
        "UPDATE moment SET process=1-process",
        "UPDATE moment_stack SET stack=99999", "UPDATE moment_stack SET moment=99999", "UPDATE moment_stack SET moment=5-moment",
        "UPDATE text SET value=zeroblob(10)", "DELETE FROM text WHERE id=0",
        "DROP TABLE nodes", "ALTER TABLE nodes ADD COLUMN more",
        "DROP TABLE nodes; CREATE TABLE nodes(id INTEGER PRIMARY KEY, packed)",
        "DROP TABLE nodes; CREATE VIEW nodes AS WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n) "
            + "SELECT id, zeroblob(32768) AS packed FROM n",
        "UPDATE sqlite_master SET sql='nonsense' WHERE name='nodes'", "UPDATE sqlite_master SET rootpage=1 WHERE name='cost'",
        "UPDATE sqlite_master SET rootpage=(SELECT rootpage FROM sqlite_master WHERE name='frame') WHERE name='alive'",
        "UPDATE sqlite_master SET rootpage=1000000 WHERE name='text'", "DELETE FROM sqlite_master WHERE name='cost'",
        "INSERT INTO sqlite_master SELECT * FROM sqlite_master WHERE name='nodes'",
    ]) func refusesContentThatDoesNotAddUp(change: String) throws {
        let path = try good()
        let done = sql(path, change)
        #expect(done.first?.hasPrefix("error") != true, "\(change) was not possible: \(done)")
        guard case .damaged(path, let detail) = error(path) else {
            Issue.record("\(change) led to \(error(path)?.description ?? "no error")")
            return
        }
        #expect(!detail.isEmpty)
    }

    /// Four texts of a megabyte each that claim the same pages: memory for a hundred such texts would cost a file nothing.
    @Test func refusesTextsThatShareTheirSpace() throws {
        let path = try good()
        for id in 0..<4 { sql(path, "UPDATE text SET value=printf('%.*c', 1000000, '~') WHERE id=\(id)") }
        #expect(error(path) == nil)
        var content = bytes(of: path)
        let pageSize = 8192
        func page(at offset: Int) -> Int { content[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
        // What does not fit into a row's page is a chain of pages; the row ends with the number of the first one.
        var links: [Int] = []
        for offset in 8..<content.count - 4 where content[offset] != 0x7E && content[offset - 8..<offset].allSatisfy({ $0 == 0x7E }) {
            let start = page(at: offset) * pageSize - pageSize
            if start >= 0, start + pageSize <= content.count, offset % pageSize != 0, content[start + 4] == 0x7E { links.append(offset) }
        }
        try #require(links.count == 4)
        let first = links.map(page(at:)).min()!
        let cut = links.map(page(at:)).sorted()[1] - 1
        for link in links { for byte in 0..<4 { content[link + byte] = UInt8(truncatingIfNeeded: first >> (24 - 8 * byte)) } }
        for byte in 0..<4 { content[28 + byte] = UInt8(truncatingIfNeeded: cut >> (24 - 8 * byte)) }
        write(content.prefix(cut * pageSize), to: path)
        #expect(error(path) == .damaged(path: path, detail: "its texts are larger than the file"))
    }

    @Test func refusesTruncatedFiles() throws {
        let path = try good()
        let content = bytes(of: path)
        for part in stride(from: 1, to: content.count, by: content.count / 40) {
            write(content.prefix(part), to: scratch("cut"))
            switch error(scratch("cut")) {
            case .damaged, .foreign: break
            case let other: Issue.record("cut at \(part) of \(content.count): \(other?.description ?? "no error")")
            }
        }
    }

    @Test func survivesFlippedBits() throws {
        let content = bytes(of: try good())
        let seed = UInt64.random(in: 0...(.max))
        print("seed \(seed)")
        var random = SeededGenerator(seed: seed)
        var refused = 0
        for variant in 0..<400 {
            var spoiled = content
            for _ in 0..<(1 << (variant % 5)) {
                // Half of the flips hit the places that steer SQLite: the file header and the starts of pages.
                let page = Int.random(in: 0..<content.count / 8192, using: &random) * 8192
                let offset =
                    Bool.random(using: &random)
                    ? page + Int.random(in: 0..<120, using: &random) : .random(in: 0..<content.count, using: &random)
                spoiled[offset] ^= 1 << UInt8.random(in: 0...7, using: &random)
            }
            write(spoiled, to: scratch("flipped"))
            if let error = error(scratch("flipped")) {
                refused += 1
                #expect(!error.description.isEmpty)
            } else {
                // Not every flip can be noticed, but what is read must be safe to work with.
                for snapshot in try SnapshotFile.read(scratch("flipped")).snapshots {
                    for node in snapshot.nodes.indices.dropFirst() { #expect(snapshot.nodes[node].parent < node) }
                    _ = try snapshot.statistics(groupedBy: .traceback, measuring: .total, limit: 3)
                }
            }
        }
        #expect(refused > 100)
        #expect(Set(scratch.names) == ["a.tmalloc", "flipped"])
    }
}
