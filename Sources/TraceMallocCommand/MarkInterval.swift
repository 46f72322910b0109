// MarkInterval.swift: a duration on the command line.
import ArgumentParser

/// `500ms`, `2s`, `1.5m`.
struct MarkInterval: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        let units: [(suffix: String, milliseconds: Double)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        guard let unit = units.first(where: { argument.hasSuffix($0.suffix) }), let number = Double(argument.dropLast(unit.suffix.count)),
            // Below a millisecond marks would cost more than what they tell; above a year the arithmetic ends.
            (1...3.2e10).contains(number * unit.milliseconds)
        else { return nil }
        duration = .milliseconds(number * unit.milliseconds)
    }
}
