// HostileFileTests.swift: damaged ELF and DWARF costs names, never the process.
import AllocationProfile
import AllocationSymbols
import Foundation
import Testing

@Suite struct HostileFileTests {
    /// Byte ranges of sections of a file, from `readelf`.
    private func sections(of path: String) throws -> [String: Range<Int>] {
        var result: [String: Range<Int>] = [:]
        for line in try Tool.run("readelf", ["-S", "-W", path]).split(separator: "\n") {
            guard let close = line.firstIndex(of: "]") else { continue }
            let fields = line[line.index(after: close)...].split(separator: " ")
            guard fields.count > 5, let offset = Int(fields[3], radix: 16), let size = Int(fields[4], radix: 16), fields[1] != "NOBITS"
            else { continue }
            result[String(fields[0])] = offset..<offset + size
        }
        return result
    }

    @Test(
        "truncated and bit-flipped programs never crash the symbolicator and keep a frame for every address",
        arguments: [("-gdwarf-4", "-gz=none"), ("-gdwarf-5", "-gz=none"), ("-gdwarf-5", "-gz=zlib")])
    func damagedFiles(version: String, packing: String) throws {
        guard Tool.path("g++") != nil, Tool.path("readelf") != nil else { return print("skipped: no g++ or no readelf") }
        let folder = try TemporaryFolder()
        let build = LineTests.Build(compiler: "g++", language: "cc", flags: ["-O2", version, packing])
        let program = try SampleProgram(path: try LineTests.compile(build, in: folder))
        let original = try Data(contentsOf: URL(fileURLWithPath: program.path))
        let sections = try sections(of: program.path)
        let targets =
            [
                ".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_rnglists", ".debug_ranges", ".debug_line_str",
                ".symtab", ".strtab", ".dynsym", ".note.gnu.build-id",
            ].compactMap { sections[$0] } + [0..<64, 0..<1024, original.count - 2_500..<original.count, 0..<original.count]
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["SYMBOLS_SEED"].flatMap { UInt64($0) } ?? 1
        let rounds = environment["SYMBOLS_ROUNDS"].flatMap { Int($0) } ?? 40
        print("seed \(seed), \(rounds) rounds")
        var random = SeededGenerator(state: seed &* 31 &+ UInt64(version.utf8.last ?? 0))
        let path = "\(folder.path)/damaged"
        var options = SymbolicatorOptions()
        options.usesDebuginfod = false
        var named = 0
        for round in 0..<rounds {
            var bytes = original
            if round % 10 == 0 {
                bytes = bytes.prefix(Int.random(in: 0..<bytes.count, using: &random))
            } else {
                let target = targets[Int.random(in: 0..<targets.count, using: &random)]
                for _ in 0..<Int.random(in: 1...12, using: &random) {
                    let at = Int.random(in: target, using: &random)
                    bytes[at] =
                        Bool.random(using: &random)
                        ? bytes[at] ^ (1 << Int.random(in: 0..<8, using: &random)) : UInt8.random(in: 0...255, using: &random)
                }
            }
            try bytes.write(to: URL(fileURLWithPath: path))
            let frames = program.symbolicated(path: path, options: options)
            #expect(
                frames.allSatisfy { !$0.isEmpty && $0.allSatisfy { $0.module == path && $0.address != nil } },
                "seed \(seed), round \(round)")
            named += frames.filter { $0[0].function != nil }.count
        }
        // Most damage leaves most names: an answer that is always empty would be no answer.
        #expect(named > rounds)
    }
}
