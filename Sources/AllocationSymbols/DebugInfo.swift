// DebugInfo.swift: the DWARF of one file: which functions, inlined ones included, contain the asked addresses.
import CElfutils

/// Functions around addresses, found in one pass over the compilation units that hold any of them.
///
/// libdw is used for what it is good at (forms, versions 2 to 5, split and shared files) and not for its searches, which
/// need `.debug_aranges` (swiftc writes none) or are linear. Cost: one visit of each debugging entry of the units concerned, and of
/// each unit where `.debug_aranges` does not tell which these are.
final class DebugInfo {
    /// A function, or an inlined copy of one.
    struct Scope {
        var die: Dwarf_Die
        var unit: Int32
        /// Scope of the function that this is inlined into, directly or not; itself for a function.
        var function: Int32
        var isInlined: Bool
    }

    struct Unit {
        /// The unit with the line table.
        var lines: Dwarf_Die
        /// The unit with the functions: another one with split DWARF.
        var scopes: Dwarf_Die
    }

    private(set) var scopes: [Scope] = []
    private(set) var units: [Unit] = []

    private let dwarf: DwarfFile
    /// False: it is a part of a file, which did not have what it was made for.
    private(set) var isComplete = false

    private let asked: AddressSet
    private let codeRanges: [Range<UInt64>]

    /// What is known so far about each asked address.
    private struct Found {
        var unit: Int32 = -1
        /// Innermost function, and the size of its range: of two claims on an address the tighter one counts.
        var function: Int32 = -1
        var size = UInt64.max
        /// Nesting of the last accepted scope: inlined scopes count only from the outside in.
        var depth = 0
    }
    private var found: [Found]
    /// (address, scope) in the order of the file: outer scopes before inner ones.
    private var hits: [(address: Int32, scope: Int32)] = []
    private var starts: [Int32] = []

    // Limits that no compiler reaches, so that a damaged file ends the search instead of the machine.
    private static let deepest = 256
    private static let mostRanges = 100_000
    private static let mostHits = 20_000_000

    /// `codeRanges` are those of the module: functions outside of them were dropped by the linker.
    init(_ dwarf: DwarfFile, asked: AddressSet, codeRanges: [Range<UInt64>]) {
        self.dwarf = dwarf
        self.asked = asked
        self.codeRanges = codeRanges
        found = Array(repeating: Found(), count: asked.count)
        if visitUnitsInTable() {
            isComplete = true
        } else if !dwarf.isPartial {
            visitUnits()
            isComplete = true
        }
        sortHits()
    }

    /// Index into `units` of the unit that has line numbers for an asked address.
    func unit(at index: Int) -> Int? { found[index].unit < 0 ? nil : Int(found[index].unit) }

    /// The functions around an asked address, outermost first: the function that holds the code, then what is inlined there.
    func scopes(at index: Int) -> [Int] {
        let function = found[index].function
        guard function >= 0, !starts.isEmpty else { return [] }
        return hits[Int(starts[index])..<Int(starts[index + 1])].lazy
            .map { Int($0.scope) }
            .filter { self.scopes[$0].function == function }
    }

    // MARK: Units

    /// False, and nothing was found: the file's table of address ranges leaves out asked addresses, if there is one. For five addresses
    /// in the C library this takes 1 ms, to look at its 1,800 units 10.
    private func visitUnitsInTable() -> Bool {
        var table: OpaquePointer?
        var count = 0
        guard dwarf_getaranges(dwarf.handle, &table, &count) == 0, let table, count > 0 else { return false }
        var chosen: [Unit] = []
        var offsets: Set<Dwarf_Off> = []
        for address in asked.addresses {
            var offset: Dwarf_Off = 0
            guard let range = dwarf_getarange_addr(table, address), dwarf_getarangeinfo(range, nil, nil, &offset) == 0 else { return false }
            guard offsets.insert(offset).inserted else { continue }
            var die = Dwarf_Die()
            var kind: UInt8 = 0
            var split = Dwarf_Die()
            guard dwarf_offdie(dwarf.handle, offset, &die) != nil,
                dwarf_cu_info(die.cu, nil, &kind, nil, &split, nil, nil, nil) == 0, let unit = Self.unit(kind, die, split)
            else { return false }
            chosen.append(unit)
        }
        for unit in chosen { visit(unit) }
        if found.allSatisfy({ $0.unit >= 0 }) { return true }
        // The units do not have what the table says.
        (units, scopes, hits) = ([], [], [])
        found = Array(repeating: Found(), count: asked.count)
        return false
    }

    /// Nil: it has no code of its own.
    private static func unit(_ kind: UInt8, _ die: Dwarf_Die, _ split: Dwarf_Die) -> Unit? {
        let isSkeleton = Int32(kind) == Int32(DW_UT_skeleton)
        guard Int32(kind) == Int32(DW_UT_compile) || isSkeleton else { return nil }
        return Unit(lines: die, scopes: isSkeleton && split.addr != nil ? split : die)
    }

    private func visitUnits() {
        var unit: OpaquePointer?
        while true {
            var next: OpaquePointer?
            var kind: UInt8 = 0
            var version: Dwarf_Half = 0
            var die = Dwarf_Die()
            var split = Dwarf_Die()
            guard dwarf_get_units(dwarf.handle, unit, &next, &version, &kind, &die, &split) == 0, let reached = next, reached != unit else {
                return
            }
            unit = reached
            if let unit = Self.unit(kind, die, split) { visit(unit) }
        }
    }

    private func visit(_ unit: Unit) {
        let number = Int32(truncatingIfNeeded: units.count)
        var holdsAddress = false
        var die = unit.lines
        let knowsRanges =
            dwarf_hasattr(&die, UInt32(DW_AT_ranges)) != 0
            || dwarf_hasattr(&die, UInt32(DW_AT_low_pc)) != 0 && dwarf_hasattr(&die, UInt32(DW_AT_high_pc)) != 0
        forEachRange(of: &die) { begin, end in
            for index in asked.indices(from: begin, to: end) {
                holdsAddress = true
                if found[index].unit < 0 { found[index].unit = number }
            }
        }
        // A unit that does not say where its code is has to be searched.
        guard holdsAddress || !knowsRanges else { return }
        units.append(unit)
        visitScopes(of: unit.scopes, number: number)
    }

    // MARK: Scopes

    /// Where the walk is: the entry and the function around it.
    private struct Visit {
        var die: Dwarf_Die
        var function: Int32
    }

    /// Walks the unit's entries in the order of the file, without recursion: depth is the file's choice.
    private func visitScopes(of unit: Dwarf_Die, number: Int32) {
        var unit = unit
        var position = Visit(die: Dwarf_Die(), function: -1)
        guard dwarf_child(&unit, &position.die) == 0 else { return }
        var outer: [Visit] = []
        var furthest = UnsafeMutableRawPointer(bitPattern: 0)
        while hits.count < Self.mostHits {
            // Entries come one after the other; a sibling reference that leads back would never end.
            if let furthest, let at = position.die.addr, at <= furthest { return }
            furthest = position.die.addr

            var inside = position
            let tag = dwarf_tag(&position.die)
            if tag == DW_TAG_subprogram {
                inside.function = addFunction(&position.die, unit: number, depth: outer.count)
            } else if tag == DW_TAG_inlined_subroutine, position.function >= 0 {
                addInlined(&position.die, unit: number, function: position.function, depth: outer.count)
            }
            if Self.mayHoldFunctions(tag), outer.count < Self.deepest, dwarf_child(&position.die, &inside.die) == 0 {
                outer.append(position)
                position = inside
                continue
            }
            var next = Dwarf_Die()
            while dwarf_siblingof(&position.die, &next) != 0 {
                guard let up = outer.popLast() else { return }
                position = up
            }
            position.die = next
        }
    }

    private static func mayHoldFunctions(_ tag: Int32) -> Bool {
        switch tag {
        case Int32(DW_TAG_subprogram), Int32(DW_TAG_inlined_subroutine), Int32(DW_TAG_lexical_block), Int32(DW_TAG_namespace),
            Int32(DW_TAG_module), Int32(DW_TAG_class_type), Int32(DW_TAG_structure_type), Int32(DW_TAG_union_type),
            Int32(DW_TAG_enumeration_type), Int32(DW_TAG_interface_type), Int32(DW_TAG_variant_part), Int32(DW_TAG_variant),
            Int32(DW_TAG_try_block), Int32(DW_TAG_catch_block), Int32(DW_TAG_with_stmt), Int32(DW_TAG_common_block):
            true
        default: false
        }
    }

    /// Returns the function's scope, -1 when it holds no asked address.
    private func addFunction(_ die: inout Dwarf_Die, unit: Int32, depth: Int) -> Int32 {
        var scope: Int32 = -1
        let copy = die
        forEachRange(of: &die) { begin, end in
            for index in asked.indices(from: begin, to: end) where end - begin < found[index].size {
                if scope < 0 {
                    scope = Int32(truncatingIfNeeded: scopes.count)
                    scopes.append(Scope(die: copy, unit: unit, function: scope, isInlined: false))
                }
                found[index] = Found(unit: unit, function: scope, size: end - begin, depth: depth)
                hits.append((Int32(index), scope))
            }
        }
        return scope
    }

    private func addInlined(_ die: inout Dwarf_Die, unit: Int32, function: Int32, depth: Int) {
        var scope: Int32 = -1
        let copy = die
        forEachRange(of: &die) { begin, end in
            for index in asked.indices(from: begin, to: end) where found[index].function == function && found[index].depth < depth {
                if scope < 0 {
                    scope = Int32(truncatingIfNeeded: scopes.count)
                    scopes.append(Scope(die: copy, unit: unit, function: function, isInlined: true))
                }
                found[index].depth = depth
                hits.append((Int32(index), scope))
            }
        }
    }

    /// Code ranges of an entry. Functions that the linker dropped have ranges at 0, 1 or the end of memory.
    private func forEachRange(of die: inout Dwarf_Die, _ body: (UInt64, UInt64) -> Void) {
        var base: Dwarf_Addr = 0
        var begin: Dwarf_Addr = 0
        var end: Dwarf_Addr = 0
        var offset = 0
        for _ in 0..<Self.mostRanges where hits.count < Self.mostHits {
            offset = dwarf_ranges(&die, offset, &base, &begin, &end)
            guard offset > 0 else { return }
            if begin < end, isCode(begin) { body(begin, end) }
        }
    }

    private func isCode(_ address: UInt64) -> Bool {
        codeRanges.isEmpty || codeRanges.contains { $0.contains(address) }
    }

    /// Hits by address, keeping the order within an address: a counting sort.
    private func sortHits() {
        starts = Array(repeating: 0, count: asked.count + 1)
        for hit in hits { starts[Int(hit.address) + 1] += 1 }
        for index in 0..<asked.count { starts[index + 1] += starts[index] }
        var next = starts
        var sorted = hits
        for hit in hits {
            sorted[Int(next[Int(hit.address)])] = hit
            next[Int(hit.address)] += 1
        }
        hits = sorted
    }
}
