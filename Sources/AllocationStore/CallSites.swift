// CallSites.swift: where each stack is charged, for queries by people.
import AllocationProfile

/// The frame that each stack's cost is charged to, so that people's queries need no recursion: the innermost frame that is
/// not system code, else the innermost.
struct CallSites {
    /// By location: its first frame.
    private var innermost: [Int32] = []
    /// By node: the first frame that is not system code.
    private var users: [Int32]
    private let nodes: [StackNode]

    init(_ snapshot: Snapshot) {
        // Of each location: its first frame that is not system code.
        var user: [Int32] = []
        var count: Int32 = 0
        for location in snapshot.locations {
            innermost.append(location.frames.isEmpty ? -1 : count)
            user.append(location.frames.firstIndex { !$0.isSystem }.map { count + Int32($0) } ?? -1)
            count += Int32(location.frames.count)
        }
        nodes = snapshot.nodes
        users = [-1]
        users.reserveCapacity(nodes.count)
        for node in nodes.dropFirst() {
            let location = Int(node.location)
            let own = user.indices.contains(location) ? user[location] : -1
            users.append(own < 0 && users.indices.contains(Int(node.parent)) ? users[Int(node.parent)] : own)
        }
    }

    /// Number of the frame in order of the snapshot's locations; -1 where the stack has no named frame.
    subscript(stack: Int32) -> Int32 {
        guard nodes.indices.contains(Int(stack)) else { return -1 }
        let location = Int(nodes[Int(stack)].location)
        return users[Int(stack)] >= 0 ? users[Int(stack)] : innermost.indices.contains(location) ? innermost[location] : -1
    }
}
