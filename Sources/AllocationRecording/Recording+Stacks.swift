// Recording+Stacks.swift: the stacks of a recording as one growing tree, for all who ask.
import AllocationProfile

extension Recording {
    /// What was asked for once is there the next time: a look at 100,000 known stacks copies their figures, nothing more.
    struct Stacks {
        let identity = UInt64.random(in: 1 ... .max)
        let frameLimit: Int
        var tree: StackTree
        /// By row of the ledger. Row 0 is none.
        var ofRow: [Int32] = [0]

        fileprivate init(_ region: Unsafe.Region, frameLimit: Int, moduleOfImage: [Int32]) {
            self.frameLimit = frameLimit
            tree = StackTree(region: region, limit: frameLimit, moduleOfImage: moduleOfImage)
        }

        /// False: so many deep stacks are new that all need to be cut shorter than those that are here; or one is to be cut, and none
        /// was to be. Then this is of no use any more.
        fileprivate mutating func follow(_ rows: Unsafe.StackRows, mayCut: Bool = true) -> Bool {
            let new = ofRow.count..<max(rows.count, ofRow.count)
            let window = tree.window
            for row in new { tree.prepare(rows.rows[row].node) }
            if tree.window != window, ofRow.count > 1 { return false }
            if tree.cutsStacks, !mayCut { return false }
            for row in new { ofRow.append(tree.add(rows.rows[row].node)) }
            return true
        }
    }

    /// The stacks of all rows that there are now. Costs about 0.1 microseconds for a node that is new, and for a new row.
    func stacks(frameLimit: Int, _ table: ModuleTable) -> Stacks {
        var stacks = takeKnown(frameLimit: frameLimit, table)
        if !stacks.follow(merge.ledger.rows) {
            stacks = takeKnown(frameLimit: frameLimit, table)
            _ = stacks.follow(merge.ledger.rows)
        }
        known = stacks
        return stacks
    }

    /// Looks at stacks that have come to be: a snapshot has less to do then, the last one above all, which somebody waits for. Not where
    /// stacks are so deep that they are cut: how short depends on how many there will be.
    func keepUp(frameLimit: Int) {
        if isOver || !keepsUp || merge.ledger.rows.count - (known?.ofRow.count ?? 0) < Self.worthAWhile { return }
        var stacks = takeKnown(frameLimit: frameLimit, moduleTable)
        keepsUp = stacks.follow(merge.ledger.rows, mayCut: false)
        if keepsUp { known = stacks }
    }

    private static let worthAWhile = 1000

    /// What is known, else an empty tree. Taken, so that it grows in place: the next time it is empty.
    private func takeKnown(frameLimit: Int, _ table: ModuleTable) -> Stacks {
        var stacks =
            known.flatMap { $0.frameLimit == frameLimit ? $0 : nil }
            ?? Stacks(region, frameLimit: frameLimit, moduleOfImage: table.ofImage)
        known = nil
        stacks.tree.follow(region, moduleOfImage: table.ofImage)
        return stacks
    }

    /// The modules seen so far, each where its image is: an image has its place before it has a name, and places stay, so that what
    /// is known of a stack stays true.
    struct ModuleTable {
        var modules: [Module] = []
        /// -1: it has no name so far.
        var ofImage: [Int32] = []
    }

    var moduleTable: ModuleTable {
        var table = ModuleTable()
        for index in 0..<region.imagesUsed {
            let image = region.image(index)
            table.modules.append(image.state == 0 ? Module(path: "") : module(image))
            table.ofImage.append(image.state == 0 ? -1 : Int32(index))
        }
        return table
    }
}
