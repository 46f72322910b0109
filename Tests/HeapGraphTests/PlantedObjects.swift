// PlantedObjects.swift: declarations of every kind whose objects the tests look at.

class Plain: @unchecked Sendable {
    var number = 7
    var next: Plain?
    var name = "a text that does not fit into two words"
    var other: Plain?
}

final class Derived: Plain, @unchecked Sendable {
    var children: [Plain] = []
    let flag = true
    unowned var owner: Plain
    weak var delegate: Plain?
    unowned(unsafe) var unsafe: Plain
    init(owner: Plain) {
        self.owner = owner
        unsafe = owner
    }
}

final class Box<Value> {
    var before: UInt8 = 1
    var value: Value
    var after: Plain?
    init(_ value: Value, after: Plain? = nil) {
        self.value = value
        self.after = after
    }
}

struct Outer<Element> {
    final class Inner<Other> {
        var pair: (Element, Other)
        init(_ pair: (Element, Other)) { self.pair = pair }
    }
    struct Nested {
        var element: Element
        var plain: Plain
    }
}

private final class Hidden {}
func hidden() -> AnyObject { Hidden() }

protocol Shape {}
protocol Delegate: AnyObject {}
extension Plain: Delegate {}
struct Small: Shape { var plain: Plain }
struct Large: Shape {
    var words = (1, 2, 3)
    var plain: Plain
}
struct Failure: Error { var plain: Plain }

struct Pair {
    var first: Plain
    var second: Plain?
    var flag: Bool
}

enum State {
    case idle
    case loading(Plain)
    case loaded(Pair)
    case failed(String, Plain)
}

enum Link {
    case left(Plain)
    case right(Derived)
    case none
}

enum OneOf {
    case number(Int)
    case plain(Plain)
}

enum Either<Left, Right> {
    case left(Left)
    case right(Right)
}

indirect enum Tree {
    case leaf(Plain)
    case node(Tree, Tree)
}

enum Wrapped {
    case value(Pair)
    case a, b, c
}

final class Everything {
    var integer: Int32 = 1
    var pair: Pair
    var optionalPair: Pair?
    var state = State.idle
    var link = Link.none
    var oneOf = OneOf.number(3)
    var either: Either<Plain, Int>
    var tuple: (Int8, Plain, named: Plain?)
    var wrapped = Wrapped.a
    var small: any Shape
    var large: any Shape
    var delegate: any Delegate
    var optionalDelegate: (any Delegate)?
    weak var weakDelegate: (any Delegate)?
    var any: Any
    var error: any Error
    var closure: () -> Void
    var optionalClosure: (() -> Void)?
    var twoCaptures: () -> Int
    var tree: Tree
    var dictionary: [String: Plain] = [:]
    var set: Set<ObjectIdentifier> = []
    var double: Double? = 1
    var object: AnyObject
    var nested: Outer<Plain>.Nested
    var pointer: UnsafeMutablePointer<Int>?
    var last: Plain

    init(_ plain: Plain) {
        pair = Pair(first: plain, second: plain, flag: true)
        optionalPair = pair
        either = .left(plain)
        tuple = (1, plain, plain)
        small = Small(plain: plain)
        large = Large(plain: plain)
        delegate = plain
        optionalDelegate = plain
        weakDelegate = plain
        any = plain
        error = Failure(plain: plain)
        closure = { _ = plain.number }
        optionalClosure = closure
        let number = plain.number
        twoCaptures = { number + plain.number }
        tree = .leaf(plain)
        object = plain
        nested = .init(element: plain, plain: plain)
        last = plain
    }
}

actor Counter {
    var plain: Plain
    init(_ plain: Plain) { self.plain = plain }
}
