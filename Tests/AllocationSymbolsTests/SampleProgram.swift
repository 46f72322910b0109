// SampleProgram.swift: small programs, compiled while the tests run, that print where their own code is.
import AllocationProfile
import AllocationSymbols
import Foundation
import Testing

/// What a program says about one of its return addresses: the frames that must be found there, innermost first.
struct Mark {
    var address: UInt64
    var frames: [(function: String, line: Int)]
}

/// A folder of its own for a test, removed with the value.
final class TemporaryFolder {
    let path: String

    init() throws {
        let pattern = Array((NSTemporaryDirectory() + "symbols-XXXXXX").utf8CString)
        var buffer = pattern
        path = String(cString: try #require(mkdtemp(&buffer)))
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws -> String {
        let file = "\(path)/\(name)"
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        return file
    }
}

enum Tool {
    static func path(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a tool; its standard output. Throws when it fails.
    @discardableResult
    static func run(_ name: String, _ arguments: [String], input: String = "") throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(name.hasPrefix("/") ? name : path(name)))
        process.arguments = arguments
        let output = Pipe()
        let feed = Pipe()
        process.standardOutput = output
        process.standardInput = feed
        process.standardError = FileHandle.nullDevice
        try process.run()
        // Both pipes are small: feed from another thread while reading.
        let bytes = Data(input.utf8)
        Thread.detachNewThread {
            try? feed.fileHandleForWriting.write(contentsOf: bytes)
            try? feed.fileHandleForWriting.close()
        }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(tool: name, status: process.terminationStatus) }
        return String(decoding: data, as: UTF8.self)
    }

    struct Failure: Error {
        var tool: String
        var status: Int32
    }
}

/// A compiled program and what it said about itself.
struct SampleProgram {
    var path: String
    var bias: UInt64
    var marks: [Mark]

    /// Runs the program at `path`. Its lines: `bias HEX`, then for each mark `HEX function=line function=line …` (`_n` stands for ` n`).
    init(path: String) throws {
        self.path = path
        bias = 0
        marks = []
        for line in try Tool.run(path, []).split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields[0] == "bias" {
                bias = try #require(UInt64(fields[1], radix: 16))
            } else {
                let frames = fields.dropFirst().map { $0.split(separator: "=") }.map {
                    (String($0[0]).replacing("_n", with: " n"), Int($0[1]) ?? 0)
                }
                marks.append(Mark(address: try #require(UInt64(fields[0], radix: 16)), frames: frames))
            }
        }
        try #require(!marks.isEmpty)
    }

    /// The frames that the symbolicator finds at each mark.
    func symbolicated(path other: String? = nil, buildID: [UInt8] = [], options: SymbolicatorOptions = .init()) -> [[Frame]] {
        var snapshots = [Snapshot(process: ProcessSummary())]
        snapshots[0].modules = [Module(path: other ?? path, buildID: buildID, start: bias, end: .max, bias: bias)]
        snapshots[0].locations = marks.map { Location(address: $0.address, module: 0) }
        var symbolicator = Symbolicator(options: options)
        symbolicator.symbolicate(&snapshots)
        return snapshots[0].locations.map(\.frames)
    }

    /// Compares with what the program said about itself: function names by prefix, lines exactly, the file by its end.
    func expectMarks(_ found: [[Frame]], file: String, sourceLocation: SourceLocation = #_sourceLocation) {
        for (mark, frames) in zip(marks, found) {
            guard frames.count >= mark.frames.count else {
                Issue.record("too few frames for \(mark): \(frames)", sourceLocation: sourceLocation)
                continue
            }
            for (index, expected) in mark.frames.enumerated() {
                let frame = frames[index]
                #expect(frame.function?.contains(expected.function) == true, "\(mark) \(frames)", sourceLocation: sourceLocation)
                #expect(frame.line == expected.line, "\(mark) \(frames)", sourceLocation: sourceLocation)
                #expect(frame.file?.hasSuffix(file) == true, "\(mark) \(frames)", sourceLocation: sourceLocation)
                #expect(frame.isInlined == (index + 1 < frames.count), sourceLocation: sourceLocation)
            }
            #expect(frames.allSatisfy { $0.address == mark.address &- bias && $0.module != nil }, sourceLocation: sourceLocation)
        }
    }
}

enum SampleSource {
    /// Valid C and C++. Each mark prints its own line and those of the calls that are inlined around it.
    static let c = """
        #include <link.h>
        #include <stdio.h>
        #ifdef __cplusplus
        #include <string>
        #include <vector>
        #define DYNAMIC_SYMBOLS extern "C"
        #else
        #define DYNAMIC_SYMBOLS
        #endif
        #define NOINLINE __attribute__((noinline))
        #define INLINE static inline __attribute__((always_inline))
        NOINLINE void *here(void) { __asm__ volatile(""); return __builtin_return_address(0); }
        #define MARK(...) do { void *at = here(); printf("%lx ", (long)at); printf(__VA_ARGS__); putchar(10); } while (0)
        static NOINLINE void plain(void) { MARK("plain=%d", __LINE__); }
        INLINE void innermost(int middle_line, int outer_line) {
            MARK("innermost=%d middle=%d outer=%d", __LINE__, middle_line, outer_line);
        }
        INLINE void middle(int outer_line) {
            if (outer_line) { int block = outer_line; innermost(__LINE__, block); }
        }
        NOINLINE void outer(void) {
            middle(__LINE__);
            MARK("outer=%d", __LINE__);
            middle(__LINE__);
        }
        #ifdef __cplusplus
        namespace shop {
        struct Basket {
            template <typename T> NOINLINE void fill(T) { MARK("shop::Basket::fill<%s>=%d", sizeof(T) == 8 ? "double" : "int", __LINE__); }
            NOINLINE static void count() { MARK("shop::Basket::count=%d", __LINE__); }
        };
        namespace { NOINLINE void secret() { MARK("shop::(anonymous_namespace)::secret=%d", __LINE__); } }
        }
        NOINLINE void library() {
            std::vector<std::string> names;
            names.emplace_back("a long enough name to be allocated");
            auto lambda = [&](int x) NOINLINE { MARK("library()::=%d", __LINE__); return x; };
            lambda((int)names.size());
        }
        #endif
        int main(void) {
            printf("bias %lx\\n", (long)_r_debug.r_map->l_addr);
            plain();
            outer();
        #ifdef __cplusplus
            shop::Basket basket;
            basket.fill(1);
            basket.fill(2.0);
            shop::Basket::count();
            shop::secret();
            library();
        #endif
            MARK("main=%d", __LINE__);
            return 0;
        }
        """

    /// For the Swift program: where it is called from, and where it was loaded.
    static let helper = """
        #include <link.h>
        void *here(void) { __asm__ volatile(""); return __builtin_return_address(0); }
        long bias(void) { return (long)_r_debug.r_map->l_addr; }
        """

    static let swift = #"""
        @_silgen_name("here") func here() -> UInt
        @_silgen_name("bias") func bias() -> UInt
        @inline(never) func report(_ address: UInt, _ frames: String) { print(String(address, radix: 16), frames) }
        final class Shop<Item> {
            var items: [Item] = []
            @inline(never) func add(_ item: Item) { items.append(item); report(here(), "Shop.add(=\(#line)") }
            @inline(never) func each(_ body: (Item) -> Void) { for item in items { body(item) }; report(here(), "each(=\(#line)") }
        }
        #if OPTIMIZED
        @inline(__always) func inner(_ caller: Int) { report(here(), "inner(=\(#line) outer(=\(caller)") }
        #else
        func inner(_ caller: Int) { report(here(), "inner(=\(#line)") }
        #endif
        @inline(never) func outer() {
            inner(#line)
            report(here(), "outer(=\(#line)")
        }
        extension Array { @inline(never) func mine() -> Int { report(here(), "mine(=\(#line)"); return count } }
        struct Main {
            static func run() async {
                let shop = Shop<Int>()
                shop.add(1)
                shop.each { item in report(here(), "#1=\(#line)"); precondition(item == 1) }
                outer()
                precondition([1, 2].mine() == 2)
                let task = Task { report(here(), "#2=\(#line)"); return 1 }
                let value = await task.value
                report(here(), "run(=\(#line)")
                precondition(value == 1)
            }
        }
        print("bias", String(bias(), radix: 16))
        await Main.run()
        """#
}
