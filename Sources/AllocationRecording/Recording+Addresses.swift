// Recording+Addresses.swift: which code stands in the stacks so far, for those who look up its names early.
import AllocationProfile
import CRecording

extension Recording {
    /// The addresses of nodes from `first` on, `most` at a time, and the node to go on from. A node that is not written yet is passed
    /// over: nothing is lost but time. Costs about 50 ns a node.
    func addresses(from first: Int, most: Int) -> (next: Int, addresses: [ModuleAddresses]) {
        let end = min(region.nodesUsed, first + most)
        var byImage: [UInt16: Set<UInt64>] = [:]
        for index in max(first, Int(TM_NODE_FIRST))..<max(end, first, Int(TM_NODE_FIRST)) {
            let node = region.nodeElements[index]
            if node.pc != 0 { byImage[node.image, default: []].insert(Location(node, module: 0).lookupAddress) }
        }
        var found: [ModuleAddresses] = []
        for (number, addresses) in byImage where Int(number) < region.imagesUsed {
            let image = region.image(Int(number))
            guard image.state != 0 else { continue }
            let module = module(image)
            found.append(ModuleAddresses(module: module, addresses: addresses.map { $0 &- module.bias }))
        }
        return (end, found)
    }

    /// The addresses of a snapshot's locations.
    func addresses(of snapshot: Snapshot) -> [ModuleAddresses] {
        var byModule = [[UInt64]](repeating: [], count: snapshot.modules.count)
        for location in snapshot.locations {
            guard let module = Int(exactly: location.module), byModule.indices.contains(module) else { continue }
            byModule[module].append(location.lookupAddress &- snapshot.modules[module].bias)
        }
        return zip(snapshot.modules, byModule).filter { !$1.isEmpty }.map { ModuleAddresses(module: $0, addresses: $1) }
    }
}
