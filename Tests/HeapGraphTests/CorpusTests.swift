// CorpusTests.swift: what fuzzing has reached and found, read again; tools/fuzz looks for more.
import FuzzingCorpus
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
