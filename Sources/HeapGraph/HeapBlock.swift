// HeapBlock.swift: what the graph is made of, as the live table and the list of modules give it.

/// One live allocation at the moment of the freeze.
package struct HeapBlock: Sendable, Hashable {
    package var address: UInt64
    /// Requested bytes.
    package var size: UInt64
    /// Index of its call stack in the snapshot that belongs to the freeze.
    package var stack: Int32
    /// Between which marks it was allocated.
    package var generation: Int32

    package init(address: UInt64, size: UInt64, stack: Int32, generation: Int32 = 0) {
        self.address = address
        self.size = size
        self.stack = stack
        self.generation = generation
    }
}

/// A mapped file: where constant data such as Swift metadata may lie.
package struct LoadedModule: Sendable, Hashable {
    /// Mapped addresses, executable and data segments together.
    package var addresses: Range<UInt64>
    package var path: String

    package init(addresses: Range<UInt64>, path: String) {
        self.addresses = addresses
        self.path = path
    }
}
