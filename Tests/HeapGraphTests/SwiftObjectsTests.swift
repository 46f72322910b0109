// SwiftObjectsTests.swift: what the reader says about objects of this process agrees with the runtime.
import Testing

@testable import HeapGraph

@Suite struct SwiftObjectsTests {
    @Test func dump() {
        var look = Looker()
        let plain = Plain()
        let everything = Everything(plain)
        for reference in look.references(everything) { print(reference.offset, reference.label, reference.strength, reference.target == OwnMemory.address(plain), reference.isOptional) }
        print(look.object(everything) as Any)
        withExtendedLifetime(everything) {}
    }
}
