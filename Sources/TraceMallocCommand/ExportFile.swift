// ExportFile.swift: a file that appears whole or not at all.
import AllocationStore
import Glibc

/// A file for the user only, written beside its final name and renamed at the end.
final class ExportFile {
    let path: String
    private let part: String
    private let descriptor: Int32
    private let force: Bool

    /// Makes the part. What exists is an error unless `force`, and what is no file is one in any case.
    init(path: String, force: Bool) throws(CommandError) {
        self.path = path
        self.force = force
        // A file that may not grow any more (ulimit -f) is an error, not a death.
        signal(SIGXFSZ, SIG_IGN)
        part = path + ".part"
        var status = stat()
        let exists = lstat(path, &status) == 0
        if exists, status.st_mode & S_IFMT != S_IFREG {
            throw .noOutput(.notAFile(path: path, kind: status.st_mode & S_IFMT == S_IFDIR ? "a directory" : "a device or a link"))
        }
        if exists, !force { throw .noOutput(.exists(path: path)) }
        // What a killed export left behind.
        unlink(part)
        descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw ExportFile.failure(errno, path) }
    }

    private static func failure(_ number: Int32, _ path: String) -> CommandError {
        switch number {
        case EEXIST: .noOutput(.exists(path: path))
        case ENOENT: .noOutput(.noDirectory(path: path))
        case ENOSPC, EDQUOT, EFBIG: .noOutput(.diskFull(path: path))
        default: .noOutput(.cannotWrite(path: path, reason: "\(SystemError(number: number))"))
        }
    }

    func write(_ bytes: [UInt8]) throws(CommandError) {
        if let number = Unsafe.write(bytes, to: descriptor) { throw ExportFile.failure(number, path) }
    }

    /// Gives the file its name.
    func finish() throws(CommandError) {
        // Some file systems only tell now that they are full.
        guard close(descriptor) == 0, takeName() else { throw ExportFile.failure(errno, path) }
    }

    /// A link never replaces what somebody has made meanwhile; not every file system has links.
    private func takeName() -> Bool {
        if !force {
            if link(part, path) == 0 {
                unlink(part)
                return true
            }
            guard errno == EPERM || errno == ENOTSUP else { return false }
        }
        return rename(part, path) == 0
    }

    /// Removes what was written.
    func abandon() { unlink(part) }
}
