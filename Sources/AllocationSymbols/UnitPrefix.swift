// UnitPrefix.swift: so much of a file's packed debugging entries as a few addresses need.

/// The units that hold some addresses, and what is before them.
///
/// A packed section can be read from its beginning up to any place, and `.debug_aranges` tells the place of each address's unit. How a
/// program starts is at 0.2 % of the C library's six megabytes.
///
///     .debug_info      │ unit │ unit* │ unit │ unit* ┊ not unpacked            * holds an asked address
///     .debug_aranges   the sets of units*; with the others libdw would look for units that are not there
///
/// Formats: DWARF 4 and 5, sections 6.1.2, 7.5.1, 7.5.3 and 7.5.6, 32 bits. Whatever is unusual is left to libdw and the whole file.
struct UnitPrefix {
    /// Of `.debug_aranges`.
    let sets: [UInt8]
    /// Of `.debug_info`.
    let entries: [UInt8]
    /// All of `.debug_abbrev`.
    let abbreviations: [UInt8]

    /// Where more than this part is needed, unpacking all of it with libdeflate is faster.
    private static let worthwhile = 4
    /// No compiler writes more.
    private static let mostBytes = 64 << 20
    private static let unitHeader = 12

    /// Nil: the whole file is needed.
    init?(ranges: PackedSection, entries packed: PackedSection, abbreviations: PackedSection, asked: AddressSet) {
        guard let table = ranges.unpacked(most: Self.mostBytes), let units = Self.units(of: asked, in: table),
            let last = units.places.max(),
            last < packed.size / Self.worthwhile, let beginning = PackedSection.Beginning(packed),
            beginning.reach(last + Self.unitHeader), let length: UInt32 = beginning.bytes.value(at: last), length < 0xffff_fff0,
            last + 4 + Int(length) <= packed.size / Self.worthwhile, beginning.reach(last + 4 + Int(length)),
            let abbreviations = abbreviations.unpacked(most: Self.mostBytes),
            units.places.allSatisfy({ Self.standsAlone($0, beginning.bytes, abbreviations) })
        else { return nil }
        sets = units.sets
        entries = beginning.bytes
        self.abbreviations = abbreviations
    }

    /// The units of all of the addresses, and their sets; nil: some have none.
    private static func units(of asked: AddressSet, in table: [UInt8]) -> (places: Set<Int>, sets: [UInt8])? {
        var (units, sets) = (Set<Int>(), [UInt8]())
        var isFound = Array(repeating: false, count: asked.count)
        var at = 0
        while at < table.count {
            guard let length: UInt32 = table.value(at: at), length < 0xffff_fff0, at + 4 + Int(length) <= table.count,
                let version: UInt16 = table.value(at: at + 4), version == 2, let unit: UInt32 = table.value(at: at + 6),
                let sizes: UInt16 = table.value(at: at + 10), sizes == 8
            else { return nil }
            let end = at + 4 + Int(length)
            var isWanted = false
            // Ranges begin at a multiple of their size from the set on, two words each.
            for entry in stride(from: at + 16, through: end - 16, by: 16) {
                guard let begin: UInt64 = table.value(at: entry), let count: UInt64 = table.value(at: entry + 8) else { return nil }
                let (limit, overflow) = begin.addingReportingOverflow(count)
                for index in asked.indices(from: begin, to: overflow ? .max : limit) {
                    isFound[index] = true
                    isWanted = true
                }
            }
            if isWanted {
                units.insert(Int(unit))
                sets.append(contentsOf: table[at..<end])
            }
            at = end
        }
        return isFound.allSatisfy(\.self) ? (units, sets) : nil
    }

    // MARK: Units that refer to no others

    /// Attribute forms that lead out of a unit, or that are not known here, and the entry that names another unit.
    private static let leadingOut: Set<UInt64> = [0x10, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x1f20, 0x1f21]
    private static let importedUnit: UInt64 = 0x3d
    private static let implicitConstant: UInt64 = 0x21

    private static func standsAlone(_ unit: Int, _ entries: [UInt8], _ abbreviations: [UInt8]) -> Bool {
        guard let version: UInt16 = entries.value(at: unit + 4) else { return false }
        let compile: UInt8 = 1
        var place: UInt32?
        if version == 5, entries.value(at: unit + 6) == compile { place = entries.value(at: unit + 8) }
        if version == 4 { place = entries.value(at: unit + 6) }
        guard let place else { return false }
        var at = Int(place)
        while let code = number(abbreviations, &at) {
            if code == 0 { return true }
            guard let tag = number(abbreviations, &at), tag != importedUnit else { return false }
            at += 1
            while true {
                guard let name = number(abbreviations, &at), let form = number(abbreviations, &at), !leadingOut.contains(form) else {
                    return false
                }
                if form == implicitConstant, number(abbreviations, &at) == nil { return false }
                if name == 0 && form == 0 { break }
            }
        }
        return false
    }

    /// LEB128, of at most 64 bits; the sign does not matter here. Nil: it does not end.
    private static func number(_ bytes: [UInt8], _ at: inout Int) -> UInt64? {
        var (result, shift) = (UInt64(0), UInt64(0))
        while at < bytes.count, shift < 70 {
            let byte = bytes[at]
            at += 1
            result |= UInt64(byte & 0x7f) << shift
            shift += 7
            if byte & 0x80 == 0 { return result }
        }
        return nil
    }
}

extension [UInt8] {
    /// A number that may lie anywhere; nil: not all of it is there.
    fileprivate func value<Number: FixedWidthInteger & BitwiseCopyable>(at place: Int) -> Number? {
        guard place >= 0, place <= count - MemoryLayout<Number>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Number.self) }
    }
}
