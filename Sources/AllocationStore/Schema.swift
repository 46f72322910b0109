// Schema.swift: the tables of a snapshot file, each defined once for making, filling and reading. README.md explains them.

/// The layout of a snapshot file.
enum Schema {
    /// "TMAL" in the database header, where `file` and we recognize the format.
    static let applicationID = 0x544D_414C
    /// Increased when an older reader would misread the file.
    static let version = 4

    /// One table. Its rows are numbered from 0 without gaps, in the order of what they describe.
    struct Table {
        let name: String
        /// Declarations of the columns after `id`.
        let columns: [String]

        init(_ name: String, _ columns: String...) {
            self.name = name
            self.columns = columns
        }

        var creation: String { "CREATE TABLE \(name)(id INTEGER PRIMARY KEY, \(columns.joined(separator: ", ")))" }
        var insertion: String { "INSERT INTO \(name) VALUES(?\(String(repeating: ",?", count: columns.count)))" }
        /// Several rows that go to the end, their numbers given by SQLite.
        func insertion(rows: Int) -> String {
            let names = columns.map { String($0.prefix { $0 != " " }) }.joined(separator: ",")
            let row = "(?\(String(repeating: ",?", count: columns.count - 1)))"
            return "INSERT INTO \(name)(\(names)) VALUES \([String](repeating: row, count: rows).joined(separator: ","))"
        }
        /// Indices that somebody added are not trusted.
        var selection: String {
            "SELECT id, \(columns.map { String($0.prefix { $0 != " " }) }.joined(separator: ", ")) FROM \(name) NOT INDEXED ORDER BY id"
        }
    }

    static let file = Table("file", "complete INTEGER NOT NULL")
    static let text = Table("text", "value TEXT NOT NULL")
    static let process = Table(
        "process", "pid INTEGER NOT NULL", "parent INTEGER", "executable INTEGER NOT NULL", "exit_kind INTEGER NOT NULL",
        "exit_value INTEGER NOT NULL", "started REAL NOT NULL", "duration REAL NOT NULL", "threads INTEGER NOT NULL",
        "allocations INTEGER NOT NULL", "frees INTEGER NOT NULL", "bytes_allocated INTEGER NOT NULL", "bytes_freed INTEGER NOT NULL",
        "current_bytes INTEGER NOT NULL", "current_count INTEGER NOT NULL", "peak_bytes INTEGER NOT NULL", "peak_count INTEGER NOT NULL",
        "peak_time REAL NOT NULL", "temporary_allocations INTEGER NOT NULL", "temporary_bytes INTEGER NOT NULL",
        "unknown_frees INTEGER NOT NULL", "reentrant_events INTEGER NOT NULL", "lost_events INTEGER NOT NULL",
        "lost_stacks INTEGER NOT NULL", "truncated_stacks INTEGER NOT NULL", "incomplete_stacks INTEGER NOT NULL",
        "walks INTEGER NOT NULL", "walk_differences INTEGER NOT NULL", "walk_fallbacks INTEGER NOT NULL", "peak_rss INTEGER NOT NULL",
        "collector_events INTEGER NOT NULL", "collector_memory INTEGER NOT NULL", "frame_limit INTEGER NOT NULL",
        "node_count INTEGER NOT NULL", "sampled_every INTEGER NOT NULL")
    static let argument = Table("argument", "process INTEGER NOT NULL", "value INTEGER NOT NULL")
    static let warning = Table("warning", "process INTEGER NOT NULL", "value INTEGER NOT NULL")
    static let module = Table(
        "module", "process INTEGER NOT NULL", "path INTEGER NOT NULL", "build_id BLOB NOT NULL", "start INTEGER NOT NULL",
        "stop INTEGER NOT NULL", "bias INTEGER NOT NULL")
    static let location = Table(
        "location", "process INTEGER NOT NULL", "address INTEGER NOT NULL", "module INTEGER", "is_exact INTEGER NOT NULL",
        "is_async INTEGER NOT NULL")
    static let frame = Table(
        "frame", "location INTEGER NOT NULL", "function INTEGER", "file INTEGER", "line INTEGER", "module INTEGER", "address INTEGER",
        "is_inlined INTEGER NOT NULL", "is_async INTEGER NOT NULL", "is_system INTEGER NOT NULL")
    // There are millions of nodes: a row of their own for each would be most of the file and of the time to read it.
    static let nodes = Table("nodes", "packed BLOB NOT NULL")
    static let thread = Table("thread", "process INTEGER NOT NULL", "tid INTEGER NOT NULL", "name INTEGER NOT NULL")
    static let domain = Table(
        "domain", "process INTEGER NOT NULL", "number INTEGER NOT NULL", "allocations INTEGER NOT NULL", "frees INTEGER NOT NULL",
        "bytes_allocated INTEGER NOT NULL", "bytes_freed INTEGER NOT NULL", "current_bytes INTEGER NOT NULL",
        "current_count INTEGER NOT NULL", "peak_bytes INTEGER NOT NULL", "peak_count INTEGER NOT NULL")
    // Most stacks allocate through few places and have the figures of many others: the tables of both are small, and the row that
    // each stack needs is short.
    static let place = Table(
        "place", "process INTEGER NOT NULL", "site INTEGER", "location INTEGER", "domain INTEGER NOT NULL", "thread INTEGER NOT NULL")
    static let figures = Table(
        "figures", "current_bytes INTEGER NOT NULL", "current_count INTEGER NOT NULL", "peak_bytes INTEGER NOT NULL",
        "peak_count INTEGER NOT NULL", "total_bytes INTEGER NOT NULL", "total_count INTEGER NOT NULL",
        "temporary_bytes INTEGER NOT NULL", "temporary_count INTEGER NOT NULL", "growth_bytes INTEGER NOT NULL",
        "growth_count INTEGER NOT NULL", "sizes BLOB", "lifetimes BLOB")
    static let cost = Table("cost", "stack INTEGER NOT NULL", "place INTEGER NOT NULL", "figures INTEGER NOT NULL")
    static let generation = Table("generation", "process INTEGER NOT NULL", "name INTEGER NOT NULL", "start REAL NOT NULL")
    static let alive = Table(
        "alive", "process INTEGER NOT NULL", "stack INTEGER NOT NULL", "generation INTEGER NOT NULL", "bytes INTEGER NOT NULL",
        "count INTEGER NOT NULL", "domain INTEGER NOT NULL", "thread INTEGER NOT NULL")
    static let object = Table(
        "object", "process INTEGER NOT NULL", "stack INTEGER NOT NULL", "type INTEGER NOT NULL", "current_bytes INTEGER NOT NULL",
        "current_count INTEGER NOT NULL")
    static let moment = Table(
        "moment", "process INTEGER NOT NULL", "time REAL NOT NULL", "bytes INTEGER NOT NULL", "count INTEGER NOT NULL",
        "resident_bytes INTEGER NOT NULL")
    static let momentStack = Table("moment_stack", "moment INTEGER NOT NULL", "stack INTEGER NOT NULL", "bytes INTEGER NOT NULL")

    static let tables = [
        file, text, process, argument, warning, module, location, frame, nodes, thread, domain, place, figures, cost, generation, alive,
        object, moment, momentStack,
    ]

    /// For people with `sqlite3`: the same with names instead of numbers. Never read by us.
    static let views = [
        """
        CREATE VIEW processes AS SELECT p.id AS process, p.pid, p.parent, t.value AS executable,
            (SELECT group_concat(value, ' ') FROM (SELECT t.value FROM argument a JOIN text t ON t.id = a.value
                WHERE a.process = p.id ORDER BY a.id)) AS command,
            p.duration, p.allocations, p.frees, p.bytes_allocated, p.current_bytes, p.current_count, p.peak_bytes, p.peak_count
        FROM process p JOIN text t ON t.id = p.executable
        """,
        """
        CREATE VIEW frames AS SELECT f.id AS frame, f.location, fn.value AS function, fl.value AS file, f.line, m.value AS module,
            f.is_inlined, f.is_async, f.is_system
        FROM frame f LEFT JOIN text fn ON fn.id = f.function LEFT JOIN text fl ON fl.id = f.file LEFT JOIN text m ON m.id = f.module
        """,
        """
        CREATE VIEW stacks AS SELECT p.process, c.stack, f.function, f.file, f.line, coalesce(f.module, t.value) AS module,
            iif(f.frame IS NULL, l.address - coalesce(m.bias, 0), NULL) AS address, g.current_bytes, g.current_count, g.peak_bytes,
            g.peak_count, g.total_bytes, g.total_count, g.temporary_bytes, g.temporary_count,
            p.domain, th.tid, tn.value AS thread
        FROM cost c JOIN place p ON p.id = c.place JOIN figures g ON g.id = c.figures
            JOIN thread th ON th.id = p.thread JOIN text tn ON tn.id = th.name
            LEFT JOIN frames f ON f.frame = p.site LEFT JOIN location l ON l.id = p.location
            LEFT JOIN module m ON m.id = l.module LEFT JOIN text t ON t.id = m.path
        """,
        """
        CREATE VIEW sites AS SELECT function, file, line, module, address, count(*) AS stacks, sum(current_bytes) AS current_bytes,
            sum(current_count) AS current_count, sum(peak_bytes) AS peak_bytes, sum(peak_count) AS peak_count,
            sum(total_bytes) AS total_bytes, sum(total_count) AS total_count, sum(temporary_bytes) AS temporary_bytes,
            sum(temporary_count) AS temporary_count
        FROM stacks GROUP BY function, file, line, module, address
        """,
    ]
}
