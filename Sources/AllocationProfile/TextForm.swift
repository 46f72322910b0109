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
        digits(value.magnitude.rounded(.toNearestOrEven), value, signed: signed)
    }

    // Ten times a double has more bits than a double: only the fused product tells a tie from a neighbor of one.
    private static func oneDecimal(_ value: Double, signed: Bool) -> String {
        let whole = value.magnitude.rounded(.down)
        let tenths = (value.magnitude * 10).rounded(.down)
        let rest = (-tenths).addingProduct(value.magnitude, 10)
        let even = tenths.truncatingRemainder(dividingBy: 2) == 0
        let rounded = rest > 0.5 || (rest == 0.5 && !even) ? tenths + 1 : tenths
        let carried = rounded >= (whole + 1) * 10
        let units = carried ? whole + 1 : whole
        return "\(digits(units, value, signed: signed)).\(Int(rounded - units * 10))"
    }

    private static func digits(_ magnitude: Double, _ value: Double, signed: Bool) -> String {
        let sign = value < 0 ? "-" : signed ? "+" : ""
        return sign + (UInt64(exactly: magnitude).map(String.init) ?? "\(magnitude)")
    }
}

extension Tally {
    /// Bytes per block; nil when there are no blocks.
    public var average: Double? { count == 0 ? nil : Double(bytes) / Double(count) }
}
