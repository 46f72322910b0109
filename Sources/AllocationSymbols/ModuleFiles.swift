// ModuleFiles.swift: the files that tell about one module, opened, and their debug information unpacked.
import CElfutils

/// What there is about a module. Handed from thread to thread as a whole, and used by one at a time: hence `@unchecked`.
final class ModuleFiles: @unchecked Sendable {
    /// The module itself; nil when it is gone, or another file by now.
    let loaded: ElfFile?
    /// The file with the debug information: `loaded`, a separate one, or nil.
    let debug: ElfFile?
    private let search: DebugFileSearch
    /// Opened when it is needed.
    private lazy var dwarf = debug.flatMap { DwarfFile($0, search: search) }
    private var isWhole = false
    private var parts = 0

    /// `buildID` is that of the file that was loaded, empty when it had none.
    init(path: String, buildID: [UInt8], search: DebugFileSearch) {
        // A file that was replaced since would give wrong names, which are worse than none.
        var loaded = ElfFile(path: path)
        if let file = loaded, !buildID.isEmpty, !file.buildID.isEmpty, file.buildID != buildID { loaded = nil }
        let identity = buildID.isEmpty ? loaded?.buildID ?? [] : buildID

        var debug = loaded?.hasDebugInfo == true ? loaded : nil
        if debug == nil { debug = search.debugFile(of: loaded, path: path, buildID: identity) }
        self.loaded = loaded
        self.debug = debug
        self.search = search
    }

    /// What the debug information says about some addresses; nil: there is none.
    func debugInfo(_ asked: AddressSet) -> DebugInfo? {
        // To unpack a part again and again would take longer than all of it.
        if let debug, !isWhole, parts < Self.mostParts, let part = DwarfFile(debug, only: asked) {
            parts += 1
            let info = DebugInfo(part, asked: asked, codeRanges: codeRanges)
            if info.isComplete { return info }
        }
        isWhole = true
        return dwarf.map { DebugInfo($0, asked: asked, codeRanges: codeRanges) }
    }

    private static let mostParts = 2

    /// Address ranges of the module that hold code.
    var codeRanges: [Range<UInt64>] { (loaded ?? debug)?.codeRanges ?? [] }

    /// Files with symbol tables, the fuller one first.
    var symbolFiles: [ElfFile] { (loaded === debug ? [loaded] : [debug, loaded]).compactMap(\.self) }
}

/// The debug information of a file, and of the file that it shares some with.
final class DwarfFile {
    private let own: Opened
    private var alternate: Opened?

    var handle: OpaquePointer { own.handle }

    /// One file, unpacked where that is needed.
    private final class Opened {
        let file: ElfFile
        let handle: OpaquePointer
        private let unpacked: UnpackedFile?
        var isPartial: Bool { unpacked?.isPartial ?? false }

        init?(_ file: ElfFile, only asked: AddressSet? = nil) {
            self.file = file
            unpacked = UnpackedFile(file, asked: asked)
            if asked != nil, unpacked == nil { return nil }
            guard let handle = dwarf_begin_elf(unpacked?.handle ?? file.handle, DWARF_C_READ, nil) else { return nil }
            self.handle = handle
        }

        deinit { dwarf_end(handle) }
    }

    init?(_ file: ElfFile, search: DebugFileSearch) {
        guard let own = Opened(file) else { return nil }
        self.own = own
        attachAlternate(search)
    }

    /// Nil: for these addresses all of it is needed as well.
    init?(_ file: ElfFile, only asked: AddressSet) {
        guard let own = Opened(file, only: asked) else { return nil }
        self.own = own
    }

    var isPartial: Bool { own.isPartial }

    private func attachAlternate(_ search: DebugFileSearch) {
        var name: UnsafePointer<CChar>?
        var bytes: UnsafeRawPointer?
        let count = dwelf_dwarf_gnu_debugaltlink(handle, &name, &bytes)
        guard count > 0, count <= 64, let name, let bytes else { return }
        let buildID = Array(UnsafeRawBufferPointer(start: bytes, count: count))
        guard let shared = search.alternateFile(name: String(cString: name), buildID: buildID, of: own.file.path),
            let other = Opened(shared)
        else { return }
        alternate = other
        dwarf_setalt(handle, other.handle)
    }
}
