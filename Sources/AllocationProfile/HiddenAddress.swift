// HiddenAddress.swift: the address of a block, kept so that it is no reference to it.

/// A program that looks for its own leaks finds the tracer's notes in its memory, too. A word that is no address of a program's
/// memory keeps nothing alive in the eyes of a search.
package struct HiddenAddress: Hashable, Sendable, BitwiseCopyable {
    private var bits: UInt64

    package init(_ address: UInt64) { bits = ~address }

    package var value: UInt64 { ~bits }
}
