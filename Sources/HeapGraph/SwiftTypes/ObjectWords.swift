// ObjectWords.swift: the bytes of one object, read in as few pieces as possible.

/// A window that moves over an object. Nothing outside the object is ever read.
struct ObjectWords {
    private let memory: SwiftMemory
    let address: UInt64
    let size: Int
    private var buffer: [UInt64]
    private var start = 0
    private var filled = 0

    /// Bytes read at a time; most objects are smaller.
    private static let windowSize = 32_768

    /// - Parameter buffer: reused from object to object, so that reading one allocates nothing.
    init(at address: UInt64, size: UInt64, memory: SwiftMemory, buffer: consuming [UInt64]) {
        self.memory = memory
        self.address = address
        self.size = Int(min(size, 1 << 40))
        self.buffer = buffer
    }

    consuming func giveBack() -> [UInt64] { buffer }

    /// The word at an offset that is a multiple of 8.
    mutating func word(at offset: Int) -> UInt64? {
        guard offset >= 0, offset <= size - 8, offset & 7 == 0 else { return nil }
        if offset < start || offset >= start + filled { fill(from: offset) }
        return offset + 8 <= start + filled ? buffer[(offset - start) / 8] : nil
    }

    mutating func byte(at offset: Int) -> UInt8? {
        guard offset >= 0, offset < size else { return nil }
        let aligned = offset & ~7
        if aligned < start || offset >= start + filled { fill(from: aligned) }
        guard offset < start + filled else { return nil }
        return UInt8(truncatingIfNeeded: buffer[(aligned - start) / 8] >> UInt64(8 * (offset - aligned)))
    }

    private mutating func fill(from offset: Int) {
        let wanted = min(Self.windowSize, size - offset)
        let words = (wanted + 7) / 8
        if buffer.count < words { buffer = [UInt64](repeating: 0, count: max(words, 64)) }
        let (at, overflow) = address.addingReportingOverflow(UInt64(offset))
        start = offset
        filled = 0
        if overflow { return }
        let reader = memory.reader
        let copied = buffer.withUnsafeMutableBytes { reader.read(at: at, into: UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted])) }
        filled = min(wanted, max(0, copied))
    }
}
