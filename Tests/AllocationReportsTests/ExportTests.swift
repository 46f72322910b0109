// ExportTests.swift: what all formats have in common: totals are the snapshot's, pieces are small, names are harmless.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct ExportTests {
    private static let snapshots = [ExportFixture.process(), ExportFixture.process(pid: 13)]

    private func total(_ metric: Metric) -> Tally { ExportTests.snapshots.reduce(.zero) { $0 + $1.total(of: metric) } }

    @Test(arguments: Metric.allCases) func totalsAreTheSnapshots(metric: Metric) throws {
        let total = total(metric)
        let collapsed = try ExportFixture.text(ExportTests.snapshots, .collapsed, metric)
        #expect(collapsed.split(separator: "\n").reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) } == total.bytes)

        let speedscope = try SpeedscopeFile(ExportTests.snapshots, metric)
        #expect(speedscope.profiles.map(\.endValue) == [total.bytes, total.count])

        let names: [Metric: String] = [.total: "alloc", .peak: "peak", .current: "inuse", .temporary: "temporary"]
        let pprof = try PprofFile(gzip: Array(ExportFixture.pieces(ExportTests.snapshots, .pprof, metric).joined()))
        #expect(try pprof.total("\(names[metric]!)_space/bytes") == Int64(total.bytes))
        #expect(try pprof.total("\(names[metric]!)_objects/count") == Int64(total.count))
    }

    @Test func totalsOfFormatsWithoutAMetricAreTheSnapshots() throws {
        let dhat = try DHATFile(ExportTests.snapshots)
        func sum(_ bytes: KeyPath<DHATFile.Point, Int>, _ blocks: KeyPath<DHATFile.Point, Int>) -> Tally {
            dhat.pps.reduce(.zero) { $0 + Tally(bytes: $1[keyPath: bytes], count: $1[keyPath: blocks]) }
        }
        #expect(sum(\.tb, \.tbk) == total(.total))
        #expect(sum(\.gb, \.gbk) == total(.peak))
        #expect(sum(\.eb, \.ebk) == total(.current))

        let first = ExportTests.snapshots[0]
        let massif = try ExportFixture.text(ExportTests.snapshots, .massif)
        #expect(massif.contains("mem_heap_B=\(first.total(of: .peak).bytes)\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=peak\n"))
        #expect(massif.contains("mem_heap_B=\(first.total(of: .current).bytes)\nmem_heap_extra_B=0\nmem_stacks_B=0\nheap_tree=detailed\n"))
    }

    @Test(arguments: ExportFormat.allCases.filter { !$0.isBinary }) func textHoldsNothingThatATerminalObeys(format: ExportFormat) throws {
        let text = try ExportFixture.text(ExportTests.snapshots, format, .total)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value)) })
        #expect(text.contains("<script>alert(1)</script>"))
    }

    @Test func largeExportsComeInPieces() throws {
        // Every stack has a name of its own and shares half of its frames with the last one.
        var snapshot = ExportFixture.process()
        snapshot.costs = []
        var parent: Int32 = 1
        for number in 0..<4000 {
            if number % 40 == 0 { parent = 1 }
            let frame = Frame(function: "function_\(number)_with_a_name_of_some_length", file: "/src/\(number).c", line: number + 1)
            snapshot.locations.append(Location(address: UInt64(0x410000 + number), module: 1, frames: [frame]))
            snapshot.nodes.append(StackNode(parent: parent, location: Int32(snapshot.locations.count - 1)))
            parent = Int32(snapshot.nodes.count - 1)
            var cost = StackCost(stack: parent)
            cost.current = Tally(bytes: number + 1, count: 1)
            cost.peak = cost.current
            cost.total = cost.current
            snapshot.costs.append(cost)
        }
        for format in ExportFormat.allCases {
            let pieces = try ExportFixture.pieces([snapshot], format)
            #expect(pieces.allSatisfy { $0.count <= 80 << 10 }, "\(format)")
            if format == .collapsed { #expect(pieces.count > 40) }
            if format == .pprof {
                #expect(try PprofFile(gzip: Array(pieces.joined())).total("inuse_space/bytes") == Int64(snapshot.total(of: .current).bytes))
            }
        }
    }

    @Test(arguments: ExportFormat.allCases) func whatStopsTheSinkStopsTheExport(format: ExportFormat) throws {
        struct Full: Error {}
        #expect(throws: Full.self) { try Export(ExportTests.snapshots, as: format).write { _ in throw Full() } }
    }

    @Test(arguments: ExportFormat.allCases) func nothingIsAFileToo(format: ExportFormat) throws {
        let empty = Snapshot(process: ProcessSummary())
        switch format {
        case .pprof: #expect(try PprofFile(gzip: Array(ExportFixture.pieces([empty], .pprof).joined())).samples.isEmpty)
        case .collapsed: #expect(try ExportFixture.text([empty], .collapsed).isEmpty)
        case .speedscope: #expect(try SpeedscopeFile([empty]).profiles.map(\.endValue) == [0, 0])
        case .massif: #expect(try ExportFixture.text([empty], .massif).contains("heap_tree=detailed\nn0: 0 "))
        case .dhat: #expect(try DHATFile([empty]).pps.isEmpty)
        }
    }
}
