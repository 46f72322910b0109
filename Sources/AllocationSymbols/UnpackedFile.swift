// UnpackedFile.swift: the debug sections of a file that are wanted, unpacked, as an ELF file in memory.
import CElfutils
import Glibc

/// What `DwarfFile` reads in place of a file with compressed sections, as Debian's debug files are.
///
/// libdw unpacks all of them with zlib when it opens a file: 70 ms for the C library, which nearly every program has calls in. This takes
/// 15: libdeflate needs a third of the time, the sections that say where variables live are a sixth of the bytes, and two threads
/// share the rest.
/// Only the ELF specification's own form is read here; everything else is left to libdw. For few addresses, most of it need not be
/// unpacked at all.
final class UnpackedFile {
    let handle: OpaquePointer
    private let image: UnsafeMutableRawBufferPointer

    /// Nothing is found out with these.
    private static let unwanted: Set<String> = [
        ".debug_frame", ".debug_gdb_scripts", ".debug_loc", ".debug_loclists", ".debug_macinfo", ".debug_macro",
        ".debug_names", ".debug_pubnames", ".debug_pubtypes",
    ]
    /// A file with these may go on in others, which libdw finds by the place of the file.
    private static let split: Set<String> = [".debug_addr", ".debug_cu_index", ".debug_tu_index"]

    private struct Piece {
        var header: Elf64_Shdr
        var name: String
        var content: Content
    }

    private enum Content {
        case packed(PackedSection)
        case plain(UnsafeRawBufferPointer)
        case made([UInt8])
    }

    /// Only some addresses can be looked up.
    let isPartial: Bool

    /// `asked`: only these addresses will be looked up; nil: any. Nil when there is nothing to gain, or when the file is damaged or of an
    /// unusual form; with addresses also when they need most of it.
    init?(_ file: ElfFile, asked: AddressSet?) {
        guard let first = file.identity, first.type == ET_DYN || first.type == ET_EXEC, var pieces = Self.pieces(of: file) else {
            return nil
        }
        if let asked, !Self.shorten(&pieces, asked) { return nil }
        isPartial = asked != nil
        guard let size = Self.layOut(pieces), let image = Self.memory(size) else { return nil }
        guard Self.fill(image, pieces, machine: first.machine), let handle = elf_memory(image.baseAddress, image.count) else {
            munmap(image.baseAddress, image.count)
            return nil
        }
        self.image = image
        self.handle = handle
    }

    deinit {
        elf_end(handle)
        munmap(image.baseAddress, image.count)
    }

    // MARK: What is taken over

    private static func pieces(of file: ElfFile) -> [Piece]? {
        var pieces: [Piece] = []
        var gains = false
        for section in file.sections where section.name.hasPrefix(".debug_") || section.name == ".gnu_debugaltlink" {
            if split.contains(section.name) { return nil }
            if unwanted.contains(section.name) || section.type == UInt32(SHT_NOBITS) { continue }
            var header = Elf64_Shdr()
            header.sh_type = section.type
            header.sh_addralign = 1
            header.sh_entsize = section.entrySize
            let bytes = file.bytes(of: section)
            if section.flags & UInt64(SHF_COMPRESSED) != 0 {
                guard let packed = PackedSection(bytes) else { return nil }
                header.sh_size = UInt64(packed.size)
                pieces.append(Piece(header: header, name: section.name, content: .packed(packed)))
                gains = true
            } else {
                header.sh_size = UInt64(bytes.count)
                pieces.append(Piece(header: header, name: section.name, content: .plain(bytes)))
            }
        }
        return gains ? pieces : nil
    }

    /// Leaves out units that none of the addresses is in. False: it needs most of them, or is not made so that they can be left out.
    private static func shorten(_ pieces: inout [Piece], _ asked: AddressSet) -> Bool {
        func only(_ name: String) -> (index: Int, section: PackedSection)? {
            let indices = pieces.indices.filter { pieces[$0].name == name }
            guard indices.count == 1, case .packed(let section) = pieces[indices[0]].content else { return nil }
            return (indices[0], section)
        }
        let sharing = [".debug_sup", ".debug_types", ".gnu_debugaltlink"]
        guard !pieces.contains(where: { sharing.contains($0.name) }), let ranges = only(".debug_aranges"),
            let entries = only(".debug_info"),
            let abbreviations = only(".debug_abbrev"),
            let prefix = UnitPrefix(
                ranges: ranges.section, entries: entries.section, abbreviations: abbreviations.section, asked: asked)
        else { return false }
        for (index, bytes) in [
            (ranges.index, prefix.sets), (entries.index, prefix.entries), (abbreviations.index, prefix.abbreviations),
        ] {
            pieces[index].content = .made(bytes)
            pieces[index].header.sh_size = UInt64(bytes.count)
        }
        return true
    }

    // MARK: The file in memory: its header, the sections' headers, their names, their bytes

    /// Names of the first section, which is none, and of the last one, which holds the names.
    private static let namesOfOurs = "\0.shstrtab\0"

    private static func namesOffset(_ pieces: [Piece]) -> Int {
        MemoryLayout<Elf64_Ehdr>.size + (pieces.count + 2) * MemoryLayout<Elf64_Shdr>.size
    }

    private static func namesSize(_ pieces: [Piece]) -> Int { pieces.reduce(namesOfOurs.utf8.count) { $0 + $1.name.utf8.count + 1 } }

    private static func layOut(_ pieces: [Piece]) -> Int? {
        var size = UInt64(namesOffset(pieces) + namesSize(pieces))
        for piece in pieces {
            let (sum, overflow) = size.addingReportingOverflow(piece.header.sh_size)
            if overflow || sum > 1 << 40 { return nil }
            size = sum
        }
        return Int(size)
    }

    private static func memory(_ size: Int) -> UnsafeMutableRawBufferPointer? {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let start = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), start != MAP_FAILED else { return nil }
        if size >= 4 << 20 { madvise(start, size, MADV_HUGEPAGE) }
        return UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    /// False: a stream is damaged.
    private static func fill(_ image: UnsafeMutableRawBufferPointer, _ pieces: [Piece], machine: Int32) -> Bool {
        let names = namesOffset(pieces)
        var (name, offset) = (names, names + namesSize(pieces))
        var streams: [Stream] = []
        func put(_ bytes: String) {
            for byte in bytes.utf8 {
                image[name] = byte
                name += 1
            }
        }
        func put(_ header: Elf64_Shdr, at index: Int) {
            image.storeBytes(
                of: header, toByteOffset: MemoryLayout<Elf64_Ehdr>.size + index * MemoryLayout<Elf64_Shdr>.size, as: Elf64_Shdr.self)
        }
        put(namesOfOurs)
        for (index, piece) in pieces.enumerated() {
            var header = piece.header
            header.sh_name = UInt32(name - names)
            header.sh_offset = UInt64(offset)
            put(header, at: index + 1)
            put(piece.name + "\0")
            let room = UnsafeMutableRawBufferPointer(rebasing: image[offset..<offset + Int(header.sh_size)])
            switch piece.content {
            case .packed(let section): streams.append(Stream(section: section, room: room))
            case .plain(let bytes): room.copyMemory(from: bytes)
            case .made(let bytes): room.copyBytes(from: bytes)
            }
            offset += room.count
        }
        var header = Elf64_Shdr()
        header.sh_name = 1
        header.sh_type = UInt32(SHT_STRTAB)
        header.sh_offset = UInt64(names)
        header.sh_size = UInt64(namesSize(pieces))
        header.sh_addralign = 1
        put(header, at: pieces.count + 1)
        image.storeBytes(of: fileHeader(sections: pieces.count + 2, machine: machine), as: Elf64_Ehdr.self)
        return unpack(streams)
    }

    /// Where a section comes from and goes to: memory that nothing else is in.
    private struct Stream: @unchecked Sendable {
        var section: PackedSection
        var room: UnsafeMutableRawBufferPointer
    }

    /// One section is most of a file, the others together are about as much: two threads. Where a program has ended, its user waits.
    private static func unpack(_ streams: [Stream]) -> Bool {
        let largestFirst = streams.sorted { $0.section.bytes.count > $1.section.bytes.count }
        let isWorthIt = largestFirst.dropFirst().reduce(0) { $0 + $1.section.bytes.count } > 256 << 10
        let results = Workers<Bool>.map(count: streams.count, threads: isWorthIt ? 2 : 0, prologue: nil) { index in
            largestFirst[index].section.unpack(into: largestFirst[index].room)
        }
        return results.count == streams.count && results.allSatisfy(\.self)
    }

    private static func fileHeader(sections: Int, machine: Int32) -> Elf64_Ehdr {
        var header = Elf64_Ehdr()
        let size = UInt16(MemoryLayout<Elf64_Ehdr>.size)
        withUnsafeMutableBytes(of: &header.e_ident) {
            $0.copyBytes(from: [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F"), UInt8(ELFCLASS64), UInt8(ELFDATA2LSB)])
            $0[Int(EI_VERSION)] = UInt8(EV_CURRENT)
        }
        header.e_type = UInt16(ET_DYN)
        header.e_machine = UInt16(truncatingIfNeeded: machine)
        header.e_version = UInt32(EV_CURRENT)
        header.e_ehsize = size
        header.e_shoff = UInt64(size)
        header.e_shentsize = UInt16(MemoryLayout<Elf64_Shdr>.size)
        header.e_shnum = UInt16(sections)
        header.e_shstrndx = UInt16(sections - 1)
        return header
    }
}
