// SnapshotFileFuzz.swift: reads a damaged snapshot file and makes every report of what was read; for tools/fuzz.
import AllocationProfile
import AllocationReports
import CSQLite
import Glibc

@testable import AllocationStore

/// An input is a whole file, or what to change in a good one: bytes anywhere, or values of rows.
enum SnapshotFileFuzz {
    private static let path = "/dev/shm/snapshot-fuzz-\(getpid())"
    /// A small file of two processes.
    private static let template: [UInt8] = {
        do {
            let file = try SnapshotFile.create(at: path, force: true)
            try file.write([.random(seed: 3, size: 12), .random(seed: 4, size: 12)], complete: true)
        } catch { preconditionFailure("no template: \(error)") }
        defer { unlink(path) }
        return bytes(of: path)
    }()

    /// (table, column) that can be changed.
    private static let columns: [(table: String, column: String)] = Schema.tables.flatMap { table in
        (["id"] + table.columns.map { String($0.prefix { $0 != " " }) }).map { (table.name, $0) }
    }

    /// Never traps, whatever the input is.
    static func run(_ bytes: UnsafeRawBufferPointer) {
        var input = bytes[...]
        let content: [UInt8]?
        let selector = input.popFirst() ?? 0
        switch selector & 3 {
        case 0: content = Array(input)
        case 1: content = patched(input)
        default: content = changed(input)
        }
        guard let content else { return }
        write(content, to: path)
        defer { unlink(path) }
        do {
            let snapshots = try SnapshotFile.read(path).snapshots
            report(snapshots, selector >> 2 & 3)
        } catch {
            precondition(error.description.contains(path), "an error names its file")
        }
    }

    /// Four bytes each: where, and what.
    private static func patched(_ input: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
        var content = template
        var rest = input
        while rest.count >= 4 {
            let patch = [UInt8](rest.prefix(4))
            rest = rest.dropFirst(4)
            content[(Int(patch[0]) << 16 | Int(patch[1]) << 8 | Int(patch[2])) % content.count] = patch[3]
        }
        return content
    }

    // MARK: Values

    private static func changed(_ input: Slice<UnsafeRawBufferPointer>) -> [UInt8]? {
        var input = input
        var database: OpaquePointer?
        guard sqlite3_open(":memory:", &database) == SQLITE_OK, let database else { return nil }
        defer { sqlite3_close(database) }
        let copy = sqlite3_malloc64(UInt64(template.count))!.assumingMemoryBound(to: UInt8.self)
        copy.update(from: template, count: template.count)
        let size = Int64(template.count)
        let flags = UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE)
        guard sqlite3_deserialize(database, "main", copy, size, size, flags) == SQLITE_OK else { return nil }
        sqlite3_exec(database, "PRAGMA journal_mode=OFF; PRAGMA ignore_check_constraints=ON", nil, nil, nil)
        while let selector = input.popFirst() { change(database, columns[Int(selector) % columns.count], &input) }
        var length: Int64 = 0
        guard let image = sqlite3_serialize(database, "main", &length, 0) else { return nil }
        defer { sqlite3_free(image) }
        return Array(UnsafeBufferPointer(start: image, count: Int(length)))
    }

    private static func change(
        _ database: OpaquePointer, _ place: (table: String, column: String), _ input: inout Slice<UnsafeRawBufferPointer>
    ) {
        func byte() -> UInt8 { input.popFirst() ?? 0 }
        let row = Int(byte())
        let kind = byte()
        let sql =
            kind & 0x80 == 0
            ? "UPDATE OR IGNORE \(place.table) SET \(place.column)=? WHERE id=\(row)" : "DELETE FROM \(place.table) WHERE id=\(row)"
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK else { return }
        defer { sqlite3_finalize(statement) }
        switch kind & 7 {
        case 0: sqlite3_bind_int64(statement, 1, Int64(Int8(bitPattern: byte())))
        case 1: sqlite3_bind_int64(statement, 1, (0..<8).reduce(0) { sum, index in sum | Int64(byte()) << (8 * index) })
        case 2: sqlite3_bind_int64(statement, 1, [.max, .min, .max / 2, 1 << 31, 1 << 32, -1, 1 << 53, 1 << 62][Int(byte() & 7)])
        case 3: sqlite3_bind_double(statement, 1, [.infinity, -.infinity, 1e308, -1e308, 1e-308, 0.5, -0.0, 9.3e18][Int(byte() & 7)])
        case 4: sqlite3_bind_null(statement, 1)
        case 5, 6:
            let bytes = [UInt8](input.prefix(Int(byte())))
            input = input.dropFirst(bytes.count)
            if kind & 7 == 5 {
                bytes.withUnsafeBytes {
                    let text = $0.bindMemory(to: CChar.self).baseAddress
                    _ = sqlite3_bind_text64(statement, 1, text, UInt64(bytes.count), csqlite_transient(), UInt8(SQLITE_UTF8))
                }
            } else {
                sqlite3_bind_blob64(statement, 1, bytes, UInt64(bytes.count), csqlite_transient())
            }
        default: sqlite3_bind_zeroblob(statement, 1, Int32(byte()) << 8)
        }
        sqlite3_step(statement)
    }

    // MARK: Reports

    /// What the reading commands make of a file; all of it at once would take most of the time.
    private static func report(_ snapshots: [Snapshot], _ kind: UInt8) {
        for snapshot in snapshots {
            for node in snapshot.nodes.indices.dropFirst() {
                precondition(snapshot.nodes[node].parent < node, "a caller stands before its callees")
            }
        }
        switch kind {
        case 0: tables(snapshots)
        case 1: for format in ExportFormat.allCases { try? Export(snapshots, as: format).write { _ in } }
        case 2: _ = Page(snapshots, PageQuestion()).html(nonce: "n")
        default: _ = Page(old: snapshots, new: snapshots, PageQuestion()).html(nonce: "n")
        }
    }

    private static func tables(_ snapshots: [Snapshot]) {
        var question = ReportQuestion()
        for metric in Metric.allCases {
            question.metric = metric
            if let report = try? StatisticsReport(snapshots, question) { plain(report.text(), report.json()) }
            plain(TreeReport(snapshots, measuring: metric).text(), "")
            if let report = try? DifferenceReport(old: snapshots, new: snapshots.reversed(), question) {
                plain(report.text(), report.json())
            }
        }
        if let report = try? ProcessReport(snapshots) { plain(report.text(), report.json()) }
        if let report = try? RunSummary(snapshots, limit: 10) { plain(report.text(), "") }
        let advice = AdviceReport(snapshots)
        plain(advice.text(), advice.json())
    }

    /// What reaches a terminal has no control characters but the newline; what is JSON has none at all but its own layout.
    private static func plain(_ text: String, _ json: String) {
        for byte in text.utf8 { precondition(byte >= 32 && byte != 127 || byte == 10, "a control character in a report") }
        for byte in json.utf8 { precondition(byte >= 32 || byte == 10, "a control character in JSON") }
    }
}
