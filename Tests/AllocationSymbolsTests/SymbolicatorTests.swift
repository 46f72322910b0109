// SymbolicatorTests.swift: which files are used for names, and what becomes of addresses that have none.
import AllocationProfile
import Foundation
import Synchronization
import Testing

@testable import AllocationSymbols

@Suite struct SymbolicatorTests {
    /// A compiled C program, or nil with a sentence when there is no compiler.
    private func sample(in folder: TemporaryFolder, _ flags: [String] = []) throws -> SampleProgram? {
        guard Tool.path("gcc") != nil, Tool.path("objcopy") != nil else {
            print("skipped: no gcc or no objcopy")
            return nil
        }
        let build = LineTests.Build(compiler: "gcc", language: "c", flags: ["-O2", "-g", "-Wl,--build-id=sha1"] + flags)
        return try SampleProgram(path: try LineTests.compile(build, in: folder))
    }

    private func buildID(of path: String) throws -> [UInt8] {
        let text = try Tool.run("readelf", ["-n", path])
        let line = try #require(text.split(separator: "\n").first { $0.contains("Build ID:") })
        let digits = Array(line.split(separator: " ").last ?? "")
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...($0 + 1)]), radix: 16) }
    }

    private var noDebugFiles: SymbolicatorOptions {
        var options = SymbolicatorOptions()
        options.debugDirectories = []
        options.usesDebuginfod = false
        return options
    }

    @Test(
        "debug information is found in a separate file, beside the program or in .debug, by its link and checksum",
        arguments: ["", ".debug/"])
    func debugLink(place: String) throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder, ["-Wl,--build-id=none"]) else { return }
        let debug = "\(folder.path)/\(place)sample.debug"
        try FileManager.default.createDirectory(atPath: "\(folder.path)/.debug", withIntermediateDirectories: true)
        try Tool.run("objcopy", ["--only-keep-debug", program.path, debug])
        try Tool.run("objcopy", ["--strip-all", "--add-gnu-debuglink=\(debug)", program.path])
        program.expectMarks(program.symbolicated(options: noDebugFiles), file: "/sample.c")

        // Another file of that name does not pass the checksum.
        let handle = try #require(FileHandle(forWritingAtPath: debug))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data([0]))
        try handle.close()
        #expect(program.symbolicated(options: noDebugFiles).allSatisfy { $0.allSatisfy { $0.line == nil } })
    }

    @Test(
        "packed debug information is read, of whichever form",
        arguments: ["-gz=zlib", "-gz=zlib-gnu", "-gz=none"])
    func packedSections(packing: String) throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder, [packing]) else { return }
        let isPacked = try Tool.run("readelf", ["-t", "-W", program.path]).contains("COMPRESSED")
        #expect(isPacked == (packing == "-gz=zlib"))
        let file = try #require(ElfFile(path: program.path))
        #expect((UnpackedFile(file, asked: nil) != nil) == isPacked)
        program.expectMarks(program.symbolicated(options: noDebugFiles), file: "/sample.c")
    }

    @Test("debug information is found by build-id, also when the program itself is gone")
    func buildIDFolder() throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder) else { return }
        let identity = try buildID(of: program.path)
        let digits = identity.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        let place = "\(folder.path)/debug/.build-id/\(digits[0])"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try Tool.run("objcopy", ["--only-keep-debug", program.path, "\(place)/\(digits[1...].joined()).debug"])
        try Tool.run("objcopy", ["--strip-all", program.path])
        var options = noDebugFiles
        #expect(program.symbolicated(options: options).allSatisfy { $0.allSatisfy { $0.line == nil } })
        options.debugDirectories = ["\(folder.path)/nowhere", "\(folder.path)/debug"]
        program.expectMarks(program.symbolicated(options: options), file: "/sample.c")
        try FileManager.default.removeItem(atPath: program.path)
        program.expectMarks(program.symbolicated(buildID: identity, options: options), file: "/sample.c")
    }

    @Test("debug information comes from the servers of DEBUGINFOD_URLS, and only when they are to be asked")
    func debuginfod() async throws {
        // In a process of its own: the environment cannot be changed while other tests read it.
        await #expect(processExitsWith: .success) { try SymbolicatorTests().checkDebuginfod() }
    }

    private func checkDebuginfod() throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder) else { return }
        guard dlopen("libdebuginfod.so.1", RTLD_NOW) != nil else { return print("skipped: no libdebuginfod") }
        let identity = try buildID(of: program.path).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let place = "\(folder.path)/server/buildid/\(identity)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try Tool.run("objcopy", ["--only-keep-debug", program.path, "\(place)/debuginfo"])
        try Tool.run("objcopy", ["--strip-all", program.path])
        setenv("DEBUGINFOD_CACHE_PATH", "\(folder.path)/cache", 1)
        setenv("DEBUGINFOD_URLS", "file://\(folder.path)/server", 1)
        var options = noDebugFiles
        #expect(program.symbolicated(options: options).allSatisfy { $0.allSatisfy { $0.line == nil } })
        options.usesDebuginfod = SymbolicatorOptions().usesDebuginfod
        program.expectMarks(program.symbolicated(options: options), file: "/sample.c")
    }

    @Test("a stripped program has no names but keeps its module and addresses")
    func stripped() throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder) else { return }
        try Tool.run("objcopy", ["--strip-all", program.path])
        for (mark, frames) in zip(program.marks, program.symbolicated(options: noDebugFiles)) {
            #expect(frames.count == 1 && frames[0].module == program.path && frames[0].address == mark.address - program.bias)
            #expect(frames.first?.function == nil && frames.first?.line == nil && frames.first?.isInlined == false)
        }
    }

    @Test("a file that was rebuilt, replaced or deleted since is not used for names")
    func changedFile() throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder) else { return }
        let identity = try buildID(of: program.path)
        program.expectMarks(program.symbolicated(buildID: identity), file: "/sample.c")
        var other = identity
        other[0] ^= 1
        for path in [program.path, "\(folder.path)/deleted", folder.path, "/dev/null", "", "[vdso]", "linux-vdso.so.1", "[anonymous]"] {
            for (mark, frames) in zip(program.marks, program.symbolicated(path: path, buildID: other, options: noDebugFiles)) {
                #expect(frames.count == 1 && frames[0].function == nil && frames[0].module == path, "\(path)")
                #expect(frames.first?.address == mark.address - program.bias)
            }
        }
    }

    @Test("code of a just-in-time compiler is named by the map that it wrote for perf")
    func perfMap() throws {
        let folder = try TemporaryFolder()
        _ = try folder.write(
            """
            7f0000001000 40 py::work:/srv/app/work.py
            7f0000001040 10 Lambda with spaces
            nonsense
            7f0000001000 zz bad
            ffffffffffffffff ff wraps
            7f0000001020 8 newer claim
            """, to: "perf-4242.map")
        var process = ProcessSummary()
        process.pid = 4242
        var snapshots = [Snapshot(process: process)]
        let addresses: [UInt64] = [
            0x7f00_0000_1001, 0x7f00_0000_1040, 0x7f00_0000_1041, 0x7f00_0000_1050, 0x7f00_0000_1051, 0x7f00_0000_1024, 0, .max,
        ]
        snapshots[0].locations = addresses.map { Location(address: $0, module: -1) } + [Location(address: 5, module: 77)]
        var options = SymbolicatorOptions()
        options.perfMapDirectory = folder.path
        var symbolicator = Symbolicator(options: options)
        symbolicator.symbolicate(&snapshots)
        let names = snapshots[0].locations.map { $0.frames.map(\.function) }
        let work = "py::work:/srv/app/work.py"
        #expect(names == [[work], [work], ["Lambda with spaces"], ["Lambda with spaces"], [nil], ["newer claim"], [nil], [nil], [nil]])
        #expect(snapshots[0].locations.prefix(8).map { $0.frames[0].address } == addresses)
        #expect(snapshots[0].locations.allSatisfy { $0.frames[0].module == nil })
    }

    @Test("a return address is looked up at its call, an interrupted instruction and an async parent at themselves")
    func returnAddresses() throws {
        let folder = try TemporaryFolder()
        guard Tool.path("gcc") != nil else { return print("skipped: no gcc") }
        let source = try folder.write(
            "int first(void) { return 1; }\nint second(void) { return 2; }\nint main(void) { return 0; }\n", to: "a.c")
        let path = "\(folder.path)/a"
        try Tool.run("gcc", ["-O0", "-g", "-fno-toplevel-reorder", "-o", path, source])
        let second = try #require(try OracleTests.functions(of: path, []).first { $0.name == "second" }).start
        var snapshots = [Snapshot(process: ProcessSummary())]
        snapshots[0].modules = [Module(path: path)]
        snapshots[0].locations = [
            Location(address: second, module: 0), Location(address: second, module: 0, isExact: true),
            Location(address: second, module: 0, isAsync: true),
        ]
        var symbolicator = Symbolicator()
        symbolicator.symbolicate(&snapshots)
        #expect(snapshots[0].locations.map { $0.frames[0].function } == ["first", "second", "second"])
        #expect(snapshots[0].locations.map { $0.frames[0].line } == [1, 2, 2])
        #expect(snapshots[0].locations.map { $0.frames[0].address } == [second, second, second])
        #expect(snapshots[0].locations.map { $0.frames[0].isAsync } == [false, false, true])
    }

    @Test("a signal that stops in a linkage stub shows which function was being called")
    func linkageStubs() throws {
        guard Tool.path("gcc") != nil, Tool.path("readelf") != nil else { return print("skipped: no gcc or no readelf") }
        let folder = try TemporaryFolder()
        let source = try folder.write("#include <stdlib.h>\nint main(void) { free(calloc(1, 1)); return 0; }\n", to: "a.c")
        let path = "\(folder.path)/a"
        try Tool.run("gcc", ["-O0", "-Wl,-z,lazy", "-fno-builtin", "-o", path, source])
        let sections = try Tool.run("readelf", ["-S", "-W", path]).split(separator: "\n").map { $0.split(separator: " ") }
        guard let stubs = sections.first(where: { $0.contains(".plt") }), let name = stubs.firstIndex(of: ".plt"),
            let start = UInt64(stubs[name + 2], radix: 16), !sections.contains(where: { $0.contains(".plt.sec") })
        else { return print("skipped: another kind of stubs") }
        let names = OracleTests.frames(of: [start + 16, start + 21, start + 32, start + 47], in: path).map { $0[0].function }
        #expect(names[0] == names[1] && names[2] == names[3])
        #expect(Set([names[0], names[2]]) == ["free@plt", "calloc@plt"])
        #expect(OracleTests.frames(of: [start + 16], in: path)[0][0].isSystem)
    }

    @Test("snapshots of several processes are named together, each with its own load address, and progress ends at 1")
    func severalSnapshots() throws {
        let folder = try TemporaryFolder()
        guard let program = try sample(in: folder) else { return }
        var snapshots = (0..<3).map { number in
            var snapshot = Snapshot(process: ProcessSummary())
            let bias = UInt64(number) << 32
            snapshot.modules = [Module(path: "/nowhere"), Module(path: program.path, bias: bias)]
            snapshot.locations = program.marks.map { Location(address: $0.address - program.bias + bias, module: 1) }
            return snapshot
        }
        let heard = Heard()
        var options = SymbolicatorOptions()
        options.progress = { fraction, _ in heard.fractions.withLock { $0.append(fraction) } }
        var symbolicator = Symbolicator(options: options)
        symbolicator.symbolicate(&snapshots)
        for snapshot in snapshots {
            for (mark, location) in zip(program.marks, snapshot.locations) {
                #expect(location.frames.first?.line == mark.frames.first?.line)
                #expect(location.frames.first?.address == mark.address - program.bias)
            }
        }
        let fractions = heard.fractions.withLock { $0 }
        #expect(fractions.last == 1 && fractions.allSatisfy { (0...1).contains($0) })
    }

    private final class Heard: Sendable {
        let fractions = Mutex<[Double]>([])
    }
}
