// ExecutableFile.swift: what the loader will make of an ELF file. Every offset in the file is checked before it is used.

/// The parts of an ELF executable that decide whether it can be profiled, and how well.
struct ExecutableFile {
    enum Kind: Hashable {
        /// Not ELF at all.
        case other
        /// ELF, but damaged or no program.
        case malformed
        case program
    }

    private(set) var kind = Kind.other
    private(set) var is64Bit = false
    private(set) var machine: UInt16 = 0
    /// The loader that the kernel starts; nil in statically linked programs.
    private(set) var interpreter: String?
    private(set) var buildID: [UInt8] = []
    /// The file itself holds debug information.
    private(set) var hasDebugInfo = false
    /// Name of the file that holds it, as `strip` and `objcopy` note it.
    private(set) var debugLink: String?

    private let file: FileBytes
    private var symbolTables: [Section] = []

    private struct Section {
        var name: UInt32
        var type: UInt32
        var offset: UInt64
        var size: UInt64
        var link: UInt32
    }

    private enum Layout {
        static let headerSize = 64
        static let segmentSize = 56
        static let sectionSize = 64
        static let symbolSize = 24
        // Longer tables are not believed: no linker makes them, and reading them would only cost memory.
        static let maximalSections: UInt64 = 1 << 20
        static let maximalText = 4096
    }

    /// Reads the headers; `file` may hold anything.
    init(_ file: FileBytes) {
        self.file = file
        guard let header = file.bytes(at: 0, count: 20), header.starts(with: [0x7f, 0x45, 0x4c, 0x46]) else { return }
        kind = .malformed
        is64Bit = header[4] == 2
        // The order of bytes of a foreign machine: only its number is wanted, to say its name.
        machine = header[5] == 2 ? UInt16(header[18]) << 8 | UInt16(header[19]) : header.integer(at: 18) ?? 0
        guard is64Bit, header[5] == 1, let full = file.bytes(at: 0, count: Layout.headerSize) else { return }
        let type: UInt16 = full.integer(at: 16) ?? 0
        guard type == 2 || type == 3, readSegments(full) else { return }
        kind = .program
        readSections(full)
    }

    private mutating func readSegments(_ header: [UInt8]) -> Bool {
        guard let offset: UInt64 = header.integer(at: 32), let size: UInt16 = header.integer(at: 54), Int(size) == Layout.segmentSize,
            let count: UInt16 = header.integer(at: 56), count > 0,
            let table = file.bytes(at: offset, count: Int(count) * Layout.segmentSize)
        else { return false }
        for start in stride(from: 0, to: table.count, by: Layout.segmentSize) {
            guard let type: UInt32 = table.integer(at: start), let offset: UInt64 = table.integer(at: start + 8),
                let size: UInt64 = table.integer(at: start + 32)
            else { return false }
            let interpreterType: UInt32 = 3
            let noteType: UInt32 = 4
            if type == interpreterType {
                guard size <= UInt64(Layout.maximalText), let text = file.bytes(at: offset, count: Int(size)) else { return false }
                interpreter = text.terminatedString(at: 0)
            } else if type == noteType, buildID.isEmpty, size <= 1 << 16, let notes = file.bytes(at: offset, count: Int(size)) {
                buildID = Self.buildID(in: notes)
            }
        }
        return true
    }

    private static func buildID(in notes: [UInt8]) -> [UInt8] {
        var position = 0
        while let nameSize: UInt32 = notes.integer(at: position), let size: UInt32 = notes.integer(at: position + 4),
            let type: UInt32 = notes.integer(at: position + 8), nameSize <= notes.count, size <= notes.count
        {
            let content = position + 12 + (Int(nameSize) + 3) / 4 * 4
            let end = content + Int(size)
            guard end <= notes.count else { break }
            if type == 3, notes[(position + 12)...].starts(with: [0x47, 0x4e, 0x55, 0]) { return Array(notes[content..<end]) }
            position = content + (Int(size) + 3) / 4 * 4
        }
        return []
    }

    private mutating func readSections(_ header: [UInt8]) {
        guard let offset: UInt64 = header.integer(at: 40), offset != 0, let size: UInt16 = header.integer(at: 58),
            Int(size) == Layout.sectionSize, let headerCount: UInt16 = header.integer(at: 60), let names: UInt16 = header.integer(at: 62)
        else { return }
        // More than 65,279 sections: the number stands in section 0.
        let first = file.bytes(at: offset, count: Layout.sectionSize)
        let count = headerCount != 0 ? UInt64(headerCount) : first?.integer(at: 32) ?? 0
        guard count <= Layout.maximalSections, let table = file.bytes(at: offset, count: Int(count) * Layout.sectionSize) else { return }
        let sections = stride(from: 0, to: table.count, by: Layout.sectionSize).map { start in
            Section(
                name: table.integer(at: start) ?? 0, type: table.integer(at: start + 4) ?? 0, offset: table.integer(at: start + 24) ?? 0,
                size: table.integer(at: start + 32) ?? 0, link: table.integer(at: start + 40) ?? 0)
        }
        let symbolTableType: UInt32 = 2
        let dynamicSymbolsType: UInt32 = 11
        for section in sections where section.type == symbolTableType || section.type == dynamicSymbolsType {
            guard Int(section.link) < sections.count else { continue }
            symbolTables.append(section)
            symbolTables.append(sections[Int(section.link)])
        }
        guard Int(names) < sections.count, let text = bytes(of: sections[Int(names)]) else { return }
        for section in sections {
            switch text.terminatedString(at: Int(section.name)) {
            case ".debug_info", ".zdebug_info": hasDebugInfo = true
            case ".gnu_debuglink": debugLink = bytes(of: section)?.terminatedString(at: 0)
            default: break
            }
        }
    }

    private func bytes(of section: Section) -> [UInt8]? {
        let noBits: UInt32 = 8
        guard section.type != noBits, let size = Int(exactly: section.size) else { return nil }
        return file.bytes(at: section.offset, count: size)
    }

    /// Whether the executable itself contains the function `name`. Cost: one search through its symbol names.
    func defines(function name: String) -> Bool {
        stride(from: 0, to: symbolTables.count, by: 2).contains { index in
            guard let names = bytes(of: symbolTables[index + 1]) else { return false }
            // Linkers let names share their ends ("malloc" inside "je_malloc"), so every occurrence counts.
            let positions = Set(Unsafe.positions(of: Array(name.utf8) + [0], in: names).map { UInt32(truncatingIfNeeded: $0) })
            guard !positions.isEmpty, let symbols = bytes(of: symbolTables[index]) else { return false }
            return stride(from: 0, to: symbols.count, by: Layout.symbolSize).contains { start in
                guard let position: UInt32 = symbols.integer(at: start), positions.contains(position),
                    let section: UInt16 = symbols.integer(at: start + 6)
                else { return false }
                let type = symbols[start + 4] & 15
                let untyped = 0
                let function = 2
                let indirectFunction = 10
                return section != 0 && [untyped, function, indirectFunction].contains(Int(type))
            }
        }
    }
}

extension ExecutableFile {
    #if arch(x86_64)
        static let ownMachine: UInt16 = 62
        static let ownMachineName = "x86-64"
    #elseif arch(arm64)
        static let ownMachine: UInt16 = 183
        static let ownMachineName = "aarch64"
    #endif

    var machineName: String {
        switch machine {
        case 3: "x86 (32 bits)"
        case 8: "MIPS"
        case 20, 21: "PowerPC"
        case 22: "s390"
        case 40: "ARM (32 bits)"
        case 62: is64Bit ? "x86-64" : "x32"
        case 183: "aarch64"
        case 243: "RISC-V"
        case 258: "LoongArch"
        default: "ELF machine \(machine)"
        }
    }
}

extension [UInt8] {
    /// The little-endian integer at `offset`, nil outside of the array.
    func integer<Value: FixedWidthInteger>(at offset: Int) -> Value? {
        let size = Value.bitWidth / 8
        guard offset >= 0, offset <= count - size else { return nil }
        var value: Value = 0
        for index in (0..<size).reversed() { value = value << 8 | Value(truncatingIfNeeded: self[offset + index]) }
        return value
    }

    /// The text from `offset` to the next NUL, nil outside of the array.
    func terminatedString(at offset: Int) -> String? {
        guard offset >= 0, offset < count else { return nil }
        return String(decoding: self[offset...].prefix { $0 != 0 }, as: UTF8.self)
    }
}
