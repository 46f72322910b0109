// AdviceThresholds.swift: from what size on something is worth a person's time. All of advice's numbers stand here.

/// The least that makes a finding. Counts keep small programs quiet, shares keep large ones readable.
struct AdviceThresholds: Sendable {
    static let standard = AdviceThresholds()

    /// A malloc with its free takes 20 to 100 ns: 10,000 of them are about a millisecond.
    var blocks = 10_000
    /// Of all allocations, or of all their bytes: what makes up less than this cannot make the program noticeably faster.
    var shareOfAll = 0.01
    /// Of the blocks of a call site: below one half the remedy does not fit most of them.
    var shareOfSite = 0.5

    /// A growing block is copied: each step can cost as much as ten plain allocations.
    var growthSteps = 1_000

    /// Of a site's blocks in one class of sizes, which is a factor of two: a pool serves blocks of one size.
    var shareOfOneSize = 0.9
    /// How often each living block's place was used: a pool saves all uses but the first.
    var turnover = 100

    /// glibc's smallest block takes 32 bytes: up to this average at least a third of the memory is not the program's.
    var tinyBytes = 32

    /// Finished generations that kept memory: fewer happen by chance while caches fill.
    var generations = 3
    /// Of the finished generations: a cache keeps what the last ones made, a program that leaks may rest in a few.
    var shareOfGenerations = 0.8
    /// Kept by all of them together: a page, below which a leak takes years to matter.
    var generationBytes = 4096

    /// Resident memory that is not live blocks: code, stacks and free lists of a healthy program take this much.
    var slackBytes = 32 << 20
    /// Resident in proportion to live at the same moment: a heap in normal use stays below twice.
    var slackRatio = 2.0

    /// Findings of one kind in a printed report; who mends these looks again.
    var shownOfKind = 5
}
