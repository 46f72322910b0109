// ObjectReader.swift: what the graph asks about one block: is it a Swift object, of which type, and what does it refer to?

/// Understands objects by their metadata. What it reads is hostile: an answer may be wrong, but it comes, and soon.
/// It remembers what it learned about each type, so asking changes it.
package protocol ObjectReader {
    /// The object that begins at `address`, in a block of `size` bytes; nil when there is no valid Swift object.
    mutating func object(at address: UInt64, size: UInt64) -> HeapObject?

    /// What the object's fields, elements or captures refer to; addresses are decoded, null references are left out.
    mutating func references(of object: HeapObject, size: UInt64) -> [HeapReference]
}

/// A Swift object on the heap.
package struct HeapObject: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case `class`, closure, box, errorBox, task, storage, other
    }

    package var address: UInt64
    package var typeName: String
    package var kind: Kind
    /// Bytes that the type's metadata says, without tail elements.
    package var instanceSize: UInt64
    package var strong: UInt64
    package var unowned: UInt64
    package var weak: UInt64
    /// Every reference of the object is among `references`.
    package var fieldsAreKnown: Bool

    package init(
        address: UInt64, typeName: String, kind: Kind, instanceSize: UInt64, strong: UInt64, unowned: UInt64, weak: UInt64,
        fieldsAreKnown: Bool
    ) {
        self.address = address
        self.typeName = typeName
        self.kind = kind
        self.instanceSize = instanceSize
        self.strong = strong
        self.unowned = unowned
        self.weak = weak
        self.fieldsAreKnown = fieldsAreKnown
    }
}

/// One word of an object that refers to another block.
package struct HeapReference: Sendable, Hashable {
    package enum Strength: String, Sendable, Hashable {
        case strong, unowned, weak, unmanaged, unknown
    }

    /// Bytes from the object's beginning.
    package var offset: UInt64
    /// Where it points, without tag bits.
    package var target: UInt64
    /// The path of fields, such as `children` or `[0]`.
    package var label: String
    package var strength: Strength
    /// The reference may be nil: clearing it leaves a valid object.
    package var isOptional: Bool
    /// Of an optional one: the word that is 0 when it is nil. Of a closure that is its code, the word before.
    package var nilOffset: UInt64

    package init(offset: UInt64, target: UInt64, label: String, strength: Strength, isOptional: Bool) {
        self.offset = offset
        self.target = target
        self.label = label
        self.strength = strength
        self.isOptional = isOptional
        nilOffset = offset
    }
}
