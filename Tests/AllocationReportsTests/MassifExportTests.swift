// MassifExportTests.swift: massif.out.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct MassifExportTests {
    @Test func theTimeLineHasThePeakAndTheEndInDetail() throws {
        #expect(
            try ExportFixture.text([ExportFixture.process()], .massif) == #"""
                desc: --depth=30 --threshold=1.0 --time-unit=ms
                cmd: app 'a b' '\u{1b}[2JNo.'
                time_unit: ms
                #-----------
                snapshot=0
                #-----------
                time=250
                mem_heap_B=200
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=empty
                #-----------
                snapshot=1
                #-----------
                time=750
                mem_heap_B=450
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=peak
                n4: 450 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
                 n1: 300 0x7F0020: libc.so.6+0x21 (in /lib/libc.so.6)
                  n1: 300 0x401020: copy (/src/inl.h:7)
                   n1: 300 0x401020: load (/src/load.c:9)
                    n0: 300 0x401010: main (/src/app.c:3)
                 n1: 100 0x401030: <script>alert(1)</script>;\u{1b}[31m\nNo.1 (evil\u{1b}\n.c:5)
                  n0: 100 0x401010: main (/src/app.c:3)
                 n1: 48 0x401020: copy (/src/inl.h:7)
                  n1: 48 0x401020: load (/src/load.c:9)
                   n0: 48 0x0: [outer frames cut off]
                 n0: 2 in 1 place, below massif's threshold (1.00%)
                #-----------
                snapshot=2
                #-----------
                time=1000
                mem_heap_B=150
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=empty
                #-----------
                snapshot=3
                #-----------
                time=2000
                mem_heap_B=107
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=detailed
                n2: 107 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
                 n1: 100 0x7F0020: libc.so.6+0x21 (in /lib/libc.so.6)
                  n1: 100 0x401020: copy (/src/inl.h:7)
                   n1: 100 0x401020: load (/src/load.c:9)
                    n0: 100 0x401010: main (/src/app.c:3)
                 n1: 7 0x401020: copy (/src/inl.h:7)
                  n1: 7 0x401020: load (/src/load.c:9)
                   n0: 7 0x0: [outer frames cut off]

                """#)
    }

    @Test func smallPlacesAreSummedUp() throws {
        var fixture = Fixture()
        fixture.add("main a.c:1;large a.c:2", bytes: 10_000, count: 1)
        for line in 3..<8 { fixture.add("main a.c:1;small a.c:\(line)", bytes: 10, count: 1) }
        let text = try ExportFixture.text([fixture.snapshot], .massif)
        #expect(
            text.contains("\nn2: 10050 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n n1: 10000 0x1000: large (a.c:2)\n")
        )
        #expect(text.contains("\n n0: 50 in 5 places, all below massif's threshold (1.00%)\n"))
    }

    @Test func deepRecursionEndsAtTheDepthLimit() throws {
        var fixture = Fixture()
        fixture.add((0..<500).map { "f\($0) a.c:1" }.joined(separator: ";"), bytes: 10, count: 1)
        let lines = try ExportFixture.text([fixture.snapshot], .massif).split(separator: "\n")
        #expect(lines.contains { $0.hasSuffix("f470 (a.c:1)") })
        #expect(!lines.contains { $0.hasSuffix("f468 (a.c:1)") })
        #expect(lines.last?.drop { $0 == " " }.hasPrefix("n0: 10 ") == true)
    }

    @Test func stacksThatDifferOnlyInsideOfTheLibraryAreOnePlace() throws {
        var fixture = Fixture()
        fixture.add("start (/bin/a);main a.c:1;leaf a.c:2;*malloc (/lib/libc.so.6)", bytes: 100, count: 1)
        fixture.add("start (/bin/a);main a.c:1;leaf a.c:2;*calloc (/lib/libc.so.6)", bytes: 50, count: 1)
        #expect(
            try ExportFixture.text([fixture.snapshot], .massif).hasSuffix(
                """
                n1: 150 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
                 n1: 150 0x1001: leaf (a.c:2)
                  n1: 150 0x1000: main (a.c:1)
                   n0: 150 0xFFF: start (in /bin/a)

                """))
    }

    @Test func nothingIsTwoEmptyTrees() throws {
        #expect(
            try ExportFixture.text([], .massif) == """
                desc: --depth=30 --threshold=1.0 --time-unit=ms
                cmd: \("")
                time_unit: ms
                #-----------
                snapshot=0
                #-----------
                time=0
                mem_heap_B=0
                mem_heap_extra_B=0
                mem_stacks_B=0
                heap_tree=detailed
                n0: 0 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.

                """)
    }
}
