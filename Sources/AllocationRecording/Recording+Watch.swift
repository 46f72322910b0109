// Recording+Watch.swift: answers who watches: all figures, and the stacks that came since the last answer.
import AllocationProfile

extension Recording {
    /// The stacks of a recording that is watched, as one growing tree: a look at 100,000 known stacks copies their figures,
    /// nothing more.
    struct Watch {
        let identity = UInt64.random(in: 1 ... .max)
        var tree: StackTree
        /// Row 0 is none.
        var stackOfRow: [Int32] = [0]
    }

    func answer(_ cursor: WatchCursor, frameLimit: Int, at time: UInt64) -> WatchAnswer {
        var answer = WatchAnswer()
        answer.process = summary(frameLimit: frameLimit, at: time)
        answer.residentBytes = files.residentBytes() ?? 0
        answer.marks = marks.map(\.name)
        // An image has its place before it has a name: places stay, so that what is known of a stack stays true.
        let images = (0..<region.imagesUsed).map { region.image($0) }
        answer.modules = images.map { $0.state == 0 ? Module(path: "") : module($0) }
        let places = images.indices.map { images[$0].state == 0 ? -1 : Int32($0) }

        var watch = self.watch ?? Watch(tree: StackTree(region: region, limit: frameLimit, moduleOfImage: places))
        // Taken, so that it grows in place.
        self.watch = nil
        watch.tree.follow(region, moduleOfImage: places)
        let rows = merge.ledger.rows
        let new = watch.stackOfRow.count..<max(rows.count, watch.stackOfRow.count)
        for row in new { watch.tree.prepare(rows.rows[row].node) }
        for row in new { watch.stackOfRow.append(watch.tree.add(rows.rows[row].node)) }
        self.watch = watch

        var begin = cursor
        if cursor.identity != watch.identity || cursor.nodes > watch.tree.nodes.count || cursor.rows > watch.stackOfRow.count - 1
            || cursor.locations > watch.tree.locations.count
        {
            begin = WatchCursor()
            begin.identity = watch.identity
        }
        answer.begin = begin
        answer.newNodes = Array(watch.tree.nodes[begin.nodes...])
        answer.newLocations = Array(watch.tree.locations[begin.locations...])
        answer.newRows = Array(watch.stackOfRow[(begin.rows + 1)...])
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
