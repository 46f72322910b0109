// CyclePlanTests.swift: which cycles are proved to be nobody's, and what would free them.
import AllocationProfile
import Testing

@testable import HeapGraph

@Suite("Taking cycles apart")
struct CyclePlanTests {
    /// Two objects that hold each other, with what a test changes.
    private func plans(
        _ change: (inout MadeUpProgram, inout CountedObjects, (UInt64, UInt64)) -> Void = { _, _, _ in }
    ) -> [Result<CyclePlan, CycleRefusal>] {
        var program = MadeUpProgram()
        let (left, right) = (program.block(words: 4), program.block(words: 4))
        var objects = CountedObjects()
        objects.add(left, "Left", strong: 1)
        objects.add(right, "Right", strong: 1)
        for (from, to) in [(left, right), (right, left)] {
            program.set(from + 16, to)
            objects.refer(from, at: 16, to, isOptional: true)
        }
        change(&program, &objects, (left, right))
        return LeakAnalysis().plans(on: program.freeze(), reader: objects) { stacks in
            Dictionary(uniqueKeysWithValues: stacks.map { ($0, CallStack([])) })
        }
    }

    private func reason(_ change: (inout MadeUpProgram, inout CountedObjects, (UInt64, UInt64)) -> Void) -> String? {
        guard case .failure(let refusal)? = plans(change).first else { return nil }
        return refusal.reason
    }

    @Test("An optional reference between two objects whose counts are known is cleared")
    func plain() throws {
        let plan = try #require(try plans().first?.get())
        #expect(plan.cleared.count == 1 && plan.members.count == 2 && plan.cleared[0].offset == 16)
        #expect(plan.cleared[0].holder != plan.target)
        #expect(plan.leak.total.count == 2)
    }

    @Test("A count that no known reference explains is somebody else's", arguments: ["strong", "unowned", "weak"])
    func counts(word: String) {
        let reason = reason { _, objects, pair in
            objects.change(pair.0) {
                if word == "strong" { $0.strong = 2 } else if word == "unowned" { $0.unowned = 1 } else { $0.weak = 1 }
            }
        }
        #expect(reason?.contains(" \(word) reference") == true, "\(reason ?? "a plan")")
    }

    @Test("References that are not optional, unknown fields, tasks, and memory that is no object are left alone")
    func doubts() {
        #expect(reason { _, objects, _ in objects.makeRequired() }?.contains("optional references") == true)
        #expect(reason { _, objects, pair in objects.change(pair.1) { $0.fieldsAreKnown = false } }?.contains("fields of Right") == true)
        #expect(reason { _, objects, pair in objects.change(pair.1) { $0.kind = .task } }?.contains("Right refers to") == true)
        #expect(reason { _, objects, pair in objects.forget(pair.1) }?.contains("no Swift object") == true)
    }

    @Test("A cycle that other lost memory holds stays, and so does what a root reaches")
    func held() {
        let other = reason { program, objects, pair in
            for target in [pair.0, pair.1] {
                let owner = program.block(words: 4)
                program.set(owner + 16, target)
                objects.add(owner, "Owner", strong: 1)
                objects.refer(owner, at: 16, target, isOptional: true)
                objects.change(target) { $0.strong = 2 }
            }
        }
        #expect(other?.contains("of the others alone") == true, "\(other ?? "a plan")")
        #expect(plans { program, _, pair in program.global(pair.0) }.isEmpty)
    }

    @Test("What is freed by one object is computed: a second cycle inside keeps the first reference from being enough")
    func secondCycle() throws {
        // left ⇄ right, right ⇄ inner: without left, right and inner hold each other; without right all go.
        let found = plans { program, objects, pair in
            let inner = program.block(words: 4)
            objects.add(inner, "Inner", strong: 1)
            program.set(pair.1 + 24, inner)
            objects.refer(pair.1, at: 24, inner, isOptional: true)
            program.set(inner + 16, pair.1)
            objects.refer(inner, at: 16, pair.1, isOptional: true)
            objects.change(pair.1) { $0.strong = 2 }
        }
        let plan = try #require(try found.first?.get())
        #expect(plan.cleared.count == 2 && plan.members.count == 3)
    }
}

/// Objects with the counts that a test gives them.
struct CountedObjects: ObjectReader {
    private var objects: [UInt64: HeapObject] = [:]
    private var fields: [UInt64: [HeapReference]] = [:]

    mutating func add(_ address: UInt64, _ type: String, strong: UInt64) {
        objects[address] = HeapObject(
            address: address, typeName: type, kind: .class, instanceSize: 32, strong: strong, unowned: 0, weak: 0, fieldsAreKnown: true)
    }

    mutating func refer(_ address: UInt64, at offset: UInt64, _ target: UInt64, isOptional: Bool) {
        fields[address, default: []].append(
            HeapReference(offset: offset, target: target, label: "field", strength: .strong, isOptional: isOptional))
    }

    mutating func change(_ address: UInt64, _ body: (inout HeapObject) -> Void) { body(&objects[address]!) }
    mutating func forget(_ address: UInt64) { objects[address] = nil }
    mutating func makeRequired() {
        for address in fields.keys { for index in fields[address]!.indices { fields[address]![index].isOptional = false } }
    }

    mutating func object(at address: UInt64, size: UInt64) -> HeapObject? { objects[address] }
    mutating func references(of object: HeapObject, size: UInt64) -> [HeapReference] { fields[object.address] ?? [] }
}
