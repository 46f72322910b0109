// TypeGroupsTests.swift: statistics by the type of objects.
import AllocationProfile
import Testing

@Suite struct TypeGroupsTests {
    /// Stack 0: C code; stack 1: one type; stack 2: two types, of which some live objects are known.
    private var snapshot: Snapshot {
        var snapshot = Snapshot(stacks: "main;read;~malloc 10\nmain;make;~swift_allocObject 32 x2\nmain;both;~swift_allocObject 100 x10")
        let stacks = snapshot.costs.map(\.stack)
        snapshot.types = ["App.Node", "App.Leaf", ""]
        snapshot.objects = [
            ObjectCost(stack: stacks[1], type: 0, live: .zero),
            ObjectCost(stack: stacks[2], type: 0, live: Tally(bytes: 60, count: 6)),
            ObjectCost(stack: stacks[2], type: 1, live: Tally(bytes: 30, count: 3)),
        ]
        return snapshot
    }

    @Test func liveObjectsAreDividedAsFarAsTheyAreKnown() throws {
        let rows = try snapshot.statistics(groupedBy: .type).map(\.description)
        #expect(
            rows == [
                "App.Node: size=92 B, count=8, average=12 B", "App.Leaf: size=30 B, count=3, average=10 B",
                "malloc in read: size=10 B, count=1, average=10 B", "App.Leaf or App.Node: size=10 B, count=1, average=10 B",
            ])
    }

    @Test func otherFiguresStandUnderAllNames() throws {
        let rows = try snapshot.statistics(groupedBy: .type, measuring: .total).map(\.key)
        #expect(rows == ["App.Leaf or App.Node", "App.Node", "malloc in read"])
    }

    @Test func objectsWhoseTypeWasNotSeenAreNamedAfterTheirFunction() throws {
        var snapshot = snapshot
        snapshot.objects = snapshot.costs.map { ObjectCost(stack: $0.stack, type: 2, live: .zero) }
        let rows = try snapshot.statistics(groupedBy: .type).map(\.key)
        #expect(rows == ["object of unknown type in both", "object of unknown type in make", "object of unknown type in read"])
    }

    @Test func differencesAreByTypeToo() throws {
        var old = snapshot
        old.objects[1].live = Tally(bytes: 10, count: 1)
        let rows = try snapshot.differences(from: old, groupedBy: .type)
        #expect(rows.first { $0.key == "App.Node" }?.difference == Tally(bytes: 50, count: 5))
        #expect(rows.first { $0.key == "App.Leaf or App.Node" }?.difference == Tally(bytes: -50, count: -5))
    }

    @Test func filteredStacksTakeTheirTypesAlong() throws {
        let rows = try snapshot.filtered(by: [.exclude(function: "both")]).statistics(groupedBy: .type).map(\.key)
        #expect(rows == ["App.Node", "malloc in read"])
    }

    @Test func cumulativeTypesAreRefused() {
        #expect(throws: ProfileError.cumulativeType) { try snapshot.statistics(groupedBy: .type, cumulative: true) }
    }
}
