// CorpusTests.swift: what fuzzing has reached and found, read again; tools/fuzz looks for more.
import FuzzingCorpus
import Testing

@Suite struct CorpusTests {
    @Test func `no program traps the symbolicator`() throws {
        // A trap ends the whole process: the name of the input is the last one printed.
        for (name, bytes) in try corpus("symbols") {
            print(name)
            bytes.withUnsafeBytes { SymbolFuzz.elfFile($0) }
        }
    }

    @Test func `no name traps the demanglers`() throws {
        // A trap ends the whole process: the name of the input is the last one printed.
        for (name, bytes) in try corpus("names") {
            print(name)
            bytes.withUnsafeBytes { SymbolFuzz.name($0) }
        }
    }

    @Test func `no map traps its reader`() throws {
        // A trap ends the whole process: the name of the input is the last one printed.
        for (name, bytes) in try corpus("perfmap") {
            print(name)
            bytes.withUnsafeBytes { SymbolFuzz.perfMap($0) }
        }
    }
}
