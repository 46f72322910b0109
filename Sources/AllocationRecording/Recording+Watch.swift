// Recording+Watch.swift: answers who watches: all figures, and the stacks that came since the last answer.
import AllocationProfile

extension Recording {
    func answer(_ cursor: WatchCursor, frameLimit: Int, at time: UInt64) -> WatchAnswer {
        var answer = WatchAnswer()
        answer.process = summary(frameLimit: frameLimit, at: time)
        answer.residentBytes = files.residentBytes() ?? 0
        answer.marks = marks.map(\.name)
        let table = moduleTable
        answer.modules = table.modules
        let stacks = stacks(frameLimit: frameLimit, table)
        let rows = merge.ledger.rows

        var begin = cursor
        if cursor.identity != stacks.identity || cursor.nodes > stacks.tree.nodes.count || cursor.rows > stacks.ofRow.count - 1
            || cursor.locations > stacks.tree.locations.count
        {
            begin = WatchCursor()
            begin.identity = stacks.identity
        }
        answer.begin = begin
        answer.newNodes = Array(stacks.tree.nodes[begin.nodes...])
        answer.newLocations = Array(stacks.tree.locations[begin.locations...])
        answer.newRows = Array(stacks.ofRow[(begin.rows + 1)...])
        let width = WatchAnswer.figureCount
        answer.figures = [Int](repeating: 0, count: (rows.count - 1) * width)
        let peakNumber = merge.ledger.totals.peakNumber
        for row in 1..<rows.count {
            let (values, detail) = (rows.rows[row], rows.details[row])
            // Ranges that the program tracks by itself are in no figure of the process.
            if values.domain != 0 { continue }
            let (first, peak) = ((row - 1) * width, values.peak(peakNumber))
            answer.figures[first] = values.currentBytes
            answer.figures[first + 1] = values.currentCount
            answer.figures[first + 2] = peak.bytes
            answer.figures[first + 3] = peak.count
            answer.figures[first + 4] = values.totalBytes
            answer.figures[first + 5] = values.totalCount
            answer.figures[first + 6] = detail.temporaryBytes
            answer.figures[first + 7] = detail.temporaryCount
        }
        return answer
    }
}
