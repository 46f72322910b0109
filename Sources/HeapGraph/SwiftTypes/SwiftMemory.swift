// SwiftMemory.swift: the words, relative pointers and value witnesses of which the Swift runtime's constant data is made.

/// Memory of a Swift program and the ranges in which its constant data may lie.
struct SwiftMemory: Sendable {
    let reader: any MemoryReader
    /// Ascending, not overlapping.
    private let modules: [Range<UInt64>]

    init(reader: any MemoryReader, modules: [LoadedModule]) {
        self.reader = reader
        self.modules = modules.map(\.addresses).sorted { $0.lowerBound < $1.lowerBound }
    }

    /// Lies in a loaded module; where none is known, everything does.
    func isStatic(_ address: UInt64) -> Bool {
        if modules.isEmpty { return true }
        var low = 0
        var high = modules.count
        while low < high {
            let middle = (low + high) / 2
            if modules[middle].lowerBound <= address { low = middle + 1 } else { high = middle }
        }
        return low > 0 && modules[low - 1].contains(address)
    }

    func word(at address: UInt64) -> UInt64? { reader.load(at: address) }
    func half(at address: UInt64) -> UInt32? { reader.load(at: address) }
    func text(at address: UInt64) -> String? { text(at: address, limit: 1024) }

    /// In pieces, because memory may end shortly behind a short name.
    func text(at address: UInt64, limit: Int) -> String? {
        var bytes: [UInt8] = []
        var at = address
        while bytes.count < limit {
            let piece = reader.bytes(at: at, count: 64)
            if piece.isEmpty { return nil }
            if let end = piece.firstIndex(of: 0) {
                return String(validating: bytes + piece[..<end], as: UTF8.self)
            }
            bytes += piece
            at &+= UInt64(piece.count)
        }
        return nil
    }

    /// What a relative pointer at `address` points to; nil for null.
    func relative(at address: UInt64) -> UInt64? {
        guard let distance: Int32 = reader.load(at: address), distance != 0 else { return nil }
        return address &+ UInt64(bitPattern: Int64(distance))
    }

    /// The same where the lowest bit says that a pointer to the target is pointed to.
    func relativeIndirectable(at address: UInt64) -> UInt64? {
        guard let target = relative(at: address) else { return nil }
        guard target & 1 == 1 else { return target }
        guard let indirect = word(at: target & ~1), indirect != 0 else { return nil }
        return indirect
    }

    /// Size and form that a type's value witnesses tell.
    func witnessedLayout(ofMetadata metadata: UInt64) -> WitnessedLayout? {
        guard let witnesses = word(at: metadata &- 8), witnesses & 7 == 0,
            let size = word(at: witnesses &+ 64), let stride = word(at: witnesses &+ 72),
            let flags = half(at: witnesses &+ 80), let extra = half(at: witnesses &+ 84)
        else { return nil }
        let alignment = Int(flags & 0xFF) + 1
        guard size <= WitnessedLayout.largest, stride >= max(size, 1), stride <= WitnessedLayout.largest * 2,
            alignment & (alignment - 1) == 0
        else { return nil }
        return WitnessedLayout(
            size: Int(size), stride: Int(stride), alignment: alignment, extraInhabitants: Int(extra), isInline: flags & 0x20000 == 0)
    }
}

struct WitnessedLayout: Hashable, Sendable {
    var size: Int
    var stride: Int
    var alignment: Int
    var extraInhabitants: Int
    /// Fits into the buffer of an existential.
    var isInline: Bool

    /// Larger values are not believed.
    static let largest: UInt64 = 1 << 28
}
