// FileSystem.swift: the few system calls that make snapshot files appear whole or not at all.
import Glibc

enum FileSystem {
    /// What an error number means.
    static func words(_ error: Int32) -> String { String(cString: strerror(error)) }

    static func meansFull(_ error: Int32) -> Bool { error == ENOSPC || error == EDQUOT || error == EFBIG }

    /// Makes a new empty file that only the user can read. Follows no link and opens nothing that is there already.
    /// - Parameter name: what errors call it.
    static func reserve(_ path: String, for name: String? = nil) throws(StoreError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw writeFailure(name ?? path) }
        close(descriptor)
    }

    /// Fails where there is no room for so many bytes in an empty file, which stays empty.
    static func tryRoom(_ path: String, _ size: Int, for name: String) throws(StoreError) {
        let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw writeFailure(name) }
        defer { close(descriptor) }
        errno = posix_fallocate(descriptor, 0, size)
        guard !meansFull(errno), ftruncate(descriptor, 0) == 0 else { throw writeFailure(name) }
    }

    static func remove(_ path: String) { unlink(path) }

    /// Waits until the file is on the disk: some file systems only then tell that it is full.
    static func synchronize(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw writeFailure(path) }
        defer { close(descriptor) }
        guard fdatasync(descriptor) == 0 || errno == EINVAL || errno == EROFS else { throw writeFailure(path) }
    }

    /// Gives a file another's name; the other one is gone at the same moment.
    static func replace(_ path: String, with source: String) throws(StoreError) {
        guard rename(source, path) == 0 else { throw writeFailure(path) }
    }

    /// Gives a file a name that nothing has yet.
    static func name(_ source: String, _ path: String) throws(StoreError) {
        if link(source, path) == 0 {
            unlink(source)
            return
        }
        // Some file systems have no second names: there the file is empty for a moment.
        guard errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS else { throw writeFailure(path) }
        try reserve(path)
        try replace(path, with: source)
    }

    /// The path without links in its directory, so that it stays the same file when the working directory changes.
    static func absolute(_ path: String) throws(StoreError) -> String {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.utf8.index(after: $0)...]) } ?? path
        guard !name.isEmpty, !path.utf8.contains(0) else { throw .cannotWrite(path: path, reason: "this names no file") }
        guard let resolved = realpath(directory, nil) else { throw writeFailure(path) }
        defer { free(resolved) }
        let base = String(cString: resolved)
        return base == "/" ? "/\(name)" : "\(base)/\(name)"
    }

    /// "a directory" and so on when there is something that is not a file at `path`; nil for files and where nothing is.
    static func kindOfOther(at path: String) -> String? {
        var status = stat()
        return lstat(path, &status) == 0 ? kind(status) : nil
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// Opens for reading without waiting for anybody (a FIFO would), and returns the size and the first bytes.
    static func peek(_ path: String, count: Int) throws(StoreError) -> (size: Int, start: [UInt8]) {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw .missing(path: path) }
        // Asked before opening: opening some devices has effects.
        var status = stat()
        guard stat(path, &status) == 0 else { throw readFailure(path) }
        if let kind = kind(status) { throw .notAFile(path: path, kind: kind) }
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw readFailure(path) }
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0 else { throw readFailure(path) }
        if let kind = kind(status) { throw .notAFile(path: path, kind: kind) }
        var bytes = [UInt8](repeating: 0, count: count)
        let length = read(descriptor, &bytes, count)
        guard length >= 0 else { throw readFailure(path) }
        return (Int(status.st_size), Array(bytes.prefix(length)))
    }

    private static func kind(_ status: stat) -> String? {
        switch status.st_mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a directory"
        case S_IFIFO: "a FIFO"
        case S_IFSOCK: "a socket"
        case S_IFLNK: "a symbolic link"
        default: "a device"
        }
    }

    private static func readFailure(_ path: String) -> StoreError {
        let error = errno
        return error == ENOENT ? .missing(path: path) : .cannotRead(path: path, reason: words(error))
    }

    private static func writeFailure(_ path: String) -> StoreError {
        let error = errno
        switch error {
        case EEXIST: return .exists(path: path)
        case ENOENT: return .noDirectory(path: path)
        case _ where meansFull(error): return .diskFull(path: path)
        default: return .cannotWrite(path: path, reason: words(error))
        }
    }
}
