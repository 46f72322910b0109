// CallSiteTable.swift: which call site each stack is charged to, for reports that need more of a stack than one tally.

/// The call sites of one or more snapshots, and the stacks that are charged to them.
///
/// `Snapshot.statistics` sums up one metric. Reports that look at histograms, growth or generations sum up by themselves.
package struct CallSiteTable: Sendable {
    /// One for each group; what the charged frames of the group have in common.
    package let sites: [Frame]
    /// For each snapshot and each of its `costs`, in their order, an index into `sites`.
    package let siteOfCost: [[Int32]]

    /// Time: one hash per frame of each location, one step per node and per stack.
    package init(_ snapshots: [Snapshot], groupedBy grouping: Grouping = .line, attribution: Attribution = .user) {
        let table = FrameTable(snapshots, groupedBy: grouping)
        var charged = [Bool](repeating: false, count: table.keys.count)
        var siteOfCost: [[Int32]] = []
        for (index, snapshot) in snapshots.enumerated() {
            let occurrences = snapshot.callSites(table, index, attribution)
            siteOfCost.append(
                snapshot.costs.map { cost in
                    let occurrence = snapshot.hasNode(cost.stack) ? Int(occurrences[Int(cost.stack)]) : FrameTable.unknown
                    charged[occurrence] = true
                    return table.keys[occurrence]
                })
        }
        self.siteOfCost = siteOfCost
        sites = table.frames(snapshots, charged: charged)
    }
}
