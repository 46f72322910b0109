// ReferenceCountWord.swift: the second word of every object: counts, or where they are.

/// The counts of an object, as the runtime stores them: all strong references together hold one unowned, all unowned one weak.
struct ReferenceCountWord {
    var strong: UInt64 = 0
    var unowned: UInt64 = 0
    var weak: UInt64 = 0
    /// Where the counts are when the object has weak references or many others.
    var sideTable: UInt64?
    var isDeiniting = false

    init(_ word: UInt64, in memory: SwiftMemory) {
        let isImmortal = word >> 63 == 1 && word & 0xFFFF_FFFF == 0xFFFF_FFFF
        guard word >> 62 == 3, !isImmortal else {
            decode(word)
            return
        }
        let table = (word & ~(3 << 62)) << 3
        guard let bits = memory.word(at: table &+ 16) else { return }
        sideTable = table
        decode(bits)
        weak = memory.half(at: table &+ 24).map { UInt64($0 == 0 ? 0 : $0 - 1) } ?? 0
    }

    private mutating func decode(_ bits: UInt64) {
        strong = (bits >> 33 & 0x3FFF_FFFF) + 1
        let unownedBits = bits >> 1 & 0x7FFF_FFFF
        unowned = unownedBits == 0 ? 0 : unownedBits - 1
        isDeiniting = bits >> 32 & 1 == 1
    }

    /// The object that a weak reference means; nil when it is gone.
    static func object(ofSideTable table: UInt64, in memory: SwiftMemory) -> UInt64? {
        guard table & 7 == 0, let object = memory.word(at: table), object != 0, let bits = memory.word(at: table &+ 16),
            bits >> 32 & 1 == 0
        else { return nil }
        return object
    }
}
