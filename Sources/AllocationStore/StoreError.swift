// StoreError.swift: what can be wrong with a snapshot file, as sentences.

/// Why a snapshot file cannot be read or written. Every sentence names the file.
package enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    case missing(path: String)
    /// `reason`: the system's words.
    case cannotRead(path: String, reason: String)
    /// `kind`: "a directory", "a FIFO" …
    case notAFile(path: String, kind: String)
    case empty(path: String)
    case foreign(path: String)
    case newer(path: String, version: Int)
    case older(path: String, version: Int)
    /// `detail`: what SQLite said, or what does not add up.
    case damaged(path: String, detail: String)
    case exists(path: String)
    case noDirectory(path: String)
    /// `reason`: the system's words.
    case cannotWrite(path: String, reason: String)
    case diskFull(path: String)

    package var description: String {
        switch self {
        case .missing(let path): "\(path) does not exist"
        case .cannotRead(let path, let reason): "\(path) cannot be read: \(reason)"
        case .notAFile(let path, let kind): "\(path) is \(kind), not a snapshot file"
        case .empty(let path): "\(path) is empty; it holds no snapshot"
        case .foreign(let path): "\(path) is not a snapshot file of tracemalloc"
        case .newer(let path, let version):
            "\(path) has file version \(version), this tracemalloc reads \(Schema.version) at most; a newer tracemalloc can read it"
        case .older(let path, let version):
            "\(path) has file version \(version), this tracemalloc reads \(Schema.version); "
                + "record it again, or read it with the one that wrote it"
        case .damaged(let path, let detail): "\(path) is damaged (\(detail)); record it again or use another copy"
        case .exists(let path): "\(path) exists already; choose another name, or overwrite it with --force"
        case .noDirectory(let path): "\(path) cannot be written: its directory does not exist"
        case .cannotWrite(let path, let reason): "\(path) cannot be written: \(reason)"
        case .diskFull(let path): "\(path) cannot be written: no space is left; what was saved before is still there"
        }
    }
}
