// HeapImage.swift: a process as it was at one moment: memory, registers, mappings, live blocks.
package import AllocationProfile
import CFreezer
import Glibc

/// A frozen view of a process, together with the blocks that were alive in it.
///
/// It holds what the process itself wrote; constant data is in the files that were mapped. Whatever was copied from the
/// process is hostile.
package final class HeapImage: Sendable {
    package let process: FrozenProcess
    let memory: Unsafe.ImageMemory

    /// The contents of all pieces. Valid as long as the image.
    package var bytes: UnsafeRawBufferPointer { memory.bytes }

    init(_ memory: Unsafe.ImageMemory, blocks: [FrozenProcess.Block], knowsAllBlocks: Bool, exit: (thread: Int32, stack: UInt64)?) {
        self.memory = memory
        let header = memory.header
        var process = FrozenProcess(pid: Int32(truncatingIfNeeded: header.pid))
        process.threads = memory.threads()
        process.mappings = memory.mappings()
        process.pieces = memory.pieces()
        process.blocks = blocks
        process.knowsAllBlocks = knowsAllBlocks
        process.exit = exit
        process.pause = header.pause
        process.copying = header.copying
        self.process = process
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
        memory.append(process.blocks, flags: process.knowsAllBlocks ? Self.knowsAllFlag : 0, exit: process.exit)
    }
}
