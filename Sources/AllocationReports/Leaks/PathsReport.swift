// PathsReport.swift: `why`, the ways on which blocks are reached.
package import AllocationProfile

package struct PathsReport {
    package struct Answer: Sendable {
        package var block: String
        package var size: Int
        /// What would be free if the block were.
        package var kept: Tally
        package var isReachable: Bool
        /// Each from its root inward.
        package var paths: [[String]]
        package var callStack: CallStack

        package init(block: String, size: Int, kept: Tally, isReachable: Bool, paths: [[String]], callStack: CallStack) {
            self.block = block
            self.size = size
            self.kept = kept
            self.isReachable = isReachable
            self.paths = paths
            self.callStack = callStack
        }
    }

    private let answers: [Answer]

    package init(_ answers: [Answer]) { self.answers = answers }

    package func text(_ style: TextStyle = .plain) -> String {
        var text = ""
        for answer in answers {
            if !text.isEmpty { text += "\n" }
            text += style.bold(PrintableText.name(answer.block)) + ", \(TextForm.size(answer.size))"
            text +=
                answer.isReachable
                ? ", keeps \(ProcessFigures.memory(answer.kept))\n" : style.warning(", leaked: nothing reaches it") + "\n"
            if let site = answer.callStack.first(where: { !$0.isSystem }) ?? answer.callStack.first {
                text += style.dim("  allocated at \(PrintableText.name(site.description, limit: 200))") + "\n"
            }
            for path in answer.paths {
                for (depth, step) in path.enumerated() {
                    text += "  " + String(repeating: " ", count: min(depth, 20) * 2) + PrintableText.name(step, limit: 200) + "\n"
                }
            }
        }
        return text
    }

    package func json() -> String {
        let rows = answers.map { answer in
            JSONValue.object(
                [
                    ("block", .string(answer.block)), ("size", .integer(answer.size)), ("leaked", .bool(!answer.isReachable)),
                    ("keeps", JSONValue(answer.kept)),
                    ("paths", .array(answer.paths.map { .array($0.map(JSONValue.string)) })),
                ] + JSONValue.fields(of: answer.callStack))
        }
        return JSONValue.object([("blocks", .array(rows))]).text(outerLevels: 3)
    }
}
