// CallSites.swift: where each stack is charged, for queries by people.
import AllocationProfile

/// The frame that each stack's cost is charged to, so that people's queries need no recursion: the innermost frame that is
/// not system code, else the innermost.
struct CallSites {
    private var sites: [Int32]

    init(_ snapshot: Snapshot) {
        // Of each location: its first frame, and its first one that is not system code.
        var innermost: [Int32] = []
        var user: [Int32] = []
        var count: Int32 = 0
        for location in snapshot.locations {
            innermost.append(location.frames.isEmpty ? -1 : count)
            user.append(location.frames.firstIndex { !$0.isSystem }.map { count + Int32($0) } ?? -1)
            count += Int32(location.frames.count)
        }
        var users = [Int32](repeating: -1, count: snapshot.nodes.count)
        sites = users
        for index in snapshot.nodes.indices.dropFirst() {
            let node = snapshot.nodes[index]
            let location = Int(node.location)
            let isNamed = innermost.indices.contains(location)
            if isNamed { users[index] = user[location] }
            if users[index] < 0, node.parent >= 0, node.parent < index { users[index] = users[Int(node.parent)] }
            sites[index] = users[index] >= 0 ? users[index] : isNamed ? innermost[location] : -1
        }
    }

    /// Number of the frame in order of the snapshot's locations; -1 where the stack has no named frame.
    subscript(stack: Int32) -> Int32 { stack >= 0 && Int(stack) < sites.count ? sites[Int(stack)] : -1 }
}
