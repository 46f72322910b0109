// SnapshotFileTests.swift: what is written is read, and the file is whole at every moment.
import AllocationProfile
import AllocationStore
import Glibc
import Testing

@Suite struct SnapshotFileTests {
    private let scratch = Scratch()

    @Test(arguments: [0, 1, 2, .random(in: 3...(.max))] as [UInt64]) func readsWhatWasWritten(seed: UInt64) throws {
        print("seed \(seed)")
        let snapshots = (0..<3).map { Snapshot.random(seed: seed &+ $0, size: 40) }
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write(snapshots, complete: true)
        let (read, complete) = try SnapshotFile.read(file.path)
        #expect(complete && read.count == 3)
        for (one, other) in zip(snapshots, read) { #expect(other.differences(to: one) == []) }
    }

    /// Rows of nodes that begin in one process and end in the next; each half as long as a row and a little more.
    @Test func readsMoreNodesThanARowHolds() throws {
        let snapshots = [1, 1030, 1100, 1].map { Snapshot.random(seed: UInt64($0), size: $0 + 1) }
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write(snapshots, complete: true)
        #expect(
            sql(file.path, "SELECT length(packed) FROM nodes") == ["32768", "\((snapshots.map(\.nodes.count).reduce(0, +) - 4096) * 8)"])
        for (one, other) in zip(snapshots, try SnapshotFile.read(file.path).snapshots) { #expect(other.differences(to: one) == []) }
    }

    @Test func readsASnapshotWithoutAnything() throws {
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([Snapshot(process: ProcessSummary())], complete: false)
        let (read, complete) = try SnapshotFile.read(file.path)
        #expect(!complete && read.count == 1)
        #expect(read.first?.differences(to: Snapshot(process: ProcessSummary())) == [])
    }

    @Test func storesTimesThatAreNoNumbersAsZero() throws {
        var snapshot = Snapshot(process: ProcessSummary())
        snapshot.process.duration = .nan
        snapshot.process.started = -.infinity
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot], complete: true)
        #expect(try SnapshotFile.read(file.path).snapshots.map(\.process) == [ProcessSummary()])
    }

    @Test func isThereBeforeTheRunAndReadable() throws {
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        let (snapshots, complete) = try SnapshotFile.read(file.path)
        #expect(snapshots.isEmpty && !complete)
        var status = stat()
        #expect(stat(file.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test func identifiesItself() throws {
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        let header = bytes(of: file.path)
        #expect(header[68..<72].elementsEqual("TMAL".utf8))
        #expect(header[60..<64].elementsEqual([0, 0, 0, 4]))
    }

    /// Both ways to a new file refuse the same.
    enum Maker: CaseIterable {
        case create, reserve

        @discardableResult func callAsFunction(at path: String, force: Bool) throws(StoreError) -> SnapshotFile {
            switch self {
            case .create: try .create(at: path, force: force)
            case .reserve: try .reserve(at: path, force: force)
            }
        }
    }

    @Test(arguments: Maker.allCases) func overwritesOnlyWhenForced(make: Maker) throws {
        write("precious".utf8, to: scratch("a.tmalloc"))
        #expect(throws: StoreError.exists(path: scratch("a.tmalloc"))) { try make(at: scratch("a.tmalloc"), force: false) }
        #expect(bytes(of: scratch("a.tmalloc")) == Array("precious".utf8))
        for path in [scratch("a.tmalloc"), scratch("new.tmalloc")] {
            try make(at: path, force: true)
            switch make {
            case .create: #expect(try SnapshotFile.read(path).snapshots.isEmpty)
            case .reserve: #expect(throws: StoreError.empty(path: path)) { try SnapshotFile.read(path) }
            }
        }
        #expect(scratch.names == ["a.tmalloc", "new.tmalloc"])
    }

    @Test(arguments: [300, 20_000]) func `a draft that was begun early becomes the file's content, in memory unless that is large`(
        size: Int
    ) throws {
        let snapshot = Snapshot.random(seed: 18, size: size)
        let file = try SnapshotFile.reserve(at: scratch("a.tmalloc"), force: false)
        let draft = try file.draft()
        #expect(throws: StoreError.empty(path: file.path)) { try SnapshotFile.read(file.path) }
        var snapshots = [snapshot]
        var isInMemory: Bool?
        try file.write(&snapshots, complete: true, into: draft) { _ in isInMemory = bytes(of: file.path + ".part").isEmpty }
        #expect(isInMemory == (size == 300))
        let read = try SnapshotFile.read(file.path)
        #expect(read.complete && read.snapshots.map { $0.differences(to: snapshot) } == [[]])
        #expect(scratch.names == ["a.tmalloc"])
    }

    @Test(arguments: Maker.allCases, [false, true]) func refusesWhatIsNoFile(make: Maker, force: Bool) throws {
        mkdir(scratch("folder"), 0o700)
        mkfifo(scratch("fifo"), 0o600)
        write("precious".utf8, to: scratch("target"))
        symlink(scratch("target"), scratch("link"))
        symlink(scratch("nowhere"), scratch("dangling"))
        for (name, kind) in [("folder", "a directory"), ("fifo", "a FIFO"), ("link", "a symbolic link"), ("dangling", "a symbolic link")] {
            #expect(throws: StoreError.notAFile(path: scratch(name), kind: kind)) {
                try make(at: scratch(name), force: force)
            }
        }
        #expect(bytes(of: scratch("target")) == Array("precious".utf8))
        #expect(scratch.names == ["dangling", "fifo", "folder", "link", "target"])
    }

    @Test(arguments: Maker.allCases) func saysWhyItCannotWrite(make: Maker) {
        #expect(throws: StoreError.noDirectory(path: scratch("no/a.tmalloc"))) {
            try make(at: scratch("no/a.tmalloc"), force: false)
        }
        write("".utf8, to: scratch("file"))
        #expect(throws: StoreError.cannotWrite(path: scratch("file/a.tmalloc"), reason: "Not a directory")) {
            try make(at: scratch("file/a.tmalloc"), force: false)
        }
        for path in ["", "\(scratch.path)/", "a\u{0}b", "\(scratch.path)/.."] {
            #expect(throws: StoreError.self) { try make(at: path, force: true) }
        }
        let long = scratch(String(repeating: "x", count: 300))
        #expect(throws: StoreError.cannotWrite(path: long, reason: "File name too long")) {
            try make(at: long, force: false)
        }
        // The name fits, but not that of the new content: nothing may be left behind.
        #expect(throws: StoreError.self) { try make(at: scratch(String(repeating: "x", count: 253)), force: false) }
        #expect(scratch.names == ["file"])
    }

    @Test func doesNotGrowWithCheckpoints() throws {
        let snapshot = Snapshot.random(seed: 5, size: 200)
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot], complete: false)
        let size = bytes(of: file.path).count
        for _ in 0..<5 { try file.write([snapshot], complete: false) }
        #expect(bytes(of: file.path).count == size)
        #expect(scratch.names == ["a.tmalloc"])
    }

    @Test func survivesAKillInTheMiddleOfAWrite() throws {
        let snapshot = Snapshot.random(seed: 6, size: 100)
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot], complete: false)
        // What a kill leaves behind: the beginning of the next content.
        write(bytes(of: file.path).prefix(9000), to: file.path + ".part")
        #expect(try SnapshotFile.read(file.path).snapshots[0].differences(to: snapshot) == [])
        try file.write([snapshot, snapshot], complete: true)
        #expect(try SnapshotFile.read(file.path).snapshots.count == 2)
        #expect(scratch.names == ["a.tmalloc"])
    }

    @Test func `names that come half-way are in the file, and a write that fails before does not ask for them`() throws {
        let named = Snapshot.random(seed: 17, size: 300)
        var snapshots = [named, named]
        for index in snapshots.indices {
            for location in named.locations.indices { snapshots[index].locations[location].frames = [] }
        }
        let nameless = snapshots
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write(&snapshots, complete: true) { $0 = [named, named] }
        #expect(snapshots.map { $0.differences(to: named) } == [[], []])
        #expect(try SnapshotFile.read(file.path).snapshots.map { $0.differences(to: named) } == [[], []])

        mkdir(file.path + ".part", 0o700)
        snapshots = nameless
        var isAsked = false
        #expect(throws: StoreError.self) { try file.write(&snapshots, complete: true) { _ in isAsked = true } }
        #expect(!isAsked)
    }

    @Test func keepsThePreviousContentWhenAWriteFails() throws {
        let snapshot = Snapshot.random(seed: 7, size: 100)
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot], complete: false)
        mkdir(file.path + ".part", 0o700)
        #expect(throws: StoreError.self) { try file.write([], complete: true) }
        #expect(try SnapshotFile.read(file.path).snapshots[0].differences(to: snapshot) == [])
    }

    @Test(.enabled(if: geteuid() == 0, "needs root to mount a small file system"))
    func keepsThePreviousContentWhenTheDiskIsFull() throws {
        mkdir(scratch("small"), 0o700)
        // Containers refuse mounts to root as well.
        guard mount("none", scratch("small"), "tmpfs", 0, "size=1m") == 0 else { try Test.cancel("cannot mount a small file system here") }
        defer { umount(scratch("small")) }
        let file = try SnapshotFile.create(at: scratch("small/a.tmalloc"), force: false)
        let small = Snapshot.random(seed: 8, size: 100)
        try file.write([small], complete: false)
        let large = Snapshot.random(seed: 9, size: 20_000)
        #expect(throws: StoreError.diskFull(path: file.path)) { try file.write([large], complete: true) }
        #expect(try SnapshotFile.read(file.path).snapshots[0].differences(to: small) == [])
        try file.write([small], complete: true)
        #expect(try SnapshotFile.read(file.path).complete)
    }

    @Test func staysTheSameFileWhenTheWorkingDirectoryChanges() throws {
        mkdir(scratch("folder"), 0o700)
        symlink(scratch("folder"), scratch("link"))
        let file = try SnapshotFile.create(at: scratch("link/../folder/a ?#%é.tmalloc"), force: false)
        #expect(file.path == scratch("folder/a ?#%é.tmalloc"))
        #expect(try SnapshotFile.read(scratch("link/a ?#%é.tmalloc")).snapshots.isEmpty)
        unlink(file.path)
    }

    @Test func answersTheQueriesOfItsReadMe() throws {
        var snapshot = Snapshot(process: ProcessSummary())
        snapshot.process.command = ["jq", "."]
        snapshot.modules = [Module(path: "/lib/libjq.so", bias: 0x1000)]
        var malloc = Frame(function: "malloc", module: "/lib/libc.so")
        malloc.isSystem = true
        snapshot.locations = [
            Location(address: 1, module: -1, frames: [Frame(function: "parse", file: "parse.c", line: 7, module: "/bin/jq")]),
            Location(address: 2, module: -1, frames: [malloc]), Location(address: 0x101F, module: 0),
        ]
        snapshot.nodes += [StackNode(parent: 0, location: 0), StackNode(parent: 1, location: 1), StackNode(parent: 0, location: 2)]
        for (stack, bytes) in [(2, 64), (3, 100)] as [(Int32, Int)] {
            var cost = StackCost(stack: stack)
            cost.current = Tally(bytes: bytes, count: 2)
            snapshot.costs.append(cost)
        }
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot], complete: true)

        #expect(
            sql(file.path, "SELECT function, file, line, module, address, current_bytes, current_count FROM sites ORDER BY 6 DESC")
                == ["NULL|NULL|NULL|/lib/libjq.so|31|100|2", "parse|parse.c|7|/bin/jq|NULL|64|2"])
        #expect(sql(file.path, "SELECT command FROM processes") == ["jq ."])

        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let readMe = String(decoding: bytes(of: "/\(folder)/Sources/AllocationStore/README.md"), as: UTF8.self)
        let queries = readMe.split(separator: "```sql\n", omittingEmptySubsequences: false).dropFirst().map { $0.prefix { $0 != "`" } }
        #expect(queries.count >= 3)
        for query in queries {
            let rows = sql(file.path, String(query))
            #expect(!rows.isEmpty && rows.first?.hasPrefix("error") == false, "\(query) answers \(rows)")
        }
        sql(file.path, "UPDATE figures SET current_bytes=1000 WHERE id=(SELECT figures FROM cost WHERE stack=2)")
        #expect(queries.last.map { sql(file.path, String($0)) } == ["0|malloc|NULL|NULL", "1|parse|parse.c|7"])
    }

    @Test func `equal figures and equal places are stored once`() throws {
        var snapshot = Snapshot(process: ProcessSummary())
        snapshot.locations = [Location(address: 1, module: -1), Location(address: 2, module: -1)]
        snapshot.threads.append(TracedThread(id: 7, name: "worker"))
        snapshot.nodes += (0..<100).map { StackNode(parent: $0, location: $0 % 2) }
        for stack in 1...100 as ClosedRange<Int32> {
            for thread in 0...1 as ClosedRange<Int32> {
                var cost = StackCost(stack: stack)
                cost.thread = thread
                cost.total = Tally(bytes: 10, count: stack == 50 ? 2 : 1)
                cost.sizes = snapshot.histograms.number(of: [UInt64](repeating: stack == 70 ? 1 : 0, count: StackCost.sizeBuckets))
                cost.lifetimes = snapshot.histograms.number(of: [UInt64](repeating: stack == 60 ? 1 : 0, count: StackCost.lifetimeBuckets))
                snapshot.costs.append(cost)
            }
        }
        let file = try SnapshotFile.create(at: scratch("a.tmalloc"), force: false)
        try file.write([snapshot, snapshot], complete: true)
        #expect(sql(file.path, "SELECT count(*) FROM cost") == ["400"])
        #expect(sql(file.path, "SELECT count(*) FROM figures") == ["8"])
        #expect(sql(file.path, "SELECT count(*) FROM place") == ["8"])
        #expect(try SnapshotFile.read(file.path).snapshots.map { $0.differences(to: snapshot) } == [[], []])
    }
}
