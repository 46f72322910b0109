// SuppressionOptions.swift: which leaks are known already.
import ArgumentParser
import HeapGraph

struct SuppressionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Leaks not to report: lines leak:PATTERN, found in a function, file or module of the stack that allocated.", valueName: "file"))
    var suppressions: [String] = []

    func read() throws(CommandError) -> LeakSuppressions {
        var all = LeakSuppressions.builtIn
        for path in suppressions {
            let bytes: [UInt8]
            do { bytes = try FileBytes(path).prefix(1 << 20) } catch { throw .noSuppressions(path: path, reason: "\(error)") }
            do { try all.add(file: String(decoding: bytes, as: UTF8.self)) } catch { throw .noSuppressions(path: path, reason: "\(error)") }
        }
        return all
    }
}
