// Recording+Block.swift: one live block, found by an address in it.
import AllocationProfile
import CRecording

extension Recording {
    /// Cost: constant for a block's first address, else one pass over the live blocks.
    func block(containing address: UInt64, domain: Int, frameLimit: Int) -> (address: UInt64, size: Int, stack: Snapshot)? {
        var found: Unsafe.Block?
        func look(_ block: Unsafe.Block) {
            if address == block.address || (address > block.address && address - block.address < UInt64(block.size)) { found = block }
        }
        if domain == 0 {
            merge.ledger.live.visit(look)
        } else {
            merge.ledger.domains.first { Int($0.number) == domain }?.live.visit(look)
        }
        guard let found else { return nil }
        var snapshot = Snapshot(process: ProcessSummary())
        snapshot.process.pid = pid
        snapshot.process.frameLimit = frameLimit
        let table = moduleTable
        snapshot.modules = table.modules
        var tree = StackTree(region: region, limit: frameLimit, moduleOfImage: table.ofImage)
        let row = merge.ledger.rows.rows[found.row]
        var cost = StackCost(stack: tree.add(row.node))
        cost.current = Tally(bytes: found.size, count: 1)
        snapshot.nodes = tree.nodes
        snapshot.locations = tree.locations
        snapshot.costs = [cost]
        return (found.address, found.size, snapshot)
    }
}
