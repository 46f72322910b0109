// LineTests.swift: programs know their own lines; the symbolicator has to find the same ones.
import AllocationSymbols
import Foundation
import Testing

@Suite struct LineTests {
    struct Build: CustomTestStringConvertible, Sendable {
        var compiler: String
        var language: String
        var flags: [String]
        var testDescription: String { "\(compiler) \(flags.joined(separator: " "))" }
    }

    static let builds: [Build] =
        [("gcc", "c"), ("clang", "c"), ("g++", "cc"), ("clang++", "cc")].flatMap { compiler, language in
            [["-O0", "-gdwarf-4"], ["-O0", "-gdwarf-5"], ["-O2", "-gdwarf-4"], ["-O2", "-gdwarf-5"]].map {
                Build(compiler: compiler, language: language, flags: $0)
            }
        } + [
            Build(compiler: "gcc", language: "c", flags: ["-O2", "-g", "-no-pie", "-gz=zlib"]),
            Build(compiler: "gcc", language: "c", flags: ["-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections"]),
            Build(compiler: "clang", language: "c", flags: ["-O2", "-g", "-gsplit-dwarf"]),
            Build(compiler: "clang++", language: "cc", flags: ["-O2", "-g", "-fuse-ld=lld", "-flto"]),
        ]

    static func compile(_ build: Build, in folder: TemporaryFolder) throws -> String {
        let source = try folder.write(SampleSource.c, to: "sample.\(build.language)")
        let program = "\(folder.path)/sample"
        // -fno-omit…: a call in tail position would have no return address of its own.
        try Tool.run(build.compiler, build.flags + ["-fno-optimize-sibling-calls", "-o", program, source])
        return program
    }

    @Test("every line and inlined call that a C or C++ program knows of is found", arguments: builds)
    func findsLines(build: Build) throws {
        guard Tool.path(build.compiler) != nil else { return print("skipped: \(build.compiler) is not installed") }
        let folder = try TemporaryFolder()
        let program = try SampleProgram(path: try Self.compile(build, in: folder))
        program.expectMarks(program.symbolicated(), file: "/sample.\(build.language)")
    }

    @Test("a function is found that the file's table of address ranges leaves out")
    func findsLinesBesideTable() throws {
        guard Tool.path("gcc") != nil, Tool.path("clang") != nil else { return print("skipped: gcc or clang is not installed") }
        let folder = try TemporaryFolder()
        // gcc writes such a table for its unit, clang none for its own.
        let other = try folder.write("int other(int value) { return value + 1; }\n", to: "other.c")
        try Tool.run("gcc", ["-O2", "-g", "-c", other, "-o", "\(folder.path)/other.o"])
        let build = Build(compiler: "clang", language: "c", flags: ["-O2", "-g", "\(folder.path)/other.o"])
        let program = try SampleProgram(path: try Self.compile(build, in: folder))
        #expect(try Tool.run("readelf", ["-S", program.path]).contains(".debug_aranges"))
        program.expectMarks(program.symbolicated(), file: "/sample.c")
    }

    @Test(
        "every line of a Swift program is found, in closures, generics, inlined and async functions",
        arguments: [["-Onone"], ["-O", "-DOPTIMIZED"]])
    func findsSwiftLines(flags: [String]) throws {
        guard Tool.path("swiftc") != nil, Tool.path("clang") != nil else { return print("skipped: no Swift compiler") }
        let folder = try TemporaryFolder()
        let source = try folder.write(SampleSource.swift, to: "main.swift")
        let helper = try folder.write(SampleSource.helper, to: "helper.c")
        try Tool.run("clang", ["-O1", "-c", helper, "-o", "\(folder.path)/helper.o"])
        let path = "\(folder.path)/sample"
        try Tool.run("swiftc", flags + ["-g", source, "\(folder.path)/helper.o", "-module-cache-path", "\(folder.path)/cache", "-o", path])
        let program = try SampleProgram(path: path)
        let found = program.symbolicated()
        program.expectMarks(found, file: "/main.swift")
        // All of it is the user's, whatever is inlined into it.
        for frames in found { #expect(frames.contains { !$0.isSystem }, "\(frames)") }
    }

    @Test("a Rust program's frames have readable names, and its standard library is system")
    func findsRustNames() throws {
        guard Tool.path("rustc") != nil else { return print("skipped: rustc is not installed") }
        let folder = try TemporaryFolder()
        let source = try folder.write(
            """
            #[inline(never)] pub fn shop(n: usize) -> Vec<String> { (0..n).map(|i| i.to_string()).collect() }
            fn main() { println!("{:?}", shop(3)); }
            """,
            to: "sample.rs")
        let path = "\(folder.path)/sample"
        do { try Tool.run("rustc", ["-g", "-o", path, source]) } catch { return print("skipped: rustc does not work") }
        let functions = try OracleTests.functions(of: path, [])
        let frames = OracleTests.frames(of: functions.map { $0.start + $0.size / 2 }, in: path)
        #expect(!frames.joined().contains { $0.function?.hasPrefix("_R") == true || $0.function?.contains("17h") == true })
        let shop = frames.joined().filter { $0.function == "sample::shop" }
        #expect(!shop.isEmpty && shop.allSatisfy { !$0.isSystem && $0.file?.hasSuffix("/sample.rs") == true && $0.line == 1 })
        let library = frames.joined().filter { $0.function?.hasPrefix("alloc::") == true }
        #expect(library.count > 10 && library.allSatisfy(\.isSystem))
    }
}
