// CycleBehaviors.swift: which retain cycles collectCycles() frees, and which it leaves alone.
import Glibc
import Synchronization
import TraceMalloc

private let deinits = Mutex<[String: Int]>([:])

/// Says when it goes.
private class Counted {
    deinit { deinits.withLock { $0["\(type(of: self))", default: 0] += 1 } }
}

private final class Husband: Counted { var wife: Wife? }
private final class Wife: Counted {
    var husband: Husband?
    var purse = [Int](repeating: deinits.withLock { $0.count }, count: 3)
}
private final class Tree: Counted { var leaves: [TreeLeaf] = [] }
private final class TreeLeaf: Counted { var tree: Tree? }
private final class Knob: Counted {
    var onTurn: (() -> Void)?
    var turns = 0
}
private protocol Guest: AnyObject {}
private final class Hotel: Counted { var guest: (any Guest)? }
private final class Traveler: Counted, Guest { var hotel: Hotel? }
private final class Shelf<Content>: Counted {
    var content: Content?
    var previous: Shelf<Content>?
}
private final class Fixed: Counted {
    var other: [Fixed] = []
}
private final class Sleeper: Counted, @unchecked Sendable { var task: Task<Void, Never>? }
private final class Seen: Counted { var other: Seen? }
private nonisolated(unsafe) weak var observed: Seen?
/// The optimizer puts objects on the stack when it sees that nobody else comes by them.
private nonisolated(unsafe) var others: [AnyObject] = []
@inline(never) private func escape(_ objects: AnyObject...) {
    others = objects
    others = []
}
@inline(never) private func makeCouple() {
    let husband = Husband()
    husband.wife = Wife()
    husband.wife?.husband = husband
}
@inline(never) private func makeTree() {
    let tree = Tree()
    for _ in 0..<3 {
        let leaf = TreeLeaf()
        leaf.tree = tree
        tree.leaves.append(leaf)
    }
}
@inline(never) private func makeKnob() {
    let knob = Knob()
    knob.onTurn = { knob.turns += 1 }
}
@inline(never) private func makeHotel() {
    let hotel = Hotel()
    let traveler = Traveler()
    hotel.guest = traveler
    traveler.hotel = hotel
    escape(hotel, traveler)
}
@inline(never) private func makeShelf() {
    let shelf = Shelf<String>()
    shelf.content = "a content that does not fit into a small string"
    shelf.previous = Shelf<String>()
    shelf.previous?.previous = shelf
    escape(shelf)
}
@inline(never) private func makeFixed() {
    let one = Fixed()
    let two = Fixed()
    one.other = [two]
    two.other = [one]
}
@inline(never) private func makeSleeper() {
    let sleeper = Sleeper()
    sleeper.task = Task {
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
        sleeper.task = nil
    }
}
/// One alone: those that the weak reference does not lead to any more may go.
@inline(never) private func makeSeen() {
    observed?.other = nil
    space()
    deinits.withLock { $0 = [:] }
    let one = Seen()
    one.other = Seen()
    one.other?.other = one
    observed = one
}

private nonisolated(unsafe) var taken: [UnsafeMutableRawPointer] = []
/// Takes memory, so that the next attempt's objects do not lie where those of this one were, which a stale word still names.
private func space() {
    for size in stride(from: 8, through: 136, by: 8) {
        guard let block = malloc(size) else { continue }
        memset(block, 0, size)
        taken.append(block)
    }
}

/// Makes something on a thread that is gone then, and collects until a cycle that begins at one of `types`, of so many blocks, was
/// freed or refused.
private func collect(_ types: String..., blocks: Int? = nil, make: @escaping @Sendable () -> Void) throws -> (
    freed: Leak?, refused: String?
) {
    try AllocationTracer.start()
    // A word that looks like an address hides a cycle now and then.
    for attempt in 0..<15 {
        // A collector without optimization, on a busy machine, still keeps what it has freed: it holds things meanwhile.
        usleep(UInt32(attempt) * 10_000)
        deinits.withLock { $0 = [:] }
        onThreadOfItsOwn {
            space()
            make()
        }
        scrub()
        let collection = try AllocationTracer.collectCycles()
        func isIt(_ leak: Leak) -> Bool {
            types.contains { leak.typeName?.contains($0) == true } && blocks ?? leak.total.count == leak.total.count
        }
        let freed = collection.freed.first(where: isIt)
        let refused = collection.refused.first { isIt($0.cycle) }?.reason
        if freed != nil || refused != nil { return (freed, refused) }
    }
    return (nil, nil)
}

private func freed(_ type: String) -> Int { deinits.withLock { $0[type] ?? 0 } }

let cycleBehaviors = [
    Behavior("Two objects that hold each other are freed, their deinits run, and what they kept goes with them") {
        let (leak, reason) = try collect("Husband", "Wife", blocks: 3) { makeCouple() }
        try expectEqual(reason, nil)
        try expect(freed("Husband") > 0 && freed("Husband") == freed("Wife"), "\(deinits.withLock { $0 })")
        try expectEqual(try unwrap(leak).total.count, 3)
        try expect(try !AllocationTracer.findLeaks().leaks.contains { $0.typeName?.contains("Wife") == true })
    },
    Behavior("All optional references to one object are cleared where several hold it") {
        let (leak, reason) = try collect("Tree", blocks: 5) { makeTree() }
        try expectEqual(reason, nil)
        try expectEqual(try unwrap(leak).own.count, 5)
        try expect(freed("Tree") > 0 && freed("TreeLeaf") == 3 * freed("Tree"), "\(deinits.withLock { $0 })")
    },
    Behavior("A closure that holds its owner is freed, and cycles through an existential and a generic class are") {
        let knob = try collect("Knob") { makeKnob() }
        try expect(knob.freed != nil && freed("Knob") > 0, "\(knob)")
        let hotel = try collect("Hotel") { makeHotel() }
        try expect(hotel.freed != nil && freed("Traveler") > 0 && freed("Hotel") > 0, "\(hotel)")
        let shelf = try collect("Shelf") { makeShelf() }
        try expect(shelf.freed != nil && freed("Shelf<String>") >= 2, "\(shelf) \(deinits.withLock { $0 })")
    },
    Behavior("A cycle without an optional reference is left alone, and so is one of a task") {
        let fixed = try collect("Fixed") { makeFixed() }
        try expect(fixed.refused?.contains("optional references") == true && freed("Fixed") == 0, "\(fixed)")
        let sleeper = try collect("Sleeper") { makeSleeper() }
        try expect(sleeper.freed == nil && freed("Sleeper") == 0, "\(sleeper)")
    },
    Behavior("A cycle to which a weak reference leads is left alone, and can still be used") {
        let seen = try collect("Seen") { makeSeen() }
        try expect(seen.refused?.contains("weak reference") == true && freed("Seen") == 0, "\(seen)")
        let one = try unwrap(observed)
        try expect(one.other?.other === one)
        // Nobody needs it any more.
        one.other = nil
    },
    Behavior("Cycles cannot be collected while nothing is traced") {
        try expectError(.notTracing) { _ = try AllocationTracer.collectCycles() }
    },
]
