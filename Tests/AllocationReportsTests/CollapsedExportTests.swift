// CollapsedExportTests.swift: stacks as lines.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct CollapsedExportTests {
    @Test func stacksStandRootFirstWithTheirBytes() throws {
        #expect(
            try ExportFixture.text([ExportFixture.process()], .collapsed, .total) == #"""
                [unknown] 3
                main;load;copy_[i];libc.so.6+0x21 1000
                main;<script>alert(1)</script>:\u{1b}[31m\n#1;malloc 500
                [outer frames cut off];load;copy_[i] 70
                [stacks that found no room] 2

                """#)
    }

    @Test func stacksWithoutBytesHaveNoLine() throws {
        #expect(
            try ExportFixture.text([ExportFixture.process()], .collapsed, .current) == """
                main;load;copy_[i];libc.so.6+0x21 100
                [outer frames cut off];load;copy_[i] 7

                """)
    }

    @Test func processesAreAddedUp() throws {
        let one = try ExportFixture.text([ExportFixture.process()], .collapsed, .peak)
        let two = try ExportFixture.text([ExportFixture.process(), ExportFixture.process(pid: 13)], .collapsed, .peak)
        #expect(one.split(separator: "\n").count == 4)
        #expect(two.split(separator: "\n").count == 4)
        #expect(two.contains("main;load;copy_[i];libc.so.6+0x21 600\n"))
    }

    @Test func aFunctionThatIsOnlySometimesInlinedHasOneName() throws {
        var snapshot = ExportFixture.process()
        snapshot.locations.append(Location(address: 0x401041, module: 1, frames: [Frame(function: "copy", file: "/src/inl.h", line: 8)]))
        snapshot.nodes.append(StackNode(parent: 1, location: 5))
        var cost = StackCost(stack: 9)
        cost.current = Tally(bytes: 1, count: 1)
        snapshot.costs.append(cost)
        #expect(try !ExportFixture.text([snapshot], .collapsed).contains("_[i]"))
    }
}
