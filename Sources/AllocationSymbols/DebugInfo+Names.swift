// DebugInfo+Names.swift: what the functions around an address are called, and on which lines they are.
import CElfutils

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

    /// The mangled name if the function has one, else the plain one. The pointer lives as long as the debug information.
    func name(of scope: Int) -> UnsafePointer<CChar>? {
        var die = scopes[scope].die
        for kind in [DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name] {
            var attribute = Dwarf_Attribute()
            // Follows abstract origins and specifications, also into shared files, and at most 16 of them.
            if dwarf_attr_integrate(&die, UInt32(kind), &attribute) != nil, let name = dwarf_formstring(&attribute), name.pointee != 0 {
                return name
            }
        }
        return nil
    }

    private func number(_ kind: Int, of die: inout Dwarf_Die) -> UInt64? {
        var attribute = Dwarf_Attribute()
        var value: Dwarf_Word = 0
        guard dwarf_attr(&die, UInt32(kind), &attribute) != nil, dwarf_formudata(&attribute, &value) == 0 else { return nil }
        return value
    }
}
