// TypeShape.swift: size of a value and what to look at in its bytes to find references.

/// The form of a type's values.
struct TypeShape {
    var size: Int
    var alignment = 8
    /// Bit patterns that no value has; nil where their number is not known.
    var extraInhabitants: Int? = 0
    /// Tells an extra inhabitant from a value; nil where that is not known.
    var probe: Probe?
    /// Bits that are the same in all values, as a mask of each byte; nil where they are not known.
    var spareBits: [UInt8]?
    var steps: [ReadingStep] = []

    static let mostSteps = 4096
    static let mostInhabitants = 0x7FFF_FFFF

    var stride: Int { max(1, Self.align(size, to: alignment)) }

    static func align(_ offset: Int, to alignment: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }

    /// Values without references, all of whose bits mean something.
    static func plain(_ size: Int) -> TypeShape {
        let alignment = size >= 16 ? 16 : size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1
        var shape = TypeShape(size: size, alignment: alignment, spareBits: [UInt8](repeating: 0, count: size))
        // An integer can be a pointer in disguise.
        if size == 8 { shape.steps = [ReadingStep(offset: 0, label: "", action: .words(8))] }
        return shape
    }

    static let nativeSpareBits: [UInt8] = [7, 0, 0, 0, 0, 0, 0, 0xFF]

    /// A pointer to an object.
    static func reference(_ strength: HeapReference.Strength = .strong, spareBits: [UInt8] = nativeSpareBits) -> TypeShape {
        TypeShape(
            size: 8, extraInhabitants: 4096, probe: .pointer(at: 0), spareBits: spareBits,
            steps: [ReadingStep(offset: 0, label: "", action: .reference(strength, isOptional: false))])
    }

    static let noSpareBits = [UInt8](repeating: 0, count: 8)

    static func pointer(extraInhabitants: Int) -> TypeShape {
        TypeShape(
            size: 8, extraInhabitants: extraInhabitants, probe: .nonzero(at: 0), spareBits: noSpareBits,
            steps: [ReadingStep(offset: 0, label: "", action: .pointer)])
    }

    /// Bytes of which only size and alignment are known.
    static func opaque(_ layout: WitnessedLayout) -> TypeShape {
        TypeShape(
            size: layout.size, alignment: layout.alignment, extraInhabitants: layout.extraInhabitants,
            steps: [ReadingStep(offset: 0, label: "", action: .words(layout.size))])
    }
}

/// Where a value that stands for "no value" shows.
enum Probe {
    /// Pointers below 4096 are none.
    case pointer(at: Int)
    case nonzero(at: Int)

    func moved(by offset: Int) -> Probe {
        switch self {
        case .pointer(let at): .pointer(at: at + offset)
        case .nonzero(let at): .nonzero(at: at + offset)
        }
    }
}

/// One thing to look at in a value's bytes.
struct ReadingStep {
    /// From the value's beginning.
    var offset: Int
    /// Path of fields inside the value; empty for the value itself.
    var label: String
    var action: Action

    indirect enum Action {
        /// Object pointer, possibly with tag bits.
        case reference(HeapReference.Strength, isOptional: Bool)
        /// Plain pointer to any memory.
        case pointer
        /// Second word of a string.
        case string
        /// Pointer to a side table.
        case weak
        /// A buffer of three words, then metadata.
        case existential
        /// So many bytes of unknown form.
        case words(Int)
        /// What to look at when an enumeration's value is not an empty case.
        case present(Probe, [ReadingStep], isOptional: Bool)
        case untagged(at: Int, bytes: Int, [ReadingStep])
        case choice(EnumTag, [[ReadingStep]])
    }

    func moved(by distance: Int, label prefix: String) -> ReadingStep {
        var step = self
        step.offset += distance
        step.label = Self.join(prefix, label)
        return step
    }

    static func join(_ outer: String, _ inner: String) -> String {
        outer.isEmpty ? inner : inner.isEmpty ? outer : inner.hasPrefix("[") ? outer + inner : outer + "." + inner
    }
}

/// How a value of several payloads says which one it holds.
struct EnumTag {
    /// Bits of the payload that are part of the tag.
    var payloadBits: [UInt8]
    /// Bytes behind the payload; they are the tag's upper bits.
    var extraBytes: Int
}
