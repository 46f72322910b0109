// FrozenProgram.swift: a stopped process, with its memory at hand.
package import AllocationProfile

package struct FrozenProgram: Sendable {
    package var process: FrozenProcess
    package var memory: FrozenMemory
    /// Ascending by address.
    package var blocks: [HeapBlock]

    package init(_ process: FrozenProcess, memory: FrozenMemory) {
        self.process = process
        self.memory = memory
        blocks = process.blocks.map { HeapBlock(address: $0.address, size: $0.size, stack: $0.stack, generation: $0.generation) }
    }

    /// The files that are mapped, each with all its addresses: for the reader of metadata.
    package var modules: [LoadedModule] {
        var modules: [LoadedModule] = []
        for mapping in process.mappings where mapping.isFile && !mapping.isShared {
            if let last = modules.last, last.path == mapping.name {
                modules[modules.count - 1].addresses = last.addresses.lowerBound..<mapping.addresses.upperBound
            } else {
                modules.append(LoadedModule(addresses: mapping.addresses, path: mapping.name))
            }
        }
        return modules
    }
}
