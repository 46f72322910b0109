// swift-tools-version: 6.2
// Package.swift: the map of the project. Targets stand in the order in which an allocation travels through them.
import PackageDescription

let swift: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault")]
// Figures are taken on release builds; the interposer is fast in debug builds too, because tests preload it.
let inTracedProgram: [CSetting] = [
    .unsafeFlags([
        "-std=gnu17", "-O2", "-fno-omit-frame-pointer", "-momit-leaf-frame-pointer", "-mcx16", "-fvisibility=hidden",
        "-ftls-model=initial-exec", "-fno-stack-protector", "-fno-builtin-malloc", "-fno-builtin-calloc", "-fno-builtin-realloc",
        "-fno-builtin-free", "-Wall", "-Wextra",
    ])
]

let package = Package(
    name: "swift-tracemalloc",
    products: [
        .executable(name: "tracemalloc", targets: ["TraceMallocCommand"]),
        // The Swift API. Linking it replaces malloc in the program.
        .library(name: "TraceMalloc", targets: ["TraceMalloc"]),
        // Traits for Swift Testing that limit what a test allocates. For test targets only.
        .library(name: "TraceMallocTesting", targets: ["TraceMallocTesting"]),
        .library(name: "TraceMallocPreload", type: .dynamic, targets: ["CPreload"]),
    ],
    dependencies: [
        // The command line: parsing, help, completions.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
    ],
    targets: [
        // In the traced program
        .target(name: "CRecording", path: "CShims/CRecording"),
        // Stops a process for a moment and copies its memory: in the collector, and in a program that looks at itself.
        .target(name: "CFreezer", path: "CShims/CFreezer", cSettings: inTracedProgram),
        .target(name: "CInterposer", dependencies: ["CRecording"], path: "CShims/CInterposer", cSettings: inTracedProgram),
        // tracemalloc.h: the API for C programs.
        .target(
            name: "CTraceMalloc", dependencies: ["CInterposer", "CRecording"], path: "CShims/CTraceMalloc", cSettings: inTracedProgram),
        .target(
            name: "CPreload", dependencies: ["CInterposer"], path: "CShims/CPreload", cSettings: inTracedProgram,
            linkerSettings: [.unsafeFlags(["-nostartfiles", "-no-toolchain-stdlib-rpath"])]),

        // System libraries
        // ELF, DWARF and separate debug files; the reader that Debian's own tools use.
        .systemLibrary(name: "CElfutils", path: "CShims/CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev", "libelf-dev"])]),
        // The snapshot file: a documented, crash-safe container that users can query.
        .systemLibrary(name: "CSQLite", path: "CShims/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

        // pprof files are gzip streams, packed debug information is read from its beginning; libdw needs the same library already.
        .systemLibrary(name: "CZlib", path: "CShims/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Unpacks debug information, which Debian compresses, in a third of zlib's time.
        .systemLibrary(name: "CDeflate", path: "CShims/CDeflate", pkgConfig: "libdeflate", providers: [.apt(["libdeflate-dev"])]),

        // The screen of a terminal, for `live`: knows every terminal, and how wide characters are.
        .systemLibrary(name: "CNcurses", path: "CShims/CNcurses", providers: [.apt(["libncurses-dev"])]),

        // Linux calls that Swift's Glibc module lacks.
        .systemLibrary(name: "CLinux", path: "CShims/CLinux"),

        // In the collector
        .target(name: "AllocationProfile", swiftSettings: swift),
        .target(name: "AllocationRecording", dependencies: ["AllocationProfile", "CRecording", "CFreezer"], swiftSettings: swift),
        .target(name: "AllocationSymbols", dependencies: ["AllocationProfile", "CElfutils", "CDeflate", "CZlib"], swiftSettings: swift),
        .target(name: "AllocationStore", dependencies: ["AllocationProfile", "CSQLite"], exclude: ["README.md"], swiftSettings: swift),
        .target(name: "HeapGraph", dependencies: ["AllocationProfile"], swiftSettings: swift),
        .target(
            name: "AllocationReports", dependencies: ["AllocationProfile", "CZlib"],
            // In the command itself: a page needs no file beside it.
            resources: [.embedInCode("Page/Resources")], swiftSettings: swift),
        .target(
            name: "TraceMalloc",
            dependencies: [
                "AllocationProfile", "AllocationRecording", "AllocationSymbols", "AllocationStore", "HeapGraph", "CInterposer",
                "CTraceMalloc",
            ],
            swiftSettings: swift),
        .target(
            name: "TraceMallocTesting", dependencies: ["AllocationProfile", "AllocationRecording", "TraceMalloc"], swiftSettings: swift),
        .executableTarget(
            name: "TraceMallocCommand",
            dependencies: [
                "AllocationProfile", "AllocationRecording", "AllocationSymbols", "AllocationStore", "HeapGraph", "AllocationReports",
                "CLinux", "CNcurses", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swift),

        // Tests
        // Checks every behavior of the Swift API. A program of its own, because linking the API replaces malloc.
        .executableTarget(
            name: "TracerBehaviors", dependencies: ["TraceMalloc"], path: "Tests/TracerBehaviors",
            swiftSettings: swift),
        // The same in C, through tracemalloc.h.
        .executableTarget(name: "CTracerBehaviors", dependencies: ["TraceMalloc"], path: "Tests/CTracerBehaviors"),
        // What fuzzing has found to be worth keeping, read again by the tests of each stage.
        .target(name: "FuzzingCorpus", path: "Tests/FuzzingCorpus", swiftSettings: swift),
        .testTarget(name: "AllocationProfileTests", dependencies: ["AllocationProfile"], swiftSettings: swift),
        .testTarget(
            name: "AllocationRecordingTests", dependencies: ["AllocationRecording", "CRecording", "FuzzingCorpus"], swiftSettings: swift),
        .testTarget(name: "AllocationSymbolsTests", dependencies: ["AllocationSymbols", "FuzzingCorpus"], swiftSettings: swift),
        .testTarget(
            name: "AllocationStoreTests", dependencies: ["AllocationStore", "AllocationReports", "CSQLite", "FuzzingCorpus"],
            swiftSettings: swift),
        .testTarget(name: "HeapGraphTests", dependencies: ["HeapGraph", "FuzzingCorpus"], swiftSettings: swift),
        .testTarget(name: "AllocationReportsTests", dependencies: ["AllocationReports", "CZlib"], swiftSettings: swift),
        .testTarget(name: "TraceMallocCommandTests", dependencies: ["TraceMallocCommand"], swiftSettings: swift),
        .testTarget(name: "EndToEndTests", exclude: [], swiftSettings: swift),
    ]
)
