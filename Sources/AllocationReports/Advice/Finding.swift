// Finding.swift: one piece of advice: what, where, how much, and what to do about it.
import AllocationProfile

struct Finding: Sendable {
    /// In the order in which findings are shown: what makes a program fail stands before what makes it slow.
    enum Kind: String, CaseIterable, Sendable {
        case growingGenerations
        case allocatorSlack
        case temporaryStorm
        case repeatedGrowth
        case sameSizeChurn
        case tinyBlocks

        var title: String {
            switch self {
            case .growingGenerations: "likely leak"
            case .allocatorSlack: "allocator slack"
            case .temporaryStorm: "temporary storm"
            case .repeatedGrowth: "repeated growth"
            case .sameSizeChurn: "same-size churn"
            case .tinyBlocks: "tiny blocks"
            }
        }

        var remedy: String {
            switch self {
            case .growingGenerations:
                "Look for what still refers to these blocks: a cache without a limit, a list of listeners, "
                    + "a reference cycle, a missing free."
            case .allocatorSlack:
                "If the program maps little itself, allocate long-lived blocks before short-lived ones so that pages become "
                    + "free as a whole; try MALLOC_ARENA_MAX=2, malloc_trim(0) after large releases, or another allocator."
            case .temporaryStorm:
                "Allocate one buffer before the loop and use it again, or keep small ones of a fixed size on the stack."
            case .repeatedGrowth:
                "Reserve the final size first (reserveCapacity in Swift, reserve in C++), or grow in C by a factor instead of a fixed step."
            case .sameSizeChurn:
                "Keep freed blocks in a list of your own and hand them out again, or store them inside of their owner as values."
            case .tinyBlocks: "Store them side by side in one array, or take them from an arena that is freed as a whole."
            }
        }
    }

    var kind: Kind
    /// Where; nil for what belongs to a whole process.
    var site: Frame?
    /// Which process; nil when all are added up.
    var process: ProcessSummary?
    /// The memory that it is about.
    var tally: Tally
    /// The figures in words: a whole sentence.
    var sentence: String

    /// The name of the place.
    var place: String {
        let of = process.map { "\(PrintableText.command($0.command, limit: 60)) (pid \($0.pid))" }
        guard let site else { return of ?? Frame.unknown.description }
        let function = site.line == nil ? nil : site.function
        return [site.description, function, of].compactMap(\.self).joined(separator: "  ")
    }
}
