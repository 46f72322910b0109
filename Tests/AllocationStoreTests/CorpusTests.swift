// CorpusTests.swift: what fuzzing has reached and found, read again; tools/fuzz looks for more.
import Foundation
import Testing

@Suite struct CorpusTests {
    @Test func `no snapshot file traps its reader or a report`() throws {
        // A trap ends the whole process: the name of the input is the last one printed.
        for (name, bytes) in try corpus("snapshot") {
            print(name)
            bytes.withUnsafeBytes { SnapshotFileFuzz.run($0) }
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
