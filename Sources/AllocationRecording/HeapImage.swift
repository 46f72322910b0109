// HeapImage.swift: a process as it was at one moment: memory, registers, mappings, live blocks.
import CFreezer
import Glibc

/// A frozen view of a process, together with the blocks that were alive in it.
///
/// It holds what the process itself wrote; constant data is in the files that were mapped. Whatever was copied from the
/// process is hostile.
package final class HeapImage: Sendable {
    package struct Thread: Sendable, Hashable {
        package var id: Int32
        package var stackPointer: UInt64
        package var threadPointer: UInt64
        /// Words of the general and vector registers that are not zero.
        package var registers: [UInt64]
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
        package var inode: UInt64
    }

    /// Where the contents of some addresses lie among `bytes`.
    package struct Piece: Sendable, Hashable, BitwiseCopyable {
        package var address: UInt64
        package var size: UInt64
        package var offset: Int
    }

    package struct Block: Sendable, Hashable, BitwiseCopyable {
        package var address: UInt64
        package var size: UInt64
        /// Node of the snapshot that belongs to the image.
        package var stack: Int32
        package var generation: Int32
    }

    package let pid: Int32
    package let threads: [Thread]
    package let mappings: [Mapping]
    package let pieces: [Piece]
    /// Ascending by address.
    package let blocks: [Block]
    /// Every block that the program has is among `blocks`.
    package let knowsAllBlocks: Bool
    /// The thread that waits at the end of the program, and where its own part of the stack ends (0: it has none left).
    package let exit: (thread: Int32, stack: UInt64)?
    /// Nanoseconds for which the process stood still, and the part of them for copying.
    package let pause: UInt64
    package let copying: UInt64
    package let unreadableBytes: UInt64
    let memory: Unsafe.ImageMemory

    /// The contents of all pieces. Valid as long as the image.
    package var bytes: UnsafeRawBufferPointer { memory.bytes }

    init(_ memory: Unsafe.ImageMemory, blocks: [Block], knowsAllBlocks: Bool, exit: (thread: Int32, stack: UInt64)?) {
        self.memory = memory
        let header = memory.header
        pid = Int32(truncatingIfNeeded: header.pid)
        threads = memory.threads()
        mappings = memory.mappings()
        pieces = memory.pieces()
        self.blocks = blocks
        self.knowsAllBlocks = knowsAllBlocks
        self.exit = exit
        pause = header.pause
        copying = header.copying
        unreadableBytes = header.unreadable_bytes
    }

    private static let knowsAllFlag: UInt32 = 1

    // MARK: Between processes

    /// Reads an image that a collector handed out.
    package convenience init(contentsOf path: String) throws(RecordingError) {
        let memory = try Unsafe.ImageMemory(file: path)
        let header = memory.header
        let exit = header.exit_thread == 0 ? nil : (Int32(truncatingIfNeeded: header.exit_thread), header.exit_stack)
        self.init(memory, blocks: memory.blocks(), knowsAllBlocks: header.flags & Self.knowsAllFlag != 0, exit: exit)
    }

    /// Puts what was learned after the freeze behind the image in its file. False: no memory.
    func complete() -> Bool {
        memory.append(blocks, flags: knowsAllBlocks ? Self.knowsAllFlag : 0, exit: exit)
    }
}
