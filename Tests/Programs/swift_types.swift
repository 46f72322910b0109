// swift_types.swift: objects of many types, and what the program says about each: claim type NAME BYTES COUNT.

import Glibc

class Animal { var legs = 4 }
final class Dog: Animal { var name = 1 }
final class Node<Value> {
    var next: Node<Value>?
    var value: Value
    init(_ value: Value, _ next: Node<Value>?) {
        self.value = value
        self.next = next
    }
}

/// One line, so one stack, allocates objects of two types.
protocol Maker: AnyObject { init() }
final class Small: Maker { var word = 1 }
final class Large: Maker { var words = (1, 2, 3) }
@inline(never) func make(_ type: any Maker.Type) -> any Maker { type.init() }

@inline(never) func list<Value>(_ value: Value, _ count: Int) -> Node<Value> {
    var list = Node(value, nil)
    for _ in 1..<count { list = Node(value, list) }
    return list
}

@inline(never) func dogs(_ count: Int) -> [Animal] { (0..<count).map { _ in Dog() } }

@main struct Main {
    static func main() {
        let numbers = list(1, 1000)
        let pairs = list((1, 2), 500)
        let animals = dogs(300)
        let makers = (0..<100).map { make($0 % 4 == 0 ? Small.self : Large.self) }
        let raw = UnsafeMutablePointer<UInt8>.allocate(capacity: 4321)
        raw.initialize(to: 1)
        print("claim main.Node<Swift.Int> 32000 1000")
        print("claim main.Node<(Swift.Int, Swift.Int)> 20000 500")
        print("claim main.Dog 9600 300")
        // Time for the collector to look.
        if CommandLine.arguments.count > 1 { wait() }
        // All is alive at the end.
        withExtendedLifetime((numbers, pairs, animals, makers, raw)) { exit(0) }
    }

    static func wait() {
        print("claim main.Small 600 25")
        print("claim main.Large 3000 75")
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(1500)
        var kept: [Node<Int>] = []
        while clock.now < end {
            if kept.count < 10 {
                kept.append(Node(1, nil))
                kept.removeAll()
            }
        }
    }
}
