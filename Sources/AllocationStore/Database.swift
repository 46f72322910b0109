// Database.swift: SQLite's C interface as two small types, and what was read lately. All unsafe code of the module is here.
import CSQLite
import Glibc

/// Tells SQLite to count no memory: a tenth of the time of short statements, and nobody asks. For a program that has SQLite to itself,
/// before its first use.
package func forgoMemoryFigures() { _ = csqlite_forgo_memory_figures() }

/// An open database. Closed with its last statement.
final class Database {
    let path: String
    private let isWritten: Bool
    /// Name for error messages: of the file that people know.
    let name: String
    fileprivate let handle: OpaquePointer

    /// Opens the new, empty file at `path` for filling.
    ///
    /// Neither journal nor synchronization: the file takes its name only when it is whole, so there is nothing to roll back.
    init(writing path: String, for name: String) throws(StoreError) {
        (self.path, self.name, isWritten) = (path, name, true)
        handle = try Database.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, name)
        try run("\(Database.layout); PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE")
    }

    /// Makes one without a file, for filling and `copy(to:)`.
    init(inMemory name: String) throws(StoreError) {
        (path, self.name, isWritten) = (":memory:", name, true)
        handle = try Database.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, name)
        try run(Database.layout)
    }

    private static let layout = "PRAGMA page_size=8192; PRAGMA journal_mode=OFF"

    /// Opens a file from anywhere for reading. Nothing in it is believed, and nothing beside it is looked at or made.
    ///
    /// Files are replaced and never changed, so that reading needs neither locks nor journals: `immutable`.
    init(reading path: String) throws(StoreError) {
        (self.path, name, isWritten) = (path, path, false)
        let uri = "file:\(Database.escaped(path))?mode=ro&immutable=1"
        handle = try Database.open(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, name)
        guard csqlite_distrust(handle) == SQLITE_OK else { throw .cannotRead(path: path, reason: "SQLite cannot be secured") }
        // No memory mapping: a file that shrinks while it is read is an error then, not a signal.
        try run("PRAGMA mmap_size=0; PRAGMA cell_size_check=ON")
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 1 << 26)
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
    }

    deinit { sqlite3_close_v2(handle) }

    private static func open(_ path: String, _ flags: Int32, _ name: String) throws(StoreError) -> OpaquePointer {
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let handle else {
            let reason = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(handle)
            throw flags & SQLITE_OPEN_READONLY != 0 ? .cannotRead(path: name, reason: reason) : .cannotWrite(path: name, reason: reason)
        }
        return handle
    }

    private static func escaped(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default: text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }

    /// Runs statements that have no result.
    func run(_ sql: String) throws(StoreError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
    }

    /// Copies all of it into the new, empty file at `path`, page by page.
    func copy(to path: String) throws(StoreError) {
        let file = try Database(writing: path, for: name)
        guard let copy = sqlite3_backup_init(file.handle, "main", handle, "main") else { throw file.failure() }
        sqlite3_backup_step(copy, -1)
        // Says what went wrong in any step, and leaves it with the file.
        guard sqlite3_backup_finish(copy) == SQLITE_OK else { throw file.failure() }
    }

    /// What SQLite's last error means.
    fileprivate func failure() -> StoreError {
        let words = String(cString: sqlite3_errmsg(handle))
        let code = sqlite3_extended_errcode(handle)
        // Where SQLite may not write it reads: that is no fault of a file of ours.
        if !isWritten { return .damaged(path: name, detail: words) }
        let systemError = sqlite3_system_errno(handle)
        if code & 0xFF == SQLITE_FULL || FileSystem.meansFull(systemError) { return .diskFull(path: name) }
        return .cannotWrite(path: name, reason: systemError == 0 ? words : FileSystem.words(systemError))
    }
}

/// A prepared statement. Columns and parameters count from 0.
final class Statement {
    private let database: Database
    private let handle: OpaquePointer

    init(_ database: Database, _ sql: String) throws(StoreError) {
        var handle: OpaquePointer?
        guard sqlite3_prepare_v2(database.handle, sql, -1, &handle, nil) == SQLITE_OK, let handle else { throw database.failure() }
        (self.database, self.handle) = (database, handle)
    }

    deinit { sqlite3_finalize(handle) }

    // Filling. Binding can fail for lack of memory only; the column is NULL then and its constraint refuses the row.
    func set(_ index: Int32, _ value: Int) { sqlite3_bind_int64(handle, index + 1, Int64(value)) }
    func set(_ index: Int32, _ value: UInt64) { sqlite3_bind_int64(handle, index + 1, Int64(bitPattern: value)) }
    func set(_ index: Int32, _ value: Bool) { sqlite3_bind_int64(handle, index + 1, value ? 1 : 0) }
    func set(_ index: Int32, _ value: Double) { sqlite3_bind_double(handle, index + 1, value.isFinite ? value : 0) }
    func setNull(_ index: Int32) { sqlite3_bind_null(handle, index + 1) }

    func set(_ index: Int32, _ value: String) {
        var value = value
        value.withUTF8 { bytes in
            _ = bytes.withMemoryRebound(to: CChar.self) { characters in
                sqlite3_bind_text64(
                    handle, index + 1, characters.baseAddress, UInt64(characters.count), csqlite_transient(), UInt8(SQLITE_UTF8))
            }
        }
    }

    func set(_ index: Int32, _ value: [UInt8]) { value.withUnsafeBytes { setBytes(index, $0) } }
    /// The bytes of the numbers as they lie in memory.
    func set(_ index: Int32, _ value: [UInt64]) { value.withUnsafeBytes { setBytes(index, $0) } }

    private func setBytes(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        // An empty array may have no address, which SQLite would take for NULL.
        if bytes.isEmpty {
            sqlite3_bind_zeroblob(handle, index + 1, 0)
        } else {
            sqlite3_bind_blob64(handle, index + 1, bytes.baseAddress, UInt64(bytes.count), csqlite_transient())
        }
    }

    /// Inserts the row that was set.
    func insert() throws(StoreError) {
        guard sqlite3_step(handle) == SQLITE_DONE else { throw database.failure() }
        sqlite3_reset(handle)
    }

    // Reading
    /// Goes to the next row.
    func next() throws(StoreError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw database.failure()
        }
    }

    func isNull(_ index: Int32) -> Bool { sqlite3_column_type(handle, index) == SQLITE_NULL }

    /// The value is asked for once, and read as an "unprotected" one: no other thread knows the statement.
    func integer(_ index: Int32) throws(StoreError) -> Int {
        let value = sqlite3_column_value(handle, index)
        guard sqlite3_value_type(value) == SQLITE_INTEGER else { throw wrongType(index, "a number") }
        return Int(sqlite3_value_int64(value))
    }

    func real(_ index: Int32) throws(StoreError) -> Double {
        let type = sqlite3_column_type(handle, index)
        let value = sqlite3_column_double(handle, index)
        guard type == SQLITE_FLOAT || type == SQLITE_INTEGER, value.isFinite else { throw wrongType(index, "a number") }
        return value
    }

    /// `budget`: bytes that the file can hold in all; reading more than that means that texts share space to exhaust memory.
    func text(_ index: Int32, _ budget: inout Int) throws(StoreError) -> String {
        guard sqlite3_column_type(handle, index) == SQLITE_TEXT else { throw wrongType(index, "a text") }
        guard let start = sqlite3_column_text(handle, index) else { throw database.failure() }
        let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, index)))
        try spend(bytes.count, &budget)
        return String(decoding: bytes, as: UTF8.self)
    }

    func bytes(_ index: Int32, _ budget: inout Int) throws(StoreError) -> [UInt8] { [UInt8](try blob(index, &budget)) }

    /// Bytes as numbers, as they lie in memory; nil when they are no whole number of them.
    func words(_ index: Int32, _ budget: inout Int) throws(StoreError) -> [UInt64]? {
        let bytes = try blob(index, &budget)
        guard bytes.count % 8 == 0 else { return nil }
        return (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
    }

    /// What `decode` makes of bytes, which often are bytes that it was given before.
    func decoded<Value>(
        _ index: Int32, _ budget: inout Int, _ recent: inout Recent<Value>, _ decode: ([UInt8]) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        let bytes = try blob(index, &budget)
        if let known = recent.value(of: bytes) { return known }
        let copy = [UInt8](bytes)
        let value = try decode(copy)
        recent.keep(value, of: copy)
        return value
    }

    /// Valid until the next row.
    private func blob(_ index: Int32, _ budget: inout Int) throws(StoreError) -> UnsafeRawBufferPointer {
        guard sqlite3_column_type(handle, index) == SQLITE_BLOB else { throw wrongType(index, "bytes") }
        let start = sqlite3_column_blob(handle, index)
        let bytes = UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(sqlite3_column_bytes(handle, index)))
        try spend(bytes.count, &budget)
        return bytes
    }

    private func spend(_ count: Int, _ budget: inout Int) throws(StoreError) {
        budget -= count
        if budget < 0 { throw damaged("its texts are larger than the file") }
    }

    private func wrongType(_ index: Int32, _ expected: String) -> StoreError {
        let table = sqlite3_column_table_name(handle, index).map { String(cString: $0) } ?? "?"
        let column = sqlite3_column_name(handle, index).map { String(cString: $0) } ?? "?"
        return damaged("\(table).\(column) is not \(expected)")
    }

    func damaged(_ detail: String) -> StoreError { .damaged(path: database.name, detail: detail) }
}

/// Values of byte strings that were seen lately, one for each of 1024 hashes.
struct Recent<Value> {
    private var entries = [(bytes: [UInt8], value: Value)?](repeating: nil, count: 1024)

    private func place(_ bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: bytes)
        return hasher.finalize() & (entries.count - 1)
    }

    func value(of bytes: UnsafeRawBufferPointer) -> Value? {
        guard let entry = entries[place(bytes)], entry.bytes.count == bytes.count,
            bytes.isEmpty || entry.bytes.withUnsafeBytes({ memcmp($0.baseAddress!, bytes.baseAddress!, bytes.count) == 0 })
        else { return nil }
        return entry.value
    }

    mutating func keep(_ value: Value, of bytes: [UInt8]) {
        let place = bytes.withUnsafeBytes { self.place($0) }
        entries[place] = (bytes, value)
    }
}
