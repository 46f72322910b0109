// Entry.swift: what libFuzzer calls. Compiled once for each target, by tools/fuzz.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    #if FUZZ_RECORDING
        RecordingFuzz.run(bytes)
    #elseif FUZZ_SNAPSHOT
        SnapshotFileFuzz.run(bytes)
    #elseif FUZZ_SYMBOLS
        SymbolFuzz.elfFile(bytes)
    #elseif FUZZ_NAMES
        SymbolFuzz.name(bytes)
    #elseif FUZZ_PERFMAP
        SymbolFuzz.perfMap(bytes)
    #elseif FUZZ_METADATA
        MetadataFuzz.run(bytes)
    #endif
    return 0
}
