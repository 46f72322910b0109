// SampleInterval.swift: a number of bytes on the command line.
import ArgumentParser

/// `524288`, `512K`, `4M`, `1G`.
struct SampleInterval: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let units: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
        let unit = argument.last.flatMap { units[$0] }
        guard let number = Int(unit == nil ? argument[...] : argument.dropLast()), (1...1 << 40).contains(number) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !overflow, bytes <= 1 << 40 else { return nil }
        self.bytes = bytes
    }
}
