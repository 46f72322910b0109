// TextForm.swift: numbers and lines as tracemalloc prints them, digit for digit.

/// The text form of sizes and of statistic lines.
package enum TextForm {
    /// `5719 B`, `39.1 KiB`, `100 KiB`, with `signed` also `+0 B`.
    ///
    /// Divides by 1024 until the number is below 100 (then one decimal, except bytes) or below 10240 (then none).
    /// Ties round to even.
    package static func size(_ bytes: Double, signed: Bool = false) -> String {
        var value = bytes
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value.magnitude < 100 && unit != "B" { return "\(oneDecimal(value, signed: signed)) \(unit)" }
            if value.magnitude < 10240 { return "\(integer(value, signed: signed)) \(unit)" }
            value /= 1024
        }
        return value.magnitude < 100 ? "\(oneDecimal(value, signed: signed)) TiB" : "\(integer(value, signed: signed)) TiB"
    }

    package static func size(_ bytes: Int, signed: Bool = false) -> String { size(Double(bytes), signed: signed) }

    /// `7`, with `signed` `+7`.
    package static func count(_ count: Int, signed: Bool = false) -> String { signed && count >= 0 ? "+\(count)" : "\(count)" }

    /// `size=39.1 KiB, count=7, average=5719 B`; no average of no blocks.
    package static func tally(_ tally: Tally) -> String {
        line(size: size(tally.bytes), count: count(tally.count), tally)
    }

    /// `size=5002 B (+5000 B), count=2 (+1), average=2501 B`.
    package static func tally(_ tally: Tally, difference: Tally) -> String {
        line(
            size: "\(size(tally.bytes)) (\(size(difference.bytes, signed: true)))",
            count: "\(count(tally.count)) (\(count(difference.count, signed: true)))", tally)
    }

    private static func line(size: String, count: String, _ tally: Tally) -> String {
        let sums = "size=\(size), count=\(count)"
        return tally.average.map { "\(sums), average=\(self.size($0))" } ?? sums
    }

    private static func integer(_ value: Double, signed: Bool) -> String {
        guard value.magnitude < 0x1p63 else { return "\(value)" }
        return sign(value, signed) + "\(rounded(value.magnitude))"
    }

    // Values here are at least 10: their fraction has so few bits that ten times it is exact, and a tie is a tie.
    private static func oneDecimal(_ value: Double, signed: Bool) -> String {
        let whole = UInt64(value.magnitude)
        let tenths = rounded((value.magnitude - Double(whole)) * 10)
        return sign(value, signed) + (tenths < 10 ? "\(whole).\(tenths)" : "\(whole + 1).0")
    }

    // Half to even, without the C library's mathematics: the module links to nothing.
    private static func rounded(_ value: Double) -> UInt64 {
        let whole = UInt64(value)
        let rest = value - Double(whole)
        return rest > 0.5 || (rest == 0.5 && whole % 2 == 1) ? whole + 1 : whole
    }

    private static func sign(_ value: Double, _ signed: Bool) -> String { value < 0 ? "-" : signed ? "+" : "" }
}

extension Tally {
    /// Bytes per block; nil when there are no blocks.
    public var average: Double? { count == 0 ? nil : Double(bytes) / Double(count) }
}
