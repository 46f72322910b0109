// FileBytes.swift: a file that is read piece by piece, because it may be large and need not be what it says.
import Glibc

/// Random access to a file's bytes. Reading never fails loudly: what is not there is nil.
final class FileBytes: Sendable {
    let size: UInt64
    private let descriptor: Int32

    init(_ path: String) throws(SystemError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw SystemError(number: errno) }
        var status = stat()
        size = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? UInt64(max(0, status.st_size)) : 0
    }

    deinit { close(descriptor) }

    /// Exactly `count` bytes, nil when the file has fewer.
    func bytes(at offset: UInt64, count: Int) -> [UInt8]? {
        guard count >= 0, UInt64(count) <= size, offset <= size - UInt64(count) else { return nil }
        let bytes = Unsafe.read(descriptor, at: off_t(offset), count: count)
        return bytes?.count == count ? bytes : nil
    }

    /// The beginning of the file, at most `count` bytes.
    func prefix(_ count: Int) -> [UInt8] { bytes(at: 0, count: Int(min(UInt64(count), size))) ?? [] }
}
