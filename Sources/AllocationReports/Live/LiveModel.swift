// LiveModel.swift: what a live view knows of its program: all stacks, their names as far as they are read, and what changed.
package import AllocationProfile

/// The state of a watched program, refreshed about once a second.
///
/// A refresh of 100,000 known stacks is one addition for each; only new code addresses are grouped, and only new stacks find
/// their call site. Names come later than addresses, in portions: then all call sites are found again, which is integer work.
package struct LiveModel {
    /// How the program is.
    package enum Life: Hashable, Sendable {
        case starting
        case running
        /// In words, as `exit code 0`.
        case ended(String)
        /// It lives, but nobody answers for it any more.
        case lost(String)
    }

    package var life = Life.starting
    package private(set) var snapshot = Snapshot(process: ProcessSummary())
    package private(set) var residentBytes = 0
    package private(set) var marks: [String] = []
    /// Live bytes at each refresh, oldest first.
    package private(set) var history: [Int] = []
    /// Allocations and their bytes each second, between the last two refreshes.
    package private(set) var rate = (count: 0.0, bytes: 0.0)
    /// Refreshes so far: what is shown is the same as long as this and `namings` are.
    package private(set) var refreshes = 0
    package private(set) var namings = 0
    /// How often everything began anew: names that were asked for before are void after.
    package private(set) var restarts = 0

    private var sites: LiveSites
    /// Locations from here on have no names yet.
    private var namedCount = 0
    /// Live memory of each of `snapshot.costs` at the last refresh but one, and at the last mark.
    private var before: [Tally] = []
    private var marked: [Tally] = []
    private var last: [Tally] = []

    package static let longestHistory = 600

    package init(groupedBy grouping: Grouping = .line) { sites = LiveSites(grouping) }

    // MARK: - Refreshing

    /// Takes a refresh in: `update` brings the snapshot up to date and says whether what was known of it still holds.
    package mutating func refresh(residentBytes: Int, marks: [String], _ update: (inout Snapshot) -> Bool) {
        let (duration, allocations, bytes) = (
            snapshot.process.duration, snapshot.process.allocations, snapshot.process.bytesAllocated
        )
        let isContinued = update(&snapshot)
        if !isContinued { restart() }
        let seconds = snapshot.process.duration - duration
        if isContinued, seconds > 0 {
            rate = (
                max(0, Double(snapshot.process.allocations - allocations) / seconds),
                max(0, Double(snapshot.process.bytesAllocated - bytes) / seconds)
            )
        }
        self.residentBytes = residentBytes
        before = last
        last = snapshot.costs.map(\.current)
        if marks.count > self.marks.count, refreshes > 0 { marked = last }
        self.marks = marks
        history.append(snapshot.process.current.bytes)
        if history.count > LiveModel.longestHistory { history.removeFirst(history.count - LiveModel.longestHistory) }
        sites.extend(snapshot, named: namedCount)
        refreshes += 1
    }

    /// The process became another program, or forgot its traces.
    private mutating func restart() {
        sites = LiveSites(sites.grouping)
        restarts += 1
        (namedCount, before, last, marked, rate) = (0, [], [], [], (0, 0))
    }

    /// Puts what its collector knew at the end, names included, in the place of what was known while the program ran.
    package mutating func finish(with final: Snapshot?, _ life: Life) {
        self.life = life
        rate = (0, 0)
        refreshes += 1
        guard let final else { return }
        restart()
        snapshot = final
        snapshot.costs.removeAll { $0.domain != 0 }
        namedCount = snapshot.locations.count
        marks = final.marks.map(\.name)
        last = snapshot.costs.map(\.current)
        // Stacks have other numbers now: what they were at the mark is not known.
        (before, marked) = (last, last)
        sites.extend(snapshot, named: namedCount)
    }

    // MARK: - Names

    /// The locations that have no names yet, in a snapshot of their own; nil when there are none.
    package var unnamed: Snapshot? {
        guard namedCount < snapshot.locations.count else { return nil }
        var part = Snapshot(process: snapshot.process)
        part.modules = snapshot.modules
        part.locations = Array(snapshot.locations[namedCount...])
        return part
    }

    /// Takes the names of what `unnamed` was; void when everything began anew since.
    package mutating func name(_ named: Snapshot, after restarts: Int) {
        guard restarts == self.restarts, namedCount + named.locations.count <= snapshot.locations.count else { return }
        for (index, location) in named.locations.enumerated() { snapshot.locations[namedCount + index].frames = location.frames }
        namedCount += named.locations.count
        namings += 1
        sites.regroup(snapshot, named: namedCount)
    }

    package var isNaming: Bool { namedCount < snapshot.locations.count }

    // MARK: - Answers

    package mutating func group(by grouping: Grouping) {
        guard grouping != sites.grouping else { return }
        sites = LiveSites(grouping)
        sites.extend(snapshot, named: namedCount)
    }

    /// The memory of each call site that has any.
    package func rows(_ question: LiveQuestion) -> [LiveRow] {
        var rows = sites.names.map { LiveRow(site: $0) }
        let siteOfNode = question.hidesRuntime ? sites.userSiteOfNode : sites.innermostSiteOfNode
        for (index, cost) in snapshot.costs.enumerated() {
            let site = Int(siteOfNode.indices.contains(Int(cost.stack)) ? siteOfNode[Int(cost.stack)] : 0)
            rows[site].add(cost, question.metric, change: change(of: index, question.baseline))
        }
        return rows.filter { $0.allocations != 0 || $0.change != .zero || $0.tally != .zero }
    }

    /// The stacks of one call site.
    package func stacks(of site: LiveSite, _ question: LiveQuestion) -> [LiveRow] {
        let siteOfNode = question.hidesRuntime ? sites.userSiteOfNode : sites.innermostSiteOfNode
        var rows: [LiveRow] = []
        // A final snapshot has costs apart for each thread.
        var rowOfStack: [Int32: Int] = [:]
        for (index, cost) in snapshot.costs.enumerated() where siteOfNode.indices.contains(Int(cost.stack)) {
            guard sites.names[Int(siteOfNode[Int(cost.stack)])] == site else { continue }
            let number = rowOfStack[cost.stack] ?? rows.count
            if number == rows.count {
                rowOfStack[cost.stack] = number
                rows.append(LiveRow(site: site))
                rows[number].stack = cost.stack
            }
            rows[number].add(cost, question.metric, change: change(of: index, question.baseline))
        }
        return rows
    }

    private func change(of index: Int, _ baseline: LiveQuestion.Baseline) -> Tally {
        let then = baseline == .refresh ? before : marked
        guard last.indices.contains(index) else { return .zero }
        // Right after the start everything is new, which says nothing.
        if baseline == .refresh, refreshes < 2 { return .zero }
        return last[index] - (then.indices.contains(index) ? then[index] : .zero)
    }

    /// Frames of a stack, innermost first.
    package func frames(of stack: Int32, hidesRuntime: Bool) -> [Frame] {
        var frames: [Frame] = []
        var node = snapshot.hasNode(stack) ? Int(stack) : 0
        while node != 0 {
            frames += self.frames(atNode: node)
            node = snapshot.parent(of: node)
        }
        let users = hidesRuntime ? frames.filter { !$0.isSystem } : frames
        return users.isEmpty ? frames : users
    }

    private func frames(atNode node: Int) -> [Frame] {
        let location = Int(snapshot.nodes[node].location)
        guard snapshot.locations.indices.contains(location) else {
            return snapshot.nodes[node].location == StackNode.cut ? [.cut] : [.lost]
        }
        let named = snapshot.locations[location].frames
        return named.isEmpty ? [snapshot.unnamedFrame(of: snapshot.locations[location])] : named
    }
}
