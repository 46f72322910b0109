// FrameCount.swift: how many frames of a stack to keep, on the command line.
import ArgumentParser

/// 1…65535: tracemalloc's range.
struct FrameCount: ExpressibleByArgument {
    static let range = 1...65535
    let count: Int

    init(_ count: Int) { self.count = count }

    init?(argument: String) {
        guard let count = Int(argument), FrameCount.range.contains(count) else { return nil }
        self.count = count
    }

    var defaultValueDescription: String { String(count) }
}
