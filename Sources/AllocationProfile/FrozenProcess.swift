// FrozenProcess.swift: a process at one moment: threads, mappings, live blocks, and where its memory was copied to.

/// What the collector hands to whoever looks for references. Everything in it was copied from a foreign process.
package struct FrozenProcess: Sendable {
    package struct Thread: Sendable, Hashable {
        package var id: Int32
        package var stackPointer: UInt64
        /// Where its control block and its thread-locals lie.
        package var threadPointer: UInt64
        /// Words of its registers.
        package var registers: [UInt64]

        package init(id: Int32, stackPointer: UInt64, threadPointer: UInt64, registers: [UInt64] = []) {
            self.id = id
            self.stackPointer = stackPointer
            self.threadPointer = threadPointer
            self.registers = registers
        }
    }

    package struct Mapping: Sendable, Hashable {
        package var addresses: Range<UInt64>
        package var isReadable: Bool
        package var isWritable: Bool
        package var isExecutable: Bool
        package var isShared: Bool
        /// Of a file, or a name in brackets; empty for anonymous memory.
        package var name: String
        package var fileOffset: UInt64

        package init(
            addresses: Range<UInt64>, isReadable: Bool = true, isWritable: Bool = true, isExecutable: Bool = false,
            isShared: Bool = false, name: String = "", fileOffset: UInt64 = 0
        ) {
            self.addresses = addresses
            self.isReadable = isReadable
            self.isWritable = isWritable
            self.isExecutable = isExecutable
            self.isShared = isShared
            self.name = name
            self.fileOffset = fileOffset
        }

        package var isFile: Bool { name.hasPrefix("/") }
    }

    /// Memory that was copied.
    package struct Piece: Sendable, Hashable, BitwiseCopyable {
        package var address: UInt64
        package var size: UInt64
        /// Where its contents begin among the bytes of the copy.
        package var offset: Int

        package init(address: UInt64, size: UInt64, offset: Int) {
            self.address = address
            self.size = size
            self.offset = offset
        }
    }

    /// One live block.
    package struct Block: Sendable, Hashable, BitwiseCopyable {
        package var address: UInt64
        /// Requested bytes.
        package var size: UInt64
        /// Node of the snapshot that belongs to the moment.
        package var stack: Int32
        package var generation: Int32

        package init(address: UInt64, size: UInt64, stack: Int32, generation: Int32 = 0) {
            self.address = address
            self.size = size
            self.stack = stack
            self.generation = generation
        }
    }

    package var pid: Int32
    package var threads: [Thread] = []
    /// Ascending.
    package var mappings: [Mapping] = []
    /// Ascending.
    package var pieces: [Piece] = []
    /// Ascending by address.
    package var blocks: [Block] = []
    /// Every block that the process has is among `blocks`: what lies between them on its heap is free.
    package var knowsAllBlocks = true
    /// Memory and threads of the tracer's own: they keep nothing alive.
    package var ownMemory: [Range<UInt64>] = []
    package var ownThreads: Set<Int32> = []
    /// The thread that ends the program, and where the program's part of its stack ends; 0: it has none left.
    package var exit: (thread: Int32, stack: UInt64)?
    /// Nanoseconds for which it stood still, and the part of them for copying.
    package var pause: UInt64 = 0
    package var copying: UInt64 = 0

    package init(pid: Int32) { self.pid = pid }
}
