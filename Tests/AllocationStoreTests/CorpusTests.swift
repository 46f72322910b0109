// CorpusTests.swift: what fuzzing has reached and found, read again; tools/fuzz looks for more.
import FuzzingCorpus
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
