// DebugInfo+Names.swift: what the functions around an address are called, and on which lines they are.
import CElfutils
import Glibc

extension DebugInfo {
    /// A source position as the file has it. The name lives as long as the debug information and is the same pointer
    /// for the same file of the same unit.
    struct Position {
        var file: UnsafePointer<CChar>?
        /// 0: the compiler says that the code belongs to no line.
        var line: Int
    }

    /// The line of an address in a unit's line table.
    func position(of address: UInt64, unit: Int) -> Position? {
        var die = units[unit].lines
        guard let row = dwarf_getsrc_die(&die, address) else { return nil }
        var line: Int32 = 0
        dwarf_lineno(row, &line)
        return Position(file: dwarf_linesrc(row, nil, nil), line: Int(line))
    }

    /// Where an inlined function is called.
    func callPosition(of scope: Int) -> Position {
        var die = scopes[scope].die
        let line = number(DW_AT_call_line, of: &die).flatMap { Int(exactly: $0) } ?? 0
        guard let index = number(DW_AT_call_file, of: &die).flatMap({ Int(exactly: $0) }) else { return Position(file: nil, line: line) }
        var unit = units[Int(scopes[scope].unit)].scopes
        var files: OpaquePointer?
        var count = 0
        guard dwarf_getsrcfiles(&unit, &files, &count) == 0, let files, index < count else { return Position(file: nil, line: line) }
        return Position(file: dwarf_filesrc(files, index, nil, nil), line: line)
    }

    /// Where a function is declared.
    func declaration(of scope: Int) -> Position? {
        var die = scopes[scope].die
        var line: Int32 = 0
        guard dwarf_decl_line(&die, &line) == 0, line > 0, let file = dwarf_decl_file(&die) else { return nil }
        return Position(file: file, line: Int(line))
    }

    /// The mangled name of a function. The pointer lives as long as the debug information.
    func linkageName(of scope: Int) -> UnsafePointer<CChar>? {
        var die = scopes[scope].die
        return string(DW_AT_linkage_name, of: &die) ?? string(DW_AT_MIPS_linkage_name, of: &die)
    }

    /// Identifies a function without a mangled name: where its declaration is read from. Copies have the same one.
    func declarationKey(of scope: Int) -> UnsafeMutableRawPointer? { declaringEntry(of: scopes[scope].die)?.addr }

    /// The name of a function as it stands in its source, without what is around it.
    func plainName(of scope: Int) -> String? {
        var die = scopes[scope].die
        return string(DW_AT_name, of: &die).map { String(cString: $0) }
    }

    /// Follows abstract origins and specifications, also into shared files, and at most 16 of them.
    private func string(_ kind: Int, of die: inout Dwarf_Die) -> UnsafePointer<CChar>? {
        var attribute = Dwarf_Attribute()
        guard dwarf_attr_integrate(&die, UInt32(kind), &attribute) != nil, let name = dwarf_formstring(&attribute), name.pointee != 0
        else { return nil }
        return name
    }

    /// gcc writes no mangled names for functions that only their own file sees: lambdas, anonymous namespaces. Then the
    /// namespaces, types and functions around the declaration qualify the name. Cost: a walk over the unit.
    func qualifiedName(of scope: Int) -> String? {
        var unit = units[Int(scopes[scope].unit)].scopes
        guard Self.cPlusPlus.contains(dwarf_srclang(&unit)), var die = declaringEntry(of: scopes[scope].die) else { return nil }
        var around: UnsafeMutablePointer<Dwarf_Die>?
        let count = dwarf_getscopes_die(&die, &around)
        guard let around, count > 0 else { return nil }
        defer { free(around) }
        var parts: [String] = []
        for index in 0..<min(Int(count), 32) {
            let name = dwarf_diename(around + index).map { String(cString: $0) }
            switch dwarf_tag(around + index) {
            case Int32(DW_TAG_namespace): parts.append(name ?? "(anonymous namespace)")
            case Int32(DW_TAG_class_type), Int32(DW_TAG_structure_type), Int32(DW_TAG_union_type): parts.append(name ?? "{unnamed type}")
            case Int32(DW_TAG_subprogram): parts.append(index == 0 ? name ?? "" : (name ?? "") + "()")
            default: break
            }
        }
        return parts.reversed().joined(separator: "::")
    }

    /// The entry that carries a function's name.
    private func declaringEntry(of start: Dwarf_Die) -> Dwarf_Die? {
        var die = start
        for _ in 0..<16 {
            if dwarf_hasattr(&die, UInt32(DW_AT_name)) != 0 { return die }
            var attribute = Dwarf_Attribute()
            var next = Dwarf_Die()
            guard
                dwarf_attr(&die, UInt32(DW_AT_abstract_origin), &attribute) != nil
                    || dwarf_attr(&die, UInt32(DW_AT_specification), &attribute) != nil, dwarf_formref_die(&attribute, &next) != nil
            else { return nil }
            die = next
        }
        return nil
    }

    private static let cPlusPlus: Set<Int32> = Set(
        [DW_LANG_C_plus_plus, DW_LANG_C_plus_plus_03, DW_LANG_C_plus_plus_11, DW_LANG_C_plus_plus_14].map(Int32.init) + [0x2b, 0x3a])

    private func number(_ kind: Int, of die: inout Dwarf_Die) -> UInt64? {
        var attribute = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&die, UInt32(kind), &attribute) != nil, dwarf_formudata(&attribute, &value) == 0 else { return nil }
        return value
    }
}
