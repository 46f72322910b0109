// SymbolTable.swift: names of addresses from .symtab and .dynsym, for code without debug information.
import CElfutils

/// The symbols around asked addresses.
///
/// The tables are read once and not sorted: each symbol looks for the asked addresses in its range. clang has 300,000
/// symbols; the names of all but a few are never touched.
struct SymbolTable {
    private struct Candidate {
        var value: UInt64 = 0
        var size: UInt64 = 0
        var rank = -1
        var name: Name?
    }

    /// Where a name stands: read only when it is needed.
    private struct Name {
        var file: Int
        var strings: Int
        var offset: Int
    }

    private let files: [ElfFile]
    private let asked: AddressSet
    /// Best symbol that covers the address.
    private var covering: [Candidate]
    /// Nearest symbol at or below the address, for symbols without size; filled per address that follows a symbol directly,
    /// then swept upward.
    private var below: [Candidate]
    private var stubs: [Int: String] = [:]
    // More range checks than a sane table needs: overlapping ranges of a damaged one must not cost hours.
    private var budget = 50_000_000

    /// Files in the order of preference.
    init(files: [ElfFile], asked: AddressSet) {
        self.files = files
        self.asked = asked
        covering = Array(repeating: Candidate(), count: asked.count)
        below = covering
        for number in files.indices {
            for section in files[number].sections where section.type == UInt32(SHT_SYMTAB) || section.type == UInt32(SHT_DYNSYM) {
                read(section, of: number)
            }
        }
        for index in below.indices.dropFirst() where below[index].name == nil || below[index].value < below[index - 1].value {
            below[index] = below[index - 1]
        }
        for file in files {
            for stub in LinkageStubs(file, asked: asked).stubs {
                for index in asked.indices(from: stub.begin, to: stub.begin &+ stub.size) where covering[index].name == nil {
                    stubs[index] = stub.name + "@plt"
                }
            }
        }
    }

    /// Mangled name of the symbol that an asked address belongs to.
    func name(at index: Int) -> String? {
        if let name = covering[index].name { return string(name) }
        if let stub = stubs[index] { return stub }
        // A symbol without size ends where the next symbol begins: so nothing else may lie between.
        let candidate = below[index]
        return candidate.size == 0 ? candidate.name.flatMap(string) : nil
    }

    private func string(_ name: Name) -> String? {
        guard let text = elf_strptr(files[name.file].handle, name.strings, name.offset), text.pointee != 0 else { return nil }
        return String(cString: text)
    }

    private mutating func read(_ section: ElfFile.Section, of number: Int) {
        let file = files[number]
        guard let data = elf_getdata(section.handle, nil), section.entrySize > 0 else { return }
        let entry = gelf_fsize(file.handle, ELF_T_SYM, 1, UInt32(EV_CURRENT))
        guard entry > 0 else { return }
        let code = file.sections.filter { $0.type == UInt32(SHT_PROGBITS) || $0.type == UInt32(SHT_NOBITS) }
        let strings = Int(section.link)
        for entry in 0..<min(data.pointee.d_size / entry, Int(Int32.max)) {
            var symbol = GElf_Sym()
            guard gelf_getsym(data, Int32(entry), &symbol) != nil else { return }
            let type = symbol.st_info & 15
            guard type == UInt8(STT_FUNC) || type == UInt8(STT_GNU_IFUNC) || type == UInt8(STT_NOTYPE), symbol.st_shndx != SHN_UNDEF,
                symbol.st_name != 0
            else { continue }
            add(symbol, type: type, name: Name(file: number, strings: strings, offset: Int(symbol.st_name)), sections: code)
        }
    }

    private mutating func add(_ symbol: GElf_Sym, type: UInt8, name: Name, sections: [ElfFile.Section]) {
        let (end, overflow) = symbol.st_value.addingReportingOverflow(symbol.st_size)
        guard !overflow else { return }
        let first = asked.firstIndex(notBelow: symbol.st_value)
        guard first < asked.count else { return }

        let new = Candidate(value: symbol.st_value, size: symbol.st_size, rank: rank(symbol, type: type), name: name)
        addBelow(new, first: first, sections: sections)
        var index = first
        while index < asked.count, asked.addresses[index] < end, budget > 0 {
            budget -= 1
            let old = covering[index]
            if old.name == nil || new.value > old.value || new.value == old.value && isBetter(new, than: old) { covering[index] = new }
            index += 1
        }
    }

    /// Sized or not, the nearest symbol bounds the ones below it.
    private mutating func addBelow(_ new: Candidate, first: Int, sections: [ElfFile.Section]) {
        let old = below[first]
        guard old.name == nil || new.value > old.value || new.value == old.value && new.rank > old.rank, let name = new.name else { return }
        // Ends of data and code are symbols too; one without size is taken only where its section goes on.
        if new.size == 0, !sharesSection(new.value, asked.addresses[first], sections) || isMappingSymbol(name) { return }
        below[first] = new
    }

    /// Functions before labels; of aliases the visible ones.
    private func rank(_ symbol: GElf_Sym, type: UInt8) -> Int {
        (type == UInt8(STT_NOTYPE) ? 0 : 2) + (symbol.st_info >> 4 == UInt8(STB_LOCAL) ? 0 : 1)
    }

    /// Of equal aliases (`__libc_malloc`, `malloc`) the one that people write, which is the one with fewer underscores.
    private func isBetter(_ new: Candidate, than old: Candidate) -> Bool {
        if new.rank != old.rank { return new.rank > old.rank }
        guard let newName = new.name.flatMap(string) else { return false }
        guard let oldName = old.name.flatMap(string) else { return true }
        let newUnderscores = newName.prefix { $0 == "_" }.count
        let oldUnderscores = oldName.prefix { $0 == "_" }.count
        return (newUnderscores, newName.utf8.count, newName) < (oldUnderscores, oldName.utf8.count, oldName)
    }

    /// `$x`, `$d`: marks of the ARM assemblers, not functions.
    private func isMappingSymbol(_ name: Name) -> Bool {
        guard let text = string(name), text.hasPrefix("$"), let kind = text.dropFirst().first else { return false }
        return "adtx".contains(kind) && (text.count == 2 || text.dropFirst(2).hasPrefix("."))
    }

    private func sharesSection(_ first: UInt64, _ second: UInt64, _ sections: [ElfFile.Section]) -> Bool {
        sections.contains {
            $0.address != 0 && first >= $0.address && first - $0.address < $0.size && second >= $0.address && second - $0.address < $0.size
        }
    }
}
