// ProcessWatch.swift: looks at a process that a session records, again and again, at little cost for anybody.
package import AllocationProfile
import Glibc

/// Asks the collector of a running session for what is new.
package struct ProcessWatch {
    package let pid: Int32
    private(set) var cursor = WatchCursor()
    /// The element of `costs` of each row, and of each stack.
    private var costOfRow: [Int32] = []
    private var costOfStack: [Int32: Int32] = [:]

    package init(pid: Int32) { self.pid = pid }

    /// What is new. Waits for the collector, so not to be called where somebody waits for an answer of ours.
    package func ask() throws(RecordingError) -> WatchAnswer {
        let path = try SessionRequest(verb: .watch, pid: pid, name: cursor.text).ask()
        defer { unlink(path) }
        guard let answer = SystemCalls.file(path).flatMap({ WatchAnswer(bytes: $0) }) else {
            throw .requestFailed("the answer of the collector of process \(pid) makes no sense; both must be of the same version")
        }
        return answer
    }

    /// Brings a snapshot up to date: new stacks, all figures. Its `costs` stand in the order in which stacks first came, so that
    /// an index stays what it is; histograms, time line and generations are not in it.
    /// - Returns: false when everything began anew: what was derived from the snapshot so far is void.
    @discardableResult
    package mutating func apply(_ answer: WatchAnswer, to snapshot: inout Snapshot) -> Bool {
        let begin = answer.begin
        let isContinued =
            begin.identity == cursor.identity && begin.nodes == snapshot.nodes.count
            && begin.locations == snapshot.locations.count && begin.rows == costOfRow.count
        if !isContinued {
            snapshot = Snapshot(process: answer.process)
            snapshot.nodes = []
            (costOfRow, costOfStack) = ([], [:])
            // An answer to another question than ours: the next one gets everything.
            guard begin.nodes == 0, begin.locations == 0, begin.rows == 0 else {
                cursor = WatchCursor()
                snapshot = Snapshot(process: answer.process)
                return false
            }
        }
        snapshot.process = answer.process
        snapshot.modules = answer.modules
        snapshot.nodes += answer.newNodes
        snapshot.locations += answer.newLocations
        for stack in answer.newRows {
            let next = Int32(snapshot.costs.count)
            let cost = costOfStack[stack] ?? next
            if cost == next {
                costOfStack[stack] = cost
                snapshot.costs.append(StackCost(stack: stack))
            }
            costOfRow.append(cost)
        }
        setFigures(answer.figures, &snapshot)
        cursor.identity = begin.identity
        (cursor.nodes, cursor.locations, cursor.rows) = (snapshot.nodes.count, snapshot.locations.count, costOfRow.count)
        return isContinued
    }

    private func setFigures(_ figures: [Int], _ snapshot: inout Snapshot) {
        for index in snapshot.costs.indices { snapshot.costs[index] = StackCost(stack: snapshot.costs[index].stack) }
        for (row, cost) in costOfRow.enumerated() {
            let first = row * WatchAnswer.figureCount
            func tally(_ index: Int) -> Tally { Tally(bytes: figures[first + index], count: figures[first + index + 1]) }
            snapshot.costs[Int(cost)].current += tally(0)
            snapshot.costs[Int(cost)].peak += tally(2)
            snapshot.costs[Int(cost)].total += tally(4)
            snapshot.costs[Int(cost)].temporary += tally(6)
        }
    }
}
