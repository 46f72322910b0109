// SwiftObjectsTests.swift: what the reader says about objects of this process agrees with the runtime.
import Testing

@testable import HeapGraph

@Suite struct SwiftObjectsTests {
    let plain = Plain()

    @Test func aTypesNameIsTheOneThatSwiftPrints() {
        var look = Looker()
        func expect<Object: AnyObject>(_ object: Object, sourceLocation: SourceLocation = #_sourceLocation) {
            #expect(look.object(object)?.typeName == String(reflecting: type(of: object)), sourceLocation: sourceLocation)
        }
        expect(plain)
        expect(Derived(owner: plain))
        expect(Box(1))
        expect(Box([1: "one"]))
        expect(Box<Any>(1))
        expect(Box<any Shape>(Small(plain: plain)))
        expect(Box<AnyObject>(plain))
        expect(Box<(a: Int, String, Bool?)>((1, "", nil)))
        expect(Box<(Int, String) -> Bool> { _, _ in true })
        expect(Box<@Sendable () async throws -> Void> {})
        expect(Box<@convention(c) (Int) -> Int> { $0 })
        expect(Box(Int.self))
        expect(Box<any Error>(Failure(plain: plain)))
        expect(Box<(any Delegate & Sendable)?>(nil))
        expect(Outer<Int>.Inner<String>((1, "")))
        expect(Outer<[Plain]>.Inner<Outer<Int>.Nested?>(([], nil)))
        expect(Counter(plain))
    }

    @Test func aPrivateTypeIsNamedWithoutItsScope() {
        var look = Looker()
        #expect(look.object(hidden())?.typeName == "HeapGraphTests.Hidden")
        final class Local {}
        #expect(look.object(Local())?.typeName == "HeapGraphTests.SwiftObjectsTests.Local")
    }

    @Test func aTypeInAnExtensionIsNamedAfterWhatItExtends() {
        var look = Looker()
        #expect(look.object([Int].Extended(Bool.self))?.typeName == "Swift.Array<Swift.Int>.Extended<Swift.Bool>")
    }

    @Test func countsAreThoseOfTheRuntime() {
        var look = Looker()
        let object = Plain()
        let holders = [object, object, object]
        unowned let unownedReference = object
        func counts() -> [Int] {
            let address = UnsafeRawPointer(bitPattern: UInt(OwnMemory.address(object)))!
            let found = look.object(OwnMemory.address(object))
            #expect(found.map { Int($0.strong) } == strongCount(address))
            #expect(found.map { Int($0.unowned) } == unownedCount(address) - 1)
            #expect(found.map { Int($0.weak) } == weakCount(address) - 1)
            return found.map { [Int($0.unowned), Int($0.weak)] } ?? []
        }
        #expect(counts().last == 0)
        weak let first = object
        weak let second = object
        #expect(counts().last == 2)
        withExtendedLifetime((holders, unownedReference, first, second)) {}
    }

    @Test func fieldsOfSuperclassesComeFirst() {
        var look = Looker()
        let object = Derived(owner: plain)
        object.next = plain
        object.name += " after all"
        object.children = [plain]
        object.delegate = plain
        #expect(
            look.labels(object) == [
                "next strong", "name strong", "children strong", "owner unowned", "delegate unmanaged", "delegate weak", "unsafe unmanaged",
            ])
        let references = look.references(object)
        for label in ["next", "owner", "unsafe"] {
            #expect(references.first { $0.label == label }?.target == OwnMemory.address(plain), "\(label)")
        }
        #expect(references.first { $0.strength == .weak }?.target == OwnMemory.address(plain))
        #expect(references.first { $0.label == "next" }?.isOptional == true)
        #expect(references.first { $0.label == "children" }?.isOptional == false)
        #expect(look.follow(object, "children", "[0]") == OwnMemory.address(plain))
        let usable = OwnMemory.size(OwnMemory.address(object))
        #expect(look.object(object).map { (usable - 15...usable).contains($0.instanceSize) } == true)
        #expect(look.object(object)?.fieldsAreKnown == true)
    }

    @Test func aWeakReferenceToWhatIsGoneIsNone() {
        var look = Looker()
        let object = Derived(owner: plain)
        var gone: Plain? = Plain()
        object.delegate = gone
        #expect(look.references(object).contains { $0.strength == .weak })
        gone = nil
        #expect(!look.references(object).contains { $0.strength == .weak })
    }

    @Test func everyKindOfFieldIsFollowed() {
        var look = Looker()
        let object = Everything(plain)
        let target = OwnMemory.address(plain)
        let references = look.references(object)
        for label in [
            "pair.first", "pair.second", "optionalPair.first", "optionalPair.second", "either.left", "tuple.1", "tuple.named",
            "small.plain", "delegate", "optionalDelegate", "any", "object", "nested.element", "nested.plain", "last",
        ] {
            let found = references.filter { $0.label == label }
            #expect(found.map(\.target) == [target], "\(label)")
            #expect(found.map(\.strength) == [.strong], "\(label)")
        }
        // The compiler's boxes of a known type look like closures that captured one value.
        #expect(look.follow(object, "large", "captured 1.plain") == target)
        #expect(look.follow(object, "error", "error.plain") == target)
        // A single captured object is the context itself.
        #expect(look.follow(object, "closure") == target)
        #expect(look.follow(object, "optionalClosure") == target)
        #expect(look.follow(object, "twoCaptures", "captured 2") == target)
        #expect(look.follow(object, "tree.leaf", "captured 1") == target || look.follow(object, "tree.leaf", "value") == target)
        #expect(references.allSatisfy { $0.strength != .unknown || $0.label == "behind the fields" })
        #expect(Set(references.filter(\.isOptional).map(\.label)).contains("optionalDelegate"))
    }

    @Test func noneOfAnOptionalIsNotFollowed() {
        var look = Looker()
        let object = Everything(plain)
        object.optionalPair = nil
        object.optionalDelegate = nil
        object.optionalClosure = nil
        object.tuple.named = nil
        object.either = .right(Int(OwnMemory.address(plain)))
        let labels = Set(look.labels(object).map { String($0.prefix { $0 != " " }) })
        for label in ["optionalPair.first", "optionalPair.second", "optionalDelegate", "optionalClosure", "tuple.named", "either.left"] {
            #expect(!labels.contains(label), "\(label)")
        }
    }

    @Test func aPayloadIsLabeledWithItsCase() {
        var look = Looker()
        let object = Everything(plain)
        let target = OwnMemory.address(plain)
        let derived = Derived(owner: plain)
        func labels(_ field: String) -> [String] {
            look.references(object).filter { $0.label.hasPrefix(field + ".") && $0.strength == .strong }.map {
                $0.label + ($0.target == target ? "" : $0.target == OwnMemory.address(derived) ? " derived" : " other")
            }
        }
        #expect(labels("state") == [])
        object.state = .loading(plain)
        #expect(labels("state") == ["state.loading"])
        object.state = .loaded(Pair(first: plain, second: derived, flag: false))
        #expect(labels("state") == ["state.loaded.first", "state.loaded.second derived"])
        object.state = .failed("a text that does not fit into two words", plain)
        #expect(labels("state") == ["state.failed.0 other", "state.failed.1"] || labels("state") == ["state.failed.1"])
        #expect(labels("link") == [])
        object.link = .left(plain)
        #expect(labels("link") == ["link.left"])
        object.link = .right(derived)
        #expect(labels("link") == ["link.right derived"])
        object.oneOf = .plain(plain)
        #expect(labels("oneOf") == ["oneOf.plain"])
        object.wrapped = .b
        #expect(labels("wrapped") == [])
        object.wrapped = .value(Pair(first: plain, second: nil, flag: false))
        #expect(labels("wrapped") == ["wrapped.value.first"])
    }

    @Test func genericFieldsHaveTheArgumentsForm() {
        var look = Looker()
        let target = OwnMemory.address(plain)
        func follow<Value>(_ value: Value, _ label: String, sourceLocation: SourceLocation = #_sourceLocation) {
            let box = Box(value, after: plain)
            let references = look.references(box)
            #expect(references.filter { $0.label == label }.map(\.target) == [target], "\(references)", sourceLocation: sourceLocation)
            #expect(references.filter { $0.label == "after" }.map(\.target) == [target], sourceLocation: sourceLocation)
        }
        follow(plain, "value")
        follow(Optional(plain), "value")
        follow((1, plain), "value.1")
        follow(Pair(first: plain, second: nil, flag: true), "value.first")
        follow(State.loading(plain), "value.loading")
        follow(Optional(State.loading(plain)), "value.loading")
        follow(Either<Plain, Int>.left(plain), "value.left")
        follow(Either<Either<Int, Plain>, String>.left(.right(plain)), "value.left.right")
        follow(Small(plain: plain) as any Shape, "value.plain")
        follow(Outer<Int32>.Nested(element: 1, plain: plain), "value.plain")
        follow(Unmanaged.passUnretained(plain), "value")
        follow(Optional(Optional(plain)), "value")
        let inner = Outer<Plain>.Inner((plain, 1))
        #expect(look.follow(inner, "pair.0") == target)
        #expect(look.follow(Counter(plain), "plain") == target)
    }

    @Test func elementsOfArraysAndTablesAreFollowed() {
        var look = Looker()
        let target = OwnMemory.address(plain)
        let derived = Derived(owner: plain)
        #expect(look.follow(Box([derived, plain]), "value", "[1]") == target)
        #expect(look.follow(Box([nil, plain]), "value", "[1]") == target)
        #expect(look.follow(Box([Pair(first: derived, second: plain, flag: true)]), "value", "[0].second") == target)
        #expect(look.follow(Box([[plain]]), "value", "[0]", "[0]") == target)
        #expect(look.follow(Box([(1, plain)]), "value", "[0].1") == target)
        #expect(look.follow(Box(ContiguousArray([plain])), "value", "[0]") == target)
        #expect(look.follow(Box([plain, plain][1...]), "value", "[1]") == target)

        let dictionary = Box(Dictionary(uniqueKeysWithValues: (0..<100).map { ("a key that is too long for two words \($0)", plain) }))
        let storage = look.references(dictionary).first { $0.label == "value" }!.target
        let entries = look.references(storage)
        #expect(entries.count { $0.label.hasPrefix("[value ") && $0.target == target && $0.strength == .strong } == 100)
        #expect(entries.count { $0.label.hasPrefix("[key ") && $0.strength == .strong } == 100)
        #expect(entries.count == 200)
        #expect(look.object(storage)?.kind == .storage)
        #expect(look.object(storage)?.typeName == "Swift._DictionaryStorage<Swift.String, HeapGraphTests.Plain>")

        let set = Box(Set((0..<50).map { "an element that is too long for two words \($0)" }))
        let elements = look.references(look.references(set).first { $0.label == "value" }!.target)
        #expect(elements.count { $0.label.hasPrefix("[key ") && $0.strength == .strong } == 50)
    }

    @Test func closuresTellWhatTheyCaptured() {
        var look = Looker()
        let target = OwnMemory.address(plain)
        var counter = 0
        var variable: Plain? = plain
        let plain = plain
        let number = 5
        let text = "a text that does not fit into two words \(number)"
        let closure = {
            counter += number + text.count + plain.number
            variable = nil
        }
        let box = Box<() -> Void>(closure)
        // Through a function that adapts it to a generic type.
        let context = look.follow(box, "value", "captured 1")!
        let object = look.object(context)
        #expect(object?.kind == .closure)
        #expect(object?.typeName.contains("HeapGraphTests.Plain") == true, "\(object?.typeName ?? "")")
        let captured = look.references(context)
        #expect(captured.contains { $0.target == target && $0.label.hasPrefix("captured ") && $0.strength == .strong })
        let boxes = captured.filter { look.references($0.target).contains { $0.target == target } }
        #expect(!boxes.isEmpty, "the box of the captured variable")
        withExtendedLifetime((counter, variable, box)) {}
    }

    @Test func aGenericClosureFindsItsTypesInItself() {
        var look = Looker()
        func make<Value>(_ value: Value) -> Box<() -> Any> { Box { value } }
        let box = make(Pair(first: plain, second: nil, flag: true))
        #expect(look.follow(box, "value", "captured 1.first") == OwnMemory.address(plain))
        let other = make(plain)
        // Optimized, the object itself is the context.
        let target = look.follow(other, "value", "captured 1") ?? look.follow(other, "value")
        #expect(target == OwnMemory.address(plain))
    }

    @Test func whatIsNoObjectIsNone() {
        var look = Looker()
        let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: 8)
        defer { memory.deallocate() }
        let address = UInt64(UInt(bitPattern: memory))
        for word in [0, 1, 8, 0x400, address, address + 8, UInt64.max, 0xFFFF_FFFF_FFFF_FFF8, OwnMemory.address(plain)] {
            memory.initialize(repeating: word, count: 8)
            #expect(look.object(address) == nil, "\(word)")
        }
        #expect(look.object(0x1000) == nil)
        #expect(look.objects.object(at: OwnMemory.address(plain), size: 24) == nil, "an object that is larger than its block")
    }
}

extension Array {
    final class Extended<Other> {
        init(_: Other.Type) {}
    }
}

@_silgen_name("swift_retainCount") private func strongCount(_ object: UnsafeRawPointer) -> Int
@_silgen_name("swift_unownedRetainCount") private func unownedCount(_ object: UnsafeRawPointer) -> Int
@_silgen_name("swift_weakRetainCount") private func weakCount(_ object: UnsafeRawPointer) -> Int
