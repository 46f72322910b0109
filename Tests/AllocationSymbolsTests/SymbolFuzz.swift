// SymbolFuzz.swift: names and lines out of damaged files, mangled names and maps; for tools/fuzz.
import AllocationProfile
import Glibc

@testable import AllocationSymbols

/// Each function takes any bytes and never traps.
enum SymbolFuzz {
    private static let folder: String = {
        var template = Array("/dev/shm/symbol-fuzz-XXXXXX".utf8CString)
        atexit { rmdir(SymbolFuzz.folder) }
        return String(cString: mkdtemp(&template))
    }()

    private static func put(_ bytes: UnsafeRawBufferPointer, at path: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(file) }
        precondition(file >= 0 && write(file, bytes.baseAddress, bytes.count) == bytes.count)
    }

    /// An ELF file: symbol tables, DWARF, stubs, links to other files.
    static func elfFile(_ bytes: UnsafeRawBufferPointer) {
        let path = "\(folder)/program"
        put(bytes, at: path)
        defer { unlink(path) }
        // Where small programs have their code, and addresses that no program has.
        var addresses: [UInt64] = [.max, .max - 1, 1 << 63]
        for place: UInt64 in 0..<64 { addresses += [0x400100 + place * 8, 0x1000 + place] }
        let asked = AddressSet(addresses)
        let search = DebugFileSearch(directories: [folder], usesServer: false)
        var symbols = ModuleSymbols(path: path, files: ModuleFiles(path: path, buildID: [], search: search), asked: asked)
        for index in 0..<asked.count { precondition(!symbols.frames(at: index).isEmpty, "every address has a frame") }
    }

    /// A mangled name.
    static func name(_ bytes: UnsafeRawBufferPointer) {
        var text = bytes.prefix { $0 != 0 }.map { $0 }
        text.removeAll { $0 == 10 }
        let symbol = String(decoding: text, as: UTF8.self)
        let name = Demangler.demangle(symbol)
        precondition(symbol.isEmpty || !name.text.isEmpty, "a name is never nothing")
        precondition(name.text.utf8.count <= 4_200, "a name is of bounded length")
    }

    /// `perf-PID.map`
    static func perfMap(_ bytes: UnsafeRawBufferPointer) {
        let path = "\(folder)/perf.map"
        put(bytes, at: path)
        defer { unlink(path) }
        let map = PerfMap(path: path)
        for address: UInt64 in [0, 1, 0x1000, 0x1008, 0x7fff_ffff_ffff, .max] { _ = map.name(of: address) }
    }
}
