// CorpusTests.swift: what fuzzing has reached and found, read again; tools/fuzz looks for more.
import Foundation
import Testing

@Suite struct CorpusTests {
    @Test("Metadata that is what the runtime made of it names many objects")
    func undamaged() {
        #expect(MetadataFuzz.run(UnsafeRawBufferPointer(start: nil, count: 0)) > 8)
    }

    @Test("Objects whose metadata is damaged anywhere are read or left out, and never harm the reader")
    func damaged() throws {
        // A trap ends the whole process: the name of the input is the last one printed.
        for (name, bytes) in try corpus("metadata") {
            print(name)
            bytes.withUnsafeBytes { _ = MetadataFuzz.run($0) }
        }
    }
}

/// The files of Tests/Fuzzing/Corpus for one target of tools/fuzz.
private func corpus(_ target: String) throws -> [(name: String, bytes: Data)] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let files = try FileManager.default.contentsOfDirectory(
        at: tests.appendingPathComponent("Fuzzing/Corpus/\(target)"), includingPropertiesForKeys: nil)
    try #require(!files.isEmpty)
    return try files.map { ($0.lastPathComponent, try Data(contentsOf: $0)) }
}
