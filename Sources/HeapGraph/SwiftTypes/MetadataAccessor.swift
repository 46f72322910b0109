// MetadataAccessor.swift: finds constant metadata through the code that would return it, which cannot be called from outside.

/// Metadata access functions of types without parameters load the address of the metadata, or of a variable that holds it.
/// The code is not executed, only searched for such loads; whether one of them is meant the metadata itself tells, by
/// naming its descriptor. (x86-64; elsewhere there are no candidates and layouts are computed.)
enum MetadataAccessor {
    static func candidates(at function: UInt64, in memory: SwiftMemory) -> [UInt64] {
        guard memory.isStatic(function) else { return [] }
        let code = memory.reader.bytes(at: function, count: 96)
        var candidates: [UInt64] = []
        guard code.count >= 7 else { return [] }
        for index in 0...(code.count - 7) where code[index] & 0xFB == 0x48 && code[index + 2] & 0xC7 == 0x05 {
            let isAddress = code[index + 1] == 0x8D
            guard isAddress || code[index + 1] == 0x8B else { continue }
            let distance = (0..<4).reduce(UInt32(0)) { $0 | UInt32(code[index + 3 + $1]) << (8 * UInt32($1)) }
            let target = function &+ UInt64(index + 7) &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance)))
            if isAddress { candidates.append(target) }
            if let held = memory.word(at: target), held != 0 { candidates.append(held) }
        }
        return candidates
    }
}
