// LiveTableTests.swift: the table of live blocks against a dictionary.
import Testing

@testable import AllocationRecording

@Suite struct LiveTableTests {
    private func block(_ address: UInt64, _ size: UInt64) -> Unsafe.Block {
        Unsafe.Block(address: address, size: size, row: UInt32(size & 0xffff), generation: size & 7, birth: size)
    }

    @Test func `a block keeps its fields to the last bit`() {
        let block = Unsafe.Block(
            address: 0xffff_ffff_ffff, size: 0xfedc_ba98_7654, row: 0xdead_beef, generation: 0xffff, birth: 0x1234_5678_9abc)
        #expect(block.address == 0xffff_ffff_ffff)
        #expect(block.size == 0xfedc_ba98_7654)
        #expect(block.row == 0xdead_beef)
        #expect(block.generation == 0xffff)
        #expect(block.birth == 0x1234_5678_9abc)
    }

    @Test(arguments: [100, 5000, 60_000]) func `blocks go in and out like those of a dictionary, while the table grows`(most: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        var table = try #require(Unsafe.LiveTable(seed: random.next()))
        defer { table.free() }
        var model: [UInt64: UInt64] = [:]
        var addresses: [UInt64] = []
        for step in 0..<(most * 4) {
            if addresses.count < most && (addresses.isEmpty || step < most || Bool.random(using: &random)) {
                let address = UInt64.random(in: 1...UInt64(most) * 3, using: &random) << 4
                let size = random.next() >> 20
                var old: Unsafe.Block?
                guard table.insert(block(address, size), replacing: &old) else { throw RecordingError.outOfMemory(needed: "a test") }
                if old.map({ UInt64($0.size) }) != model[address] { Issue.record("insert at step \(step), seed \(seed)") }
                if model.updateValue(size, forKey: address) == nil { addresses.append(address) }
            } else {
                addresses.swapAt(Int.random(in: 0..<addresses.count, using: &random), addresses.count - 1)
                let address = addresses.removeLast()
                let old = table.remove(address)
                let expected = model.removeValue(forKey: address)
                if old.map({ UInt64($0.size) }) != expected { Issue.record("remove at step \(step), seed \(seed)") }
                let isGone = table.remove(address) == nil && !table.contains(address)
                if !isGone { Issue.record("still there at step \(step), seed \(seed)") }
            }
        }
        #expect(table.count == model.count)
        var seen: [UInt64: UInt64] = [:]
        table.visit { seen[$0.address] = UInt64($0.size) }
        #expect(seen == model, "seed \(seed)")
    }

    @Test func `a live block costs at most 48 bytes, and 40 where there are many`() throws {
        var table = try #require(Unsafe.LiveTable(seed: 1))
        defer { table.free() }
        for address in 1...UInt64(200_000) {
            guard table.add(block(address << 4, 8)) else { throw RecordingError.outOfMemory(needed: "a test") }
            if address >= 10_000 && address % 1000 == 0 { #expect(table.byteCount / table.count <= (address < 100_000 ? 48 : 40)) }
        }
    }

    /// Slots are the first directory's: ranges of hashes.
    private func addresses(_ count: Int, in slots: Range<UInt64>, of table: Unsafe.LiveTable, using random: inout Seeded) -> [UInt64] {
        var result: Set<UInt64> = []
        while result.count < count {
            let address = (random.next() >> 20) << 4
            if slots.contains(table.hash(address).multipliedFullWidth(by: 38).high) { result.insert(address) }
        }
        return Array(result)
    }

    struct Crowd {
        var count: Int
        var slots: Range<UInt64>
        var mostKept: Int
    }

    @Test(arguments: [
        // On both sides of the border between the last two segments: they cannot become three.
        [Crowd(count: 700, slots: 24..<27, mostKept: 700), Crowd(count: 950, slots: 27..<31, mostKept: 896)],
        [Crowd(count: 20_000, slots: 0..<1, mostKept: 19_999)], [Crowd(count: 20_000, slots: 37..<38, mostKept: 19_999)],
    ]) func `blocks whose hashes are nearly alike are kept as long as there is room, and then refused`(crowds: [Crowd]) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = Seeded(state: seed)
        var table = try #require(Unsafe.LiveTable(seed: random.next()))
        defer { table.free() }
        var kept: [UInt64] = []
        for crowd in crowds {
            let before = kept.count
            for address in addresses(crowd.count, in: crowd.slots, of: table, using: &random) where table.add(block(address, address >> 8))
            {
                kept.append(address)
            }
            #expect((700...crowd.mostKept).contains(kept.count - before), "seed \(seed)")
        }
        #expect(table.count == kept.count)
        for address in kept where table.block(at: address)?.size != Int(address >> 8) {
            Issue.record("\(address) is not there, seed \(seed)")
        }
        var seen = 0
        table.visit { _ in seen += 1 }
        #expect(seen == kept.count, "seed \(seed)")
        #expect(table.byteCount < 4 << 20, "seed \(seed)")
        for address in kept where table.remove(address) == nil { Issue.record("\(address) cannot be removed, seed \(seed)") }
        #expect(table.count == 0)
    }
}
