// LinkageStubs.swift: names of the stubs through which a module calls functions of other modules.
import CElfutils

/// `foo@plt`: signal frames can stop in one.
struct LinkageStubs {
    struct Stub {
        var begin: UInt64
        var size: UInt64
        var name: String
    }

    private(set) var stubs: [Stub] = []

    /// Entry i of `.rela.plt` belongs to entry i of the stubs, behind the first one, which calls the loader.
    /// Only the stubs that hold asked addresses.
    init(_ file: ElfFile, asked: AddressSet) {
        let header: UInt64
        switch file.machine {
        case EM_X86_64: header = 16
        case EM_AARCH64: header = 32
        default: return
        }
        guard let relocations = file.sections.first(where: { $0.name == ".rela.plt" && $0.type == UInt32(SHT_RELA) }),
            let data = elf_getdata(relocations.handle, nil),
            let symbols = file.sections.first(where: { $0.type == UInt32(SHT_DYNSYM) }), let symbolData = elf_getdata(symbols.handle, nil)
        else { return }
        let entry = gelf_fsize(file.handle, ELF_T_RELA, 1, UInt32(EV_CURRENT))
        guard entry > 0 else { return }
        for section in file.sections where section.name == ".plt" || section.name == ".plt.sec" {
            let start = section.name == ".plt" ? header : 0
            for index in 0..<min(data.pointee.d_size / entry, 100_000) {
                let offset = start + 16 * UInt64(index)
                guard offset < section.size else { break }
                let begin = section.address &+ offset
                guard !asked.indices(from: begin, to: begin &+ 16).isEmpty else { continue }
                var relocation = GElf_Rela()
                var symbol = GElf_Sym()
                guard gelf_getrela(data, Int32(index), &relocation) != nil else { break }
                guard gelf_getsym(symbolData, Int32(truncatingIfNeeded: relocation.r_info >> 32), &symbol) != nil, symbol.st_name != 0,
                    let name = elf_strptr(file.handle, Int(symbols.link), Int(symbol.st_name))
                else { continue }
                stubs.append(Stub(begin: begin, size: 16, name: String(cString: name)))
            }
        }
    }
}
