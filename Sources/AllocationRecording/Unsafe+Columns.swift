// Unsafe+Columns.swift: columns of numbers as bytes and back: memory as it is, for readers on the same machine.

extension Unsafe {
    /// Each column is its number of bytes, then its elements.
    struct ColumnWriter {
        private(set) var bytes: [UInt8] = []

        mutating func column<Number: FixedWidthInteger & BitwiseCopyable>(_ numbers: [Number]) {
            numbers.withUnsafeBytes { elements in
                var count = UInt64(elements.count)
                withUnsafeBytes(of: &count) { bytes.append(contentsOf: $0) }
                bytes.append(contentsOf: elements)
            }
        }
    }

    /// Reads columns one after the other; nil where there is none of that kind.
    struct ColumnReader {
        private let bytes: [UInt8]
        private var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        mutating func column<Number: FixedWidthInteger & BitwiseCopyable>() -> [Number]? {
            guard bytes.count - position >= 8 else { return nil }
            let count = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt64.self) }
            let stride = MemoryLayout<Number>.stride
            guard count <= UInt64(bytes.count - position - 8), count % UInt64(stride) == 0 else { return nil }
            let start = position + 8
            position = start + Int(count)
            return [Number](unsafeUninitializedCapacity: Int(count) / stride) { buffer, filled in
                filled = Int(count) / stride
                bytes.withUnsafeBytes { source in
                    UnsafeMutableRawBufferPointer(buffer).copyMemory(from: UnsafeRawBufferPointer(rebasing: source[start..<position]))
                }
            }
        }

        mutating func text() -> String? {
            guard let bytes: [UInt8] = column() else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }

        /// A number of things that follow, each of which takes some bytes.
        mutating func count() -> Int? {
            guard let column: [Int] = column(), column.count == 1, (0...bytes.count).contains(column[0]) else { return nil }
            return column[0]
        }
    }
}
