// Behavior.swift: a sentence about the tracer, and whether it is true.
import Glibc
import TraceMalloc

/// What a behavior expected and did not find.
struct Unmet: Error {
    let reason: String
    let line: Int
}

/// A sentence with the code that shows it. Each begins and ends with tracing off.
struct Behavior {
    let sentence: String
    let show: @Sendable () async throws -> Void

    init(_ sentence: String, _ show: @escaping @Sendable () async throws -> Void) {
        self.sentence = sentence
        self.show = show
    }

    /// Prints `ok SENTENCE` or `not ok SENTENCE: reason`.
    func check() async -> Bool {
        defer {
            // What a crash in the next one must not swallow.
            fflush(nil)
            AllocationTracer.stop()
        }
        do {
            try await show()
            print("ok \(sentence)")
            return true
        } catch let unmet as Unmet {
            print("not ok \(sentence): line \(unmet.line): \(unmet.reason)")
        } catch {
            print("not ok \(sentence): \(error)")
        }
        return false
    }
}

func expect(_ condition: Bool, _ reason: @autoclosure () -> String = "it is not so", line: Int = #line) throws {
    if !condition { throw Unmet(reason: reason(), line: line) }
}

func expectEqual<Value: Equatable>(_ found: Value, _ expected: Value, line: Int = #line) throws {
    if found != expected { throw Unmet(reason: "\(found) instead of \(expected)", line: line) }
}

func unwrap<Value>(_ value: Value?, line: Int = #line) throws -> Value {
    guard let value else { throw Unmet(reason: "there is none", line: line) }
    return value
}

/// Expects an error of the tracer.
func expectError(_ expected: TracingError, line: Int = #line, _ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as TracingError {
        return try expectEqual(error, expected, line: line)
    }
    throw Unmet(reason: "no error", line: line)
}
