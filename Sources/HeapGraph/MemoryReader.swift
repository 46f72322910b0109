// MemoryReader.swift: the memory of the program that is looked at, whosever it is.
import Glibc

/// Reads memory of another process, of a frozen copy, or of a made-up program in a test. What it returns is hostile input.
package protocol MemoryReader: Sendable {
    /// Copies what is readable from `address` on into `buffer`.
    /// - Returns: the number of bytes copied from the beginning; 0 where nothing is mapped.
    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int
}

extension MemoryReader {
    /// The value at an address; nil where it is not readable as a whole.
    package func load<Value: FixedWidthInteger>(_: Value.Type = Value.self, at address: UInt64) -> Value? {
        var value = Value.zero
        let size = MemoryLayout<Value>.size
        return withUnsafeMutableBytes(of: &value) { read(at: address, into: $0) } == size ? value : nil
    }

    /// Up to `count` bytes; fewer where the mapped memory ends.
    package func bytes(at address: UInt64, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: max(0, count)) { buffer, used in
            used = min(max(0, read(at: address, into: UnsafeMutableRawBufferPointer(buffer))), buffer.count)
        }
    }

    /// The text up to a NUL; nil where it is longer than `limit` or not readable.
    package func text(at address: UInt64, limit: Int = 4096) -> String? {
        let bytes = bytes(at: address, count: limit)
        guard let end = bytes.firstIndex(of: 0) else { return nil }
        return String(validating: bytes[..<end], as: UTF8.self)
    }
}
