// Recording+Threads.swift: what the program's threads are called.
import AllocationProfile
import CRecording

/// The name of a thread, and when to look again: programs name their threads some time after these have begun.
struct ThreadName {
    var name = ""
    var pause: UInt64 = 1_000_000
    var next: UInt64 = 0
}

extension Recording {
    private static let longestPause: UInt64 = 10_000_000_000

    /// Looks up the names that are due: new threads at once, then again after one millisecond, two, four …
    func nameThreads(at time: UInt64) {
        let count = merge.ledger.threads.count - 1
        guard threadNames.count < count || time >= nextNaming else { return }
        while threadNames.count < count { threadNames.append(ThreadName()) }
        nextNaming = .max
        for index in threadNames.indices where !merge.ledger.threads.isGone(index + 1) {
            if time >= threadNames[index].next { readName(index, at: time) }
            nextNaming = min(nextNaming, threadNames[index].next)
        }
    }

    private func readName(_ index: Int, at time: UInt64) {
        if let name = SystemCalls.contents(of: "/proc/\(pid)/task/\(merge.ledger.threads.id(index + 1))/comm", limit: 64) {
            threadNames[index].name = String(decoding: name.prefix { $0 != 10 }, as: UTF8.self)
        }
        threadNames[index].next = time &+ threadNames[index].pause
        threadNames[index].pause = min(threadNames[index].pause &* 2, Self.longestPause)
    }

    /// All threads, the first of which stands for those that have no rows of their own.
    func readThreads(at time: UInt64) -> [TracedThread] {
        if endMonotonic == nil {
            for index in threadNames.indices { threadNames[index].next = 0 }
            nextNaming = 0
            nameThreads(at: time)
        }
        let threads = merge.ledger.threads
        return [.others]
            + (1..<threads.count).map { number in
                let name = number <= threadNames.count ? threadNames[number - 1].name : ""
                return TracedThread(id: Int32(truncatingIfNeeded: threads.id(number)), name: name)
            }
    }
}
