// LiveSites.swift: the call site of each stack of a growing tree of stacks.
package import AllocationProfile

/// What makes a row of a live view: equal sites are one row, also after names have come.
package struct LiveSite: Hashable, Sendable {
    package var frame: Frame

    /// Stands for stacks whose names are not read yet.
    static let unnamed = LiveSite(frame: Frame(function: "[names are being read]"))
}

/// Sites of locations and nodes, extended as they come.
struct LiveSites {
    let grouping: Grouping
    /// Site 0 stands for what has no name yet.
    private(set) var names = [LiveSite.unnamed]
    /// For each node: the site that is charged by the call-site rule, and the one of the innermost frame.
    private(set) var userSiteOfNode: [Int32] = []
    private(set) var innermostSiteOfNode: [Int32] = []

    private var numbers: [LiveSite: Int32] = [.unnamed: 0]
    /// For each location: the site of its innermost user frame (-1: it has none), and of its innermost frame.
    private var userSiteOfLocation: [Int32] = []
    private var innermostSiteOfLocation: [Int32] = []
    /// For each node: the user's site found so far from the outside, -1 when there is none.
    private var inheritedSite: [Int32] = []

    init(_ grouping: Grouping) { self.grouping = grouping }

    /// Takes new locations and nodes in. The first `named` locations have their names.
    mutating func extend(_ snapshot: Snapshot, named: Int) {
        for index in userSiteOfLocation.count..<max(snapshot.locations.count, userSiteOfLocation.count) {
            userSiteOfLocation.append(0)
            innermostSiteOfLocation.append(0)
            if index < named { setSites(of: index, snapshot) }
        }
        for node in userSiteOfNode.count..<max(snapshot.nodes.count, userSiteOfNode.count) { addNode(node, snapshot) }
    }

    /// Names have come: all nodes find their sites again.
    mutating func regroup(_ snapshot: Snapshot, named: Int) {
        for index in userSiteOfLocation.indices where index < named && innermostSiteOfLocation[index] == 0 { setSites(of: index, snapshot) }
        userSiteOfNode.removeAll(keepingCapacity: true)
        innermostSiteOfNode.removeAll(keepingCapacity: true)
        inheritedSite.removeAll(keepingCapacity: true)
        extend(snapshot, named: named)
    }

    private mutating func setSites(of location: Int, _ snapshot: Snapshot) {
        var frames = snapshot.locations[location].frames
        if frames.isEmpty { frames = [snapshot.unnamedFrame(of: snapshot.locations[location])] }
        innermostSiteOfLocation[location] = number(of: frames[0])
        userSiteOfLocation[location] = frames.first { !$0.isSystem }.map { number(of: $0) } ?? -1
    }

    private mutating func addNode(_ node: Int, _ snapshot: Snapshot) {
        guard node > 0 else {
            (userSiteOfNode, innermostSiteOfNode, inheritedSite) = ([0], [0], [-1])
            return
        }
        let parent = snapshot.parent(of: node)
        let location = Int(snapshot.nodes[node].location)
        let isKnown = userSiteOfLocation.indices.contains(location)
        let user = isKnown ? userSiteOfLocation[location] : -1
        let innermost =
            isKnown ? innermostSiteOfLocation[location] : number(of: snapshot.nodes[node].location == StackNode.cut ? .cut : .lost)
        let inherited = user >= 0 ? user : inheritedSite[parent]
        inheritedSite.append(inherited)
        innermostSiteOfNode.append(innermost)
        userSiteOfNode.append(inherited >= 0 ? inherited : innermost)
    }

    private mutating func number(of frame: Frame) -> Int32 {
        let site = LiveSite(frame: reduced(frame))
        if let known = numbers[site] { return known }
        let number = Int32(names.count)
        numbers[site] = number
        names.append(site)
        return number
    }

    /// The fields that the grouping distinguishes, or the next best ones.
    private func reduced(_ frame: Frame) -> Frame {
        var site = Frame(function: frame.function, file: frame.file, line: frame.line, module: frame.module)
        let hasName = frame.function != nil || frame.file != nil
        switch grouping {
        case .module: site = Frame(module: frame.module)
        case .file where frame.file != nil: site = Frame(file: frame.file)
        case .file: site = Frame(module: frame.module)
        case .function where frame.function != nil: site.line = nil
        default: break
        }
        if !hasName, grouping != .module, grouping != .file { site.address = frame.address }
        // A line belongs to one function in most programs; where code is inlined it is still the same line.
        return site
    }
}
