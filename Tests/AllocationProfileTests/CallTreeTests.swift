// CallTreeTests.swift: calls as a tree.
import AllocationProfile
import Testing

@Suite struct CallTreeTests {
    /// `2 main 0/3`: depth, name, own bytes / bytes with callees; children under their parent.
    private func lines(_ tree: CallTree, _ node: Int = 0, _ depth: Int = 0) -> [String] {
        let this = tree.nodes[node]
        return ["\(depth) \(tree.frame(of: node)?.description ?? "root") \(this.own.bytes)/\(this.tally.bytes)"]
            + this.children.flatMap { lines(tree, $0, depth + 1) }
    }

    @Test func sumsUpCalls() {
        let snapshot = Snapshot(stacks: "main;load;malloc 3\nmain;save;malloc 5\nmain;load 1\nstart 2")
        let expected = [
            "0 root 0/11", "1 main 0/9", "2 save 0/5", "3 malloc 5/5", "2 load 1/4", "3 malloc 3/3", "1 start 2/2",
        ]
        #expect(lines(CallTree([snapshot], measuring: .current)) == expected)
    }

    @Test func standsInOrderOfDepth() {
        let tree = CallTree([Snapshot(stacks: "a;b;c 1\na;d 2\ne;f 9")], measuring: .total)
        #expect(tree.nodes.indices.map { tree.frame(of: $0)?.function ?? "" } == ["", "e", "a", "f", "d", "b", "c"])
        for node in tree.nodes.indices.dropFirst() {
            #expect(tree.nodes[node].parent < node)
            #expect(tree.nodes[Int(tree.nodes[node].parent)].children.contains(node))
        }
    }

    @Test func mergesProcessesAndLinesOfAFunction() {
        var one = Snapshot(stacks: "main;a.c:1 1\nmain;a.c:2 2")
        var other = Snapshot(stacks: "main;a.c:2 4\nmain;free 1")
        for index in one.locations.indices where one.locations[index].frames[0].line != nil {
            one.locations[index].frames[0].function = "f"
        }
        for index in other.locations.indices where other.locations[index].frames[0].line != nil {
            other.locations[index].frames[0].function = "f"
        }
        other.costs.removeAll { $0.current.bytes == 1 }
        #expect(lines(CallTree([one, other], measuring: .current)) == ["0 root 0/7", "1 main 0/7", "2 f 7/7"])
        #expect(
            lines(CallTree([one, other], measuring: .current, groupedBy: .traceback))
                == ["0 root 0/7", "1 main 0/7", "2 a.c:2 6/6", "2 a.c:1 1/1"])
    }

    @Test func keepsSystemFramesInlinedFramesAndCutStacks() {
        let snapshot = Snapshot(stacks: "!cut;main+inner;~malloc 3")
        #expect(
            lines(CallTree([snapshot], measuring: .peak))
                == ["0 root 0/3", "1 [outer frames cut off] 0/3", "2 main 0/3", "3 inner 0/3", "4 malloc 3/3"])
    }

    @Test func isJustARootWithoutCosts() {
        #expect(lines(CallTree([], measuring: .current)) == ["0 root 0/0"])
        var freed = Snapshot(stacks: "main;load 3")
        freed.costs[0].current = .zero
        #expect(lines(CallTree([freed], measuring: .current)) == ["0 root 0/0"])
    }
}
