// ObjectAllocators.swift: where in a module the code lies that allocates Swift's objects.
import CElfutils

/// Finds `swift_allocObject`: in the Swift runtime's library, or in a program that has the runtime in itself.
package enum ObjectAllocators {
    private static let names: Set<String> = ["swift_allocObject", "__swift_allocObject_", "_swift_allocObject_"]

    /// Addresses in the file. Empty, after a look at the section names, for modules without Swift.
    package static func ranges(inFile path: String) -> [Range<UInt64>] {
        guard let file = ElfFile(path: path), file.sections.contains(where: { $0.name.hasPrefix("swift5_") }) else { return [] }
        var ranges: Set<Range<UInt64>> = []
        for section in file.sections where section.type == UInt32(SHT_SYMTAB) || section.type == UInt32(SHT_DYNSYM) {
            guard let data = elf_getdata(section.handle, nil) else { continue }
            let size = gelf_fsize(file.handle, ELF_T_SYM, 1, UInt32(EV_CURRENT))
            guard size > 0 else { continue }
            for entry in 0..<min(data.pointee.d_size / size, 10_000_000) {
                var symbol = GElf_Sym()
                guard gelf_getsym(data, Int32(entry), &symbol) != nil else { break }
                guard symbol.st_info & 15 == UInt8(STT_FUNC), symbol.st_shndx != SHN_UNDEF, symbol.st_size > 0,
                    symbol.st_size < 1 << 16, symbol.st_value < 1 << 48,
                    let text = elf_strptr(file.handle, Int(section.link), Int(symbol.st_name)), text[0] == 0x5F || text[0] == 0x73,
                    names.contains(String(cString: text))
                else { continue }
                ranges.insert(symbol.st_value..<symbol.st_value + symbol.st_size)
            }
        }
        return Array(ranges)
    }
}
