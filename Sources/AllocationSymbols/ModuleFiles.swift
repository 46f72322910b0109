// ModuleFiles.swift: the files that tell about one module, opened, and their debug information unpacked.
import CElfutils

/// What there is about a module. Handed from thread to thread as a whole, and used by one at a time: hence `@unchecked`.
final class ModuleFiles: @unchecked Sendable {
    /// The module itself; nil when it is gone, or another file by now.
    let loaded: ElfFile?
    /// The file with the debug information: `loaded`, a separate one, or nil.
    let debug: ElfFile?
    let dwarf: DwarfFile?

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
        dwarf = debug.flatMap { DwarfFile($0, search: search) }
    }

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

        init?(_ file: ElfFile) {
            self.file = file
            unpacked = UnpackedFile(file)
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
