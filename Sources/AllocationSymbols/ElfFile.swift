// ElfFile.swift: one opened ELF file, read through libelf. Everything in it may be damaged: no answer, never a trap.
import CElfutils
import Glibc

/// A regular ELF file of this machine. Closed when the last reference goes.
///
/// libelf handles are not safe to share between threads: a file belongs to the thread that opened it.
final class ElfFile {
    struct Section {
        var name: String
        var type: UInt32
        var flags: UInt64
        var address: UInt64
        var size: UInt64
        var entrySize: UInt64
        var link: UInt32
        var handle: OpaquePointer
    }

    let path: String
    let handle: OpaquePointer
    private let descriptor: Int32

    /// libelf's own number of the interface version; must be asked for before anything else.
    private static let isReady = elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE)

    convenience init?(path: String) {
        // Nonblocking: the path of a module may by now be a FIFO.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        self.init(descriptor: descriptor, path: path)
    }

    /// Takes over `descriptor`.
    init?(descriptor: Int32, path: String) {
        var status = stat()
        guard Self.isReady, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let handle = elf_begin(descriptor, ELF_C_READ_MMAP, nil)
        else {
            close(descriptor)
            return nil
        }
        guard elf_kind(handle) == ELF_K_ELF else {
            elf_end(handle)
            close(descriptor)
            return nil
        }
        self.path = path
        self.handle = handle
        self.descriptor = descriptor
    }

    deinit {
        elf_end(handle)
        close(descriptor)
    }

    /// Empty when the file has none.
    private(set) lazy var buildID: [UInt8] = {
        var bytes: UnsafeRawPointer?
        let count = dwelf_elf_gnu_build_id(handle, &bytes)
        guard let bytes, count > 0, count <= 64 else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }()

    /// Type and machine of a file of 64 bits in the byte order of this machine; nil: it is none.
    var identity: (type: Int32, machine: Int32)? {
        var header = GElf_Ehdr()
        guard gelf_getehdr(handle, &header) != nil, Int32(header.e_ident.4) == ELFCLASS64, Int32(header.e_ident.5) == ELFDATA2LSB else {
            return nil
        }
        return (Int32(header.e_type), Int32(header.e_machine))
    }

    /// Machine of the file: `EM_X86_64`, `EM_AARCH64` …
    var machine: Int32 {
        var header = GElf_Ehdr()
        return gelf_getehdr(handle, &header) == nil ? EM_NONE : Int32(header.e_machine)
    }

    /// Address ranges that hold code, ascending.
    private(set) lazy var codeRanges: [Range<UInt64>] = {
        var count = 0
        guard elf_getphdrnum(handle, &count) == 0 else { return [] }
        var ranges: [Range<UInt64>] = []
        for index in 0..<min(count, 1024) {
            var segment = GElf_Phdr()
            guard gelf_getphdr(handle, Int32(index), &segment) != nil else { break }
            guard segment.p_type == UInt32(PT_LOAD), segment.p_flags & UInt32(PF_X) != 0 else { continue }
            let (end, overflow) = segment.p_vaddr.addingReportingOverflow(segment.p_memsz)
            if !overflow, end > segment.p_vaddr { ranges.append(segment.p_vaddr..<end) }
        }
        return ranges.sorted { $0.lowerBound < $1.lowerBound }
    }()

    private(set) lazy var sections: [Section] = {
        var names = 0
        guard elf_getshdrstrndx(handle, &names) == 0 else { return [] }
        var sections: [Section] = []
        var next = elf_nextscn(handle, nil)
        while let section = next, sections.count < 100_000 {
            var header = GElf_Shdr()
            if gelf_getshdr(section, &header) != nil {
                sections.append(
                    Section(
                        name: elf_strptr(handle, names, Int(header.sh_name)).map { String(cString: $0) } ?? "", type: header.sh_type,
                        flags: header.sh_flags, address: header.sh_addr, size: header.sh_size, entrySize: header.sh_entsize,
                        link: header.sh_link,
                        handle: section))
            }
            next = elf_nextscn(handle, section)
        }
        return sections
    }()

    /// DWARF that this file has itself. The other half of a split pair has sections of the same names, but without bytes.
    var hasDebugInfo: Bool {
        sections.contains { ($0.name == ".debug_info" || $0.name == ".zdebug_info") && $0.type != UInt32(SHT_NOBITS) && $0.size > 0 }
    }

    /// The bytes of a section, valid as long as the file is.
    func bytes(of section: Section) -> UnsafeRawBufferPointer {
        guard section.type != UInt32(SHT_NOBITS), let data = elf_rawdata(section.handle, nil), let start = data.pointee.d_buf else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: start, count: data.pointee.d_size)
    }

    /// Name of the separate debug file and the checksum that it must have, from `.gnu_debuglink`.
    var debugLink: (name: String, checksum: UInt32)? {
        guard let section = sections.first(where: { $0.name == ".gnu_debuglink" }) else { return nil }
        let bytes = bytes(of: section)
        guard let end = bytes.firstIndex(of: 0), end > 0 else { return nil }
        let at = (end + 4) & ~3
        guard at + 4 <= bytes.count else { return nil }
        let name = String(decoding: bytes[..<end], as: UTF8.self)
        return name.contains("/") ? nil : (name, bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }

    /// The checksum of `.gnu_debuglink` over the whole file.
    private(set) lazy var checksum: UInt32? = {
        var size = 0
        guard let start = elf_rawfile(handle, &size) else { return nil }
        var sum = ~UInt32(0)
        for byte in UnsafeRawBufferPointer(start: start, count: size) {
            sum = Self.checksumTable[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ (sum >> 8)
        }
        return ~sum
    }()

    private static let checksumTable: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 1 ? 0xEDB8_8320 ^ (sum >> 1) : sum >> 1 }
    }
}
