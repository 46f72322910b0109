// Corpus.swift: the inputs that fuzzing keeps, for the tests of every stage.
package import Foundation
import Testing

/// The files of Tests/Fuzzing/Corpus for one target of tools/fuzz.
package func corpus(_ target: String) throws -> [(name: String, bytes: Data)] {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let files = try FileManager.default.contentsOfDirectory(
        at: tests.appendingPathComponent("Fuzzing/Corpus/\(target)"), includingPropertiesForKeys: nil)
    try #require(!files.isEmpty)
    return try files.map { ($0.lastPathComponent, try Data(contentsOf: $0)) }
}
