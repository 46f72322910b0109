// CallSites.swift: where each stack is charged, for queries by people.
import AllocationProfile

/// The frame that each stack's cost is charged to, so that people's queries need no recursion: the innermost frame that is
/// not system code, else the innermost.
struct CallSites {
    private var sites: [Int32]

    init(_ snapshot: Snapshot) {
        var users = [Int32](repeating: -1, count: snapshot.nodes.count)
        sites = users
        var firstFrames: [Int32] = []
        var count: Int32 = 0
        for location in snapshot.locations {
            firstFrames.append(count)
            count += Int32(location.frames.count)
        }
        for (index, node) in snapshot.nodes.enumerated().dropFirst() {
            var innermost: Int32 = -1
            if node.location >= 0, Int(node.location) < snapshot.locations.count {
                let frames = snapshot.locations[Int(node.location)].frames
                let first = firstFrames[Int(node.location)]
                if !frames.isEmpty { innermost = first }
                if let user = frames.firstIndex(where: { !$0.isSystem }) { users[index] = first + Int32(user) }
            }
            if users[index] < 0, node.parent >= 0, node.parent < index { users[index] = users[Int(node.parent)] }
            sites[index] = users[index] >= 0 ? users[index] : innermost
        }
    }

    /// Number of the frame in order of the snapshot's locations; nil where the stack has no named frame.
    subscript(stack: Int32) -> Int? {
        guard stack >= 0, Int(stack) < sites.count, sites[Int(stack)] >= 0 else { return nil }
        return Int(sites[Int(stack)])
    }
}
