// Claims.swift: what a test program says that it allocated, compared with what the profiler says.
import Foundation
import Testing

/// A line `claim KIND FILE:LINE …` of a program's standard output. claims.h writes them.
struct Claim: CustomStringConvertible {
    enum Kind: Equatable {
        /// Everything allocated at this line; alive at the end.
        case total(bytes: Int, count: Int)
        case alive(bytes: Int, count: Int)
        /// Functions of the call stacks that allocate at this line, innermost first.
        case stack([String])
        /// The library that holds this line.
        case module(String)
    }
    var kind: Kind
    var place: String
    var description: String { "\(place): \(kind)" }

    /// The claims in a program's output.
    static func parse(_ output: String) throws -> [Claim] {
        try output.split(separator: "\n").filter { $0.hasPrefix("claim ") }.map { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 4 else { throw HarnessError("not a claim: \(line)") }
            let place = (words[2] as NSString).lastPathComponent
            switch words[1] {
            case "total": return Claim(kind: .total(bytes: Int(words[3])!, count: Int(words[4])!), place: place)
            case "alive": return Claim(kind: .alive(bytes: Int(words[3])!, count: Int(words[4])!), place: place)
            case "stack": return Claim(kind: .stack(words[3].components(separatedBy: ";")), place: place)
            case "module": return Claim(kind: .module(words[3]), place: place)
            default: throw HarnessError("not a claim: \(line)")
            }
        }
    }
}

/// Expects that the profiler's reports agree with everything that the program claims.
func expectClaims(of profile: Profile, sourceLocation: SourceLocation = #_sourceLocation) throws {
    try expectClaims(in: profile.outcome.stdout, file: profile.file, sourceLocation: sourceLocation)
}

/// The same, of an output and a file.
func expectClaims(in output: String, file: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let claims = try Claim.parse(output)
    #expect(!claims.isEmpty, "no claims: \(output)", sourceLocation: sourceLocation)
    let total = try Profile.report(of: file, ["--by", "line", "--metric", "total"])
    let alive = try Profile.report(of: file, ["--by", "line", "--metric", "current"])
    let stacks = try Profile.report(of: file, ["--by", "traceback", "--metric", "total"]).statistics.compactMap(\.traceback)
    for claim in claims {
        let comment: Comment = "\(claim.place)"
        switch claim.kind {
        case .total(let bytes, let count):
            expectTally(total.at(claim.place), bytes, count, comment, sourceLocation)
        case .alive(let bytes, let count):
            expectTally(alive.at(claim.place), bytes, count, comment, sourceLocation)
        case .stack(let functions):
            let candidates = stacks.filter { $0.contains { $0.place == claim.place } }
            #expect(!candidates.isEmpty, comment, sourceLocation: sourceLocation)
            for stack in candidates {
                // From the claimed line outward; a program's own functions stand there without gaps.
                let names = stack.drop { $0.place != claim.place }.prefix(functions.count).map(\.plainName)
                #expect(names == functions, comment, sourceLocation: sourceLocation)
            }
        case .module(let name):
            let module = total.at(claim.place)?.site?.module as NSString?
            #expect(module?.lastPathComponent == name, comment, sourceLocation: sourceLocation)
        }
    }
}

private func expectTally(_ found: Report.Statistic?, _ bytes: Int, _ count: Int, _ comment: Comment, _ sourceLocation: SourceLocation) {
    #expect(found?.count ?? 0 == count, comment, sourceLocation: sourceLocation)
    #expect(found?.bytes ?? 0 == bytes, comment, sourceLocation: sourceLocation)
}

extension Report.Site {
    var place: String { "\((file as NSString?)?.lastPathComponent ?? "?"):\(line ?? 0)" }

    /// The function without namespaces, parameters and clone suffixes.
    var plainName: String {
        let name = (function ?? "?").prefix { $0 != "(" && $0 != "<" && $0 != "." && $0 != " " }
        return name.components(separatedBy: "::").last ?? String(name)
    }
}
