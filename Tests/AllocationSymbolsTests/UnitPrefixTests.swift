// UnitPrefixTests.swift: packed debug information of which only the beginning is read, held against addr2line, which reads all of it.
import AllocationProfile
import Foundation
import Testing

@testable import AllocationSymbols

@Suite struct UnitPrefixTests {
    private static let first = """
        #include <stdlib.h>
        static inline __attribute__((always_inline)) void *inner(int size) {
            return malloc(size);
        }
        __attribute__((noinline)) void *outer(int size) {
            return inner(size + 1);
        }
        int main(int count, char **arguments) {
            (void)arguments;
            free(outer(count));
            return 0;
        }
        """

    /// Most of the program's debug information: a second unit.
    private static let second = (0..<300).map {
        """
        struct s\($0) { int a\($0); long b\($0); char c\($0)[\($0 + 1)]; };
        int filler\($0)(struct s\($0) *p, int q) { return p->a\($0) + q * \($0); }

        """
    }.joined()

    /// Nil with a sentence where there is no compiler.
    private func program(in folder: TemporaryFolder, _ flags: [String]) throws -> String? {
        guard Tool.path("gcc") != nil, Tool.path("addr2line") != nil, Tool.path("nm") != nil else {
            print("skipped: no gcc, no addr2line or no nm")
            return nil
        }
        let path = "\(folder.path)/program"
        for (name, text) in [("first.c", Self.first), ("second.c", Self.second)] {
            try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
        }
        try Tool.run(
            "gcc", ["-g", "-O1", "-gz=zlib", "-no-pie", "-o", path] + flags + ["\(folder.path)/first.c", "\(folder.path)/second.c"])
        return path
    }

    /// Addresses in the middle of functions.
    private func addresses(of names: [String], in path: String) throws -> AddressSet {
        let functions = try OracleTests.functions(of: path, []).filter { names.contains($0.name) }
        try #require(functions.count == names.count)
        return AddressSet(functions.map { $0.start + $0.size / 2 })
    }

    private func frames(_ asked: AddressSet, in path: String) throws -> [[Frame]] {
        let files = ModuleFiles(path: path, buildID: [], search: DebugFileSearch(directories: [], usesServer: false))
        var symbols = ModuleSymbols(path: path, files: files, asked: asked)
        return (0..<asked.count).map { symbols.frames(at: $0) }
    }

    private func expectOracle(_ frames: [[Frame]], _ asked: AddressSet, in path: String) throws {
        let expected = try OracleTests.oracle(asked.addresses, in: path)
        try #require(expected.count == frames.count)
        for (mine, theirs) in zip(frames, expected) {
            #expect(mine.map(\.function) == theirs.map(\.function))
            #expect(mine.map(\.line) == theirs.map(\.line))
        }
    }

    @Test func `for addresses at its beginning a part of the debug information is read, and says the same`() throws {
        let folder = try TemporaryFolder()
        guard let path = try program(in: folder, []) else { return }
        let file = try #require(ElfFile(path: path))
        let asked = try addresses(of: ["outer", "main"], in: path)
        #expect(UnpackedFile(file, asked: asked)?.isPartial == true)
        let found = try frames(asked, in: path)
        #expect(found.contains { $0.map(\.function) == ["inner", "outer"] })
        try expectOracle(found, asked, in: path)
    }

    @Test func `for an address further on, or of no unit, all of it is read`() throws {
        let folder = try TemporaryFolder()
        guard let path = try program(in: folder, []) else { return }
        let file = try #require(ElfFile(path: path))
        let far = try addresses(of: ["main", "filler299"], in: path)
        #expect(UnpackedFile(file, asked: far) == nil)
        try expectOracle(try frames(far, in: path), far, in: path)
        let none = AddressSet([1] + (try addresses(of: ["main"], in: path)).addresses)
        #expect(UnpackedFile(file, asked: none) == nil)
        #expect(try frames(none, in: path).last?.first?.function == "main")
    }

    /// Link-time optimization leaves the declarations of functions in units of their own.
    @Test func `where units refer to others all of it is read`() throws {
        let folder = try TemporaryFolder()
        guard let path = try program(in: folder, ["-flto", "-ffat-lto-objects"]) else { return }
        let abbreviations = try Tool.run("readelf", ["--debug-dump=abbrev", path])
        guard abbreviations.contains("DW_FORM_ref_addr") else { return print("skipped: this gcc makes no such units") }
        let asked = try addresses(of: ["outer"], in: path)
        #expect(UnpackedFile(try #require(ElfFile(path: path)), asked: asked) == nil)
        #expect(try frames(asked, in: path).first?.last?.function == "outer")
    }

    @Test func `a file asked again and again is read as a whole in the end, and answers as before`() throws {
        let folder = try TemporaryFolder()
        guard let path = try program(in: folder, []) else { return }
        let files = ModuleFiles(path: path, buildID: [], search: DebugFileSearch(directories: [], usesServer: false))
        let asked = try addresses(of: ["main", "outer"], in: path)
        for _ in 0..<5 {
            var symbols = ModuleSymbols(path: path, files: files, asked: asked)
            try expectOracle((0..<asked.count).map { symbols.frames(at: $0) }, asked, in: path)
        }
    }

    @Test func `damage anywhere in a packed file is no crash`() throws {
        let folder = try TemporaryFolder()
        guard let path = try program(in: folder, []) else { return }
        let asked = try addresses(of: ["outer", "main"], in: path)
        let sound = try Data(contentsOf: URL(fileURLWithPath: path))
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SeededGenerator(state: seed)
        let sections = try #require(ElfFile(path: path)).sections.filter { $0.name.hasPrefix(".debug_") }.count
        try #require(sections > 4)
        for round in 0..<60 {
            var damaged = sound
            // The second half of a small program's file is its debug information and its section headers.
            for _ in 0...round % 8 {
                let place = Int.random(in: sound.count / 2..<sound.count, using: &random)
                damaged[place] = UInt8.random(in: 0...255, using: &random)
            }
            let other = "\(folder.path)/damaged\(round)"
            try damaged.write(to: URL(fileURLWithPath: other))
            if let file = ElfFile(path: other) { _ = UnpackedFile(file, asked: asked) }
            _ = try frames(asked, in: other)
        }
    }

    @Test func `the C library's functions near its beginning are the same from a part as from all of it`() throws {
        let path = "/lib/x86_64-linux-gnu/libc.so.6"
        guard Tool.path("nm") != nil, let library = ElfFile(path: path),
            let debug = DebugFileSearch(directories: SymbolicatorOptions().debugDirectories, usesServer: false)
                .debugFile(of: library, path: path, buildID: library.buildID)
        else { return print("skipped: libc or its debug information is not installed") }
        let seed = UInt64.random(in: 0 ... .max)
        let functions = try OracleTests.functions(of: debug.path, []).filter { $0.size > 1 }
        try #require(functions.count > 1000)
        var parts = 0
        for address in OracleTests.sample(functions, count: 40, seed: seed) {
            let asked = AddressSet([address])
            guard let part = DwarfFile(debug, only: asked) else { continue }
            let search = DebugFileSearch(directories: [], usesServer: false)
            let whole = DebugInfo(try #require(DwarfFile(debug, search: search)), asked: asked, codeRanges: [])
            let info = DebugInfo(part, asked: asked, codeRanges: [])
            parts += 1
            #expect(info.isComplete)
            let names = { (info: DebugInfo) in info.scopes(at: 0).map { info.plainName(of: $0) } }
            #expect(names(info) == names(whole), "seed \(seed)")
            let line = { (info: DebugInfo) in info.unit(at: 0).flatMap { info.position(of: address, unit: $0)?.line } }
            #expect(line(info) == line(whole), "seed \(seed)")
        }
        print("seed \(seed): \(parts) of 40 addresses need a part")
        #expect(parts > 0)
    }
}
