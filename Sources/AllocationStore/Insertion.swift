// Insertion.swift: rows into one table, many at a time where many come.

/// Inserts the rows of one table, numbered from 0.
final class Insertion {
    private let database: Database
    private let table: Schema.Table
    private let one: Statement
    /// Inserts `batchSize` rows. They carry no number: SQLite gives each the number after the last one and then knows without
    /// a look that the row goes to the end. A row in a batch takes a third of the time of a row alone.
    private var batch: Statement?
    /// Rows that still go into batches: a multiple of the batch's size until the next batch is begun.
    private var batched = 0
    private static let batchSize = 64
    /// To prepare a batch takes as long as it saves in so many rows.
    private static let fewRows = 256
    /// Rows so far: the number of the next one.
    private(set) var count = 0

    init(_ database: Database, _ table: Schema.Table) throws(StoreError) {
        (self.database, self.table) = (database, table)
        one = try Statement(database, table.insertion)
    }

    /// Says how many rows come next, at least. Without this they go one by one.
    func expect(_ rows: Int) throws(StoreError) {
        // The first row of all says its number, 0; SQLite would begin with 1.
        batched = rows < Self.fewRows ? 0 : (rows - (count == 0 ? 1 : 0)) / Self.batchSize * Self.batchSize
        if batched > 0, batch == nil { batch = try Statement(database, table.insertion(rows: Self.batchSize)) }
    }

    /// The next row. Each column is to be set, then the row inserted, before the next is asked for.
    func next() -> Row {
        defer { count += 1 }
        guard count > 0, batched > 0, let batch else {
            one.set(0, count)
            return Row(statement: one, offset: 0, isLast: true)
        }
        let place = (Self.batchSize - batched % Self.batchSize) % Self.batchSize
        batched -= 1
        return Row(statement: batch, offset: Int32(place * table.columns.count) - 1, isLast: place == Self.batchSize - 1)
    }

    /// Columns count as in the table, from 1.
    struct Row {
        fileprivate let statement: Statement
        fileprivate let offset: Int32
        fileprivate let isLast: Bool

        func set(_ column: Int32, _ value: Int) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: UInt64) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: Bool) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: Double) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: String) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: [UInt8]) { statement.set(offset + column, value) }
        func set(_ column: Int32, _ value: [UInt64]) { statement.set(offset + column, value) }
        func setNull(_ column: Int32) { statement.setNull(offset + column) }
        func insert() throws(StoreError) { if isLast { try statement.insert() } }
    }
}
