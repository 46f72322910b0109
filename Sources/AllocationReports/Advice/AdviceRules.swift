// AdviceRules.swift: which facts are findings.
import AllocationProfile

/// Looks at the facts, one rule after another. A rule that finds something says it with its figure.
struct AdviceRules {
    private let thresholds: AdviceThresholds
    private let snapshots: [Snapshot]
    private let all: Tally
    private let peak: Tally
    private(set) var findings: [Finding] = []
    let siteCount: Int

    init(_ snapshots: [Snapshot], _ thresholds: AdviceThresholds) {
        self.thresholds = thresholds
        self.snapshots = snapshots
        all = snapshots.reduce(.zero) { $0 + $1.total(of: .total) }
        peak = snapshots.reduce(.zero) { $0 + $1.total(of: .peak) }
        let table = CallSiteTable(snapshots)
        let facts = SiteFacts.all(snapshots, table)
        siteCount = facts.count
        for (snapshot, sites) in zip(snapshots, table.siteOfCost) {
            findLeaks(snapshot, sites, table.sites)
            findSlack(snapshot)
        }
        for facts in facts {
            // Three names for one cost would be two too many: the most exact one stands.
            if !(findGrowth(facts) || findStorm(facts)) { findChurn(facts) }
            findTinyBlocks(facts)
        }
        sort()
    }

    private mutating func sort() {
        let order = Dictionary(uniqueKeysWithValues: Finding.Kind.allCases.enumerated().map { ($1, $0) })
        findings.sort { left, right in
            if left.kind != right.kind { return order[left.kind] ?? 0 < order[right.kind] ?? 0 }
            let isByBytes = left.kind == .growingGenerations || left.kind == .allocatorSlack
            let (one, other) = isByBytes ? (left.tally.bytes, right.tally.bytes) : (left.tally.count, right.tally.count)
            return one != other ? one > other : left.place < right.place
        }
    }

    private mutating func note(_ kind: Finding.Kind, _ site: Frame?, _ tally: Tally, of process: ProcessSummary? = nil, _ sentence: String)
    {
        findings.append(Finding(kind: kind, site: site, process: process, tally: tally, sentence: sentence))
    }

    private func share(_ part: Int, of whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }

    // MARK: Rules for call sites

    private mutating func findStorm(_ facts: SiteFacts) -> Bool {
        let (temporary, total) = (facts.cost.temporary, facts.cost.total)
        guard temporary.count >= thresholds.blocks, share(temporary.count, of: total.count) >= thresholds.shareOfSite,
            share(temporary.count, of: all.count) >= thresholds.shareOfAll
        else { return false }
        note(
            .temporaryStorm, facts.site, temporary,
            "\(blocks(temporary)) were freed before their thread allocated anything else: "
                + "\(PrintableText.percent(temporary.count, of: total.count)) of the allocations here, "
                + "\(PrintableText.percent(temporary.count, of: all.count)) of all.")
        return true
    }

    private mutating func findGrowth(_ facts: SiteFacts) -> Bool {
        let (total, reallocs, containers) = (facts.cost.total, facts.cost.growth, facts.containerGrowth)
        let steps = max(reallocs.count, containers.count)
        guard steps >= thresholds.growthSteps, share(steps, of: total.count) >= thresholds.shareOfSite,
            max(share(steps, of: all.count), share(total.bytes, of: all.bytes)) >= thresholds.shareOfAll
        else { return false }
        let part =
            "\(PrintableText.percent(steps, of: total.count)) of the allocations here, "
            + "\(PrintableText.percent(steps, of: all.count)) of all"
        if reallocs.count >= containers.count {
            let step = TextForm.size(reallocs.average ?? 0)
            note(
                .repeatedGrowth, facts.site, reallocs,
                "\(PrintableText.count(steps, "realloc")) made a block larger, by \(step) on average: \(part).")
        } else {
            note(
                .repeatedGrowth, facts.site, containers,
                "\(blocks(containers)) were allocated because a container was full: \(part).")
        }
        return true
    }

    private mutating func findChurn(_ facts: SiteFacts) {
        let total = facts.cost.total
        let alive = max(facts.cost.peak.count, facts.cost.current.count)
        guard total.count >= thresholds.blocks, share(total.count, of: all.count) >= thresholds.shareOfAll,
            share(total.count, of: max(alive, 1)) >= Double(thresholds.turnover),
            let bucket = facts.sizes.indices.max(by: { facts.sizes[$0] < facts.sizes[$1] }),
            Double(facts.sizes[bucket]) >= thresholds.shareOfOneSize * Double(total.count)
        else { return }
        note(
            .sameSizeChurn, facts.site, total,
            "\(blocks(total)), nearly all of one size, came and went, "
                + "\(PrintableText.percent(total.count, of: all.count)) of all allocations; "
                + "\(PrintableText.number(facts.cost.peak.count)) were alive at the peak, "
                + "\(PrintableText.number(facts.cost.current.count)) at the end.")
    }

    private mutating func findTinyBlocks(_ facts: SiteFacts) {
        let tally = facts.cost.peak
        guard tally.count >= thresholds.blocks, let average = tally.average, average <= Double(thresholds.tinyBytes) else { return }
        let overhead = (AdviceRules.heapBytes(of: average) - average) * Double(tally.count)
        guard overhead >= thresholds.shareOfAll * Double(peak.bytes) else { return }
        note(
            .tinyBlocks, facts.site, tally,
            "\(blocks(tally)) were alive at the peak, together \(TextForm.size(tally.bytes)); "
                + "glibc's heap needs about \(TextForm.size(overhead)) more to manage them.")
    }

    /// What a block takes in glibc's heap: a word in front of it, in steps of 16, at least 32.
    private static func heapBytes(of size: Double) -> Double { max(32, ((size + 8) / 16).rounded(.up) * 16) }

    private func blocks(_ tally: Tally) -> String {
        "\(PrintableText.count(tally.count, "block")) of \(TextForm.size(tally.average ?? 0)) on average"
    }

    // MARK: Rules for processes

    private mutating func findLeaks(_ snapshot: Snapshot, _ siteOfCost: [Int32], _ sites: [Frame]) {
        let finished = snapshot.marks.count - 2
        guard finished >= thresholds.generations else { return }
        for (site, kept) in SiteFacts.kept(by: snapshot, siteOfCost)
        where kept.generations >= thresholds.generations && share(kept.generations, of: finished) >= thresholds.shareOfGenerations
            && kept.tally.bytes >= thresholds.generationBytes
        {
            let which = kept.generations == finished ? "Each of the \(finished)" : "\(kept.generations) of the \(finished)"
            note(
                .growingGenerations, sites[Int(site)], kept.tally, of: snapshots.count > 1 ? snapshot.process : nil,
                "\(which) finished generations after the first left blocks alive: "
                    + "\(PrintableText.count(kept.tally.count, "block")), \(TextForm.size(kept.tally.bytes)) in all, "
                    + "\(TextForm.size(Double(kept.tally.bytes) / Double(kept.generations))) a generation.")
        }
    }

    /// Compares resident and live memory at the moment of the time line that is next to the peak.
    private mutating func findSlack(_ snapshot: Snapshot) {
        let process = snapshot.process
        let known = snapshot.timeline.filter { $0.residentBytes > 0 && $0.time.isFinite }
        guard let point = known.min(by: { ($0.time - process.peakTime).magnitude < ($1.time - process.peakTime).magnitude }) else { return }
        // What was resident before the program had allocated much is code and stacks.
        let start = known.first.map { max(0, $0.residentBytes &- $0.live.bytes) } ?? 0
        let slack = point.residentBytes &- max(0, point.live.bytes)
        let isNearPeak = point.live.bytes >= process.peak.bytes / 2
        guard isNearPeak, slack &- (known.count > 1 ? start : 0) >= thresholds.slackBytes,
            Double(point.residentBytes) >= thresholds.slackRatio * Double(point.live.bytes)
        else { return }
        note(
            .allocatorSlack, nil, Tally(bytes: slack, count: 0), of: process,
            "Near the peak, after \(PrintableText.duration(point.time)), \(TextForm.size(point.residentBytes)) were resident for "
                + "\(TextForm.size(point.live.bytes)) of live blocks: \(TextForm.size(slack)) are gaps and free lists of the heap, "
                + "or do not come from malloc (code, stacks, files, mappings).")
    }
}
