// Histogram.swift: counts as few bytes: seven bits each, lowest first, the high bit says that more follow.

enum Histogram {
    static func encoded(_ counts: [UInt64]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(counts.count + 8)
        for count in counts {
            var rest = count
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
        return bytes
    }

    /// Exactly `count` numbers; nil when the bytes are anything else.
    static func decoded(_ bytes: [UInt8], count: Int) -> [UInt64]? {
        var counts: [UInt64] = []
        counts.reserveCapacity(count)
        var value: UInt64 = 0
        var shift: UInt64 = 0
        for byte in bytes {
            let bits = UInt64(byte & 0x7F)
            guard shift < 63 || (shift == 63 && bits <= 1) else { return nil }
            value |= bits << shift
            if byte & 0x80 != 0 {
                shift += 7
            } else {
                guard counts.count < count else { return nil }
                counts.append(value)
                value = 0
                shift = 0
            }
        }
        return counts.count == count && shift == 0 ? counts : nil
    }
}
