// MetadataFuzzTests.swift: the fuzzer's inputs and random ones, as a test.
import Foundation
import Testing

@Suite("Damaged metadata")
struct MetadataFuzzTests {
    @Test("Metadata that is what the runtime made of it names many objects")
    func undamaged() {
        #expect(MetadataFuzz.run(UnsafeRawBufferPointer(start: nil, count: 0)) > 8)
    }

    @Test("Objects whose metadata is damaged anywhere are read or left out, and never harm the reader")
    func damaged() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzzing/Corpus/metadata")
        let corpus = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        for file in corpus { try Data(contentsOf: file).withUnsafeBytes { _ = MetadataFuzz.run($0) } }
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var state = seed
        func random() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        for _ in 0..<200 {
            // Mostly the truth: else the first object is none.
            let bytes = (0..<Int(random() % 400)).map { _ in random() % 16 == 0 ? UInt8(random() % 72) : UInt8(72 + random() % 184) }
            bytes.withUnsafeBytes { _ = MetadataFuzz.run($0) }
        }
    }
}
