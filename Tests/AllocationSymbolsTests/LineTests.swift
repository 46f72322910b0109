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

    static let builds: [Build] = [("gcc", "c"), ("clang", "c"), ("g++", "cc"), ("clang++", "cc")].flatMap { compiler, language in
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
}
