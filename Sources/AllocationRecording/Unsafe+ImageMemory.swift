// Unsafe+ImageMemory.swift: the memory of a heap image, its parts bounded once.
import AllocationProfile
import CFreezer
import Glibc

extension Unsafe {
    final class ImageMemory: @unchecked Sendable {
        private let base: UnsafeMutableRawPointer
        private let size: Int
        /// A memfd that others can map; -1.
        let file: Int32

        /// Takes over what `tm_freeze_process` made.
        init(_ freeze: tm_freeze) {
            base = UnsafeMutableRawPointer(freeze.image)
            size = freeze.image_size
            file = freeze.file
        }

        init(file path: String) throws(RecordingError) {
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw .cannotOpen(path: path, errno: errno) }
            defer { close(file) }
            var status = stat()
            guard fstat(file, &status) == 0, status.st_size >= MemoryLayout<tm_heap_image>.size, status.st_size < 1 << 46 else {
                throw .unusableRecording(path: path, reason: "it is no heap image by its size")
            }
            size = Int(status.st_size)
            guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, file, 0), base != MAP_FAILED else {
                throw .outOfMemory(needed: "the heap image \(path)")
            }
            self.base = base
            self.file = -1
            guard header.magic == Self.magic else {
                throw .unusableRecording(path: path, reason: "its first bytes are not a heap image's")
            }
        }

        private static let magic: UInt64 = 0x3145_4741_4d49_5048  // TM_IMAGE_MAGIC

        deinit {
            munmap(base, size)
            if file >= 0 { close(file) }
        }

        var header: tm_heap_image { base.load(as: tm_heap_image.self) }
        var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: size) }
        /// Where it lies: no memory of the program when it is in the same process.
        var addresses: Range<UInt64> { UInt64(UInt(bitPattern: base))..<UInt64(UInt(bitPattern: base)) + UInt64(size) }

        /// The elements of a part, as many as lie in the image.
        private func elements<Element: BitwiseCopyable>(_ part: tm_heap_image_part, _: Element.Type) -> UnsafeBufferPointer<Element> {
            let stride = UInt64(MemoryLayout<Element>.stride)
            guard part.offset % 8 == 0, part.offset <= UInt64(size), part.count <= (UInt64(size) - part.offset) / stride else {
                return UnsafeBufferPointer(start: nil, count: 0)
            }
            let start = (base + Int(part.offset)).assumingMemoryBound(to: Element.self)
            return UnsafeBufferPointer(start: start, count: Int(part.count))
        }

        func threads() -> [FrozenProcess.Thread] {
            let words = elements(header.words, UInt64.self)
            return elements(header.threads, tm_heap_image_thread.self).map { thread in
                let first = Int(min(thread.first_word, UInt64(words.count)))
                let end = min(first + Int(thread.word_count), words.count)
                return FrozenProcess.Thread(
                    id: Int32(truncatingIfNeeded: thread.id), stackPointer: thread.stack_pointer, threadPointer: thread.thread_pointer,
                    registers: Array(words[first..<end]))
            }
        }

        func mappings() -> [FrozenProcess.Mapping] {
            let text = elements(header.text, UInt8.self)
            return elements(header.mappings, tm_heap_image_mapping.self).compactMap { mapping in
                guard mapping.start < mapping.end else { return nil }
                func has(_ flag: tm_mapping_flag) -> Bool { mapping.flags & flag.rawValue != 0 }
                let name = Int(mapping.name)
                let letters = name > 0 && name < text.count ? text[name...].prefix { $0 != UInt8(ascii: "\n") } : text[0..<0]
                return FrozenProcess.Mapping(
                    addresses: mapping.start..<mapping.end, isReadable: has(TM_MAPPING_READ), isWritable: has(TM_MAPPING_WRITE),
                    isExecutable: has(TM_MAPPING_EXECUTE), isShared: has(TM_MAPPING_SHARED), name: String(decoding: letters, as: UTF8.self),
                    fileOffset: mapping.offset)
            }
        }

        func pieces() -> [FrozenProcess.Piece] {
            var end: UInt64 = 0
            return elements(header.pieces, tm_heap_image_piece.self).compactMap { piece in
                guard piece.address >= end, piece.size > 0, piece.address < 1 << 56, piece.size < 1 << 46, piece.offset <= UInt64(size),
                    piece.size <= UInt64(size) - piece.offset, piece.offset % 8 == 0, piece.address % 8 == 0
                else { return nil }
                end = piece.address + piece.size
                return FrozenProcess.Piece(address: piece.address, size: piece.size, offset: Int(piece.offset))
            }
        }

        func blocks() -> [FrozenProcess.Block] { Array(elements(header.blocks, FrozenProcess.Block.self)) }

        func append(_ blocks: [FrozenProcess.Block], flags: UInt32, exit: (thread: Int32, stack: UInt64)?) -> Bool {
            let start = (size + 7) & ~7
            let isWritten = blocks.withUnsafeBytes { bytes in
                var done = 0
                while done < bytes.count {
                    let result = pwrite(file, bytes.baseAddress! + done, bytes.count - done, start + done)
                    if result <= 0 { return false }
                    done += result
                }
                return true
            }
            guard isWritten else { return false }
            let header = base.assumingMemoryBound(to: tm_heap_image.self)
            header.pointee.flags = flags
            header.pointee.exit_thread = UInt64(exit?.thread ?? 0)
            header.pointee.exit_stack = exit?.stack ?? 0
            header.pointee.blocks = tm_heap_image_part(offset: UInt64(start), count: UInt64(blocks.count))
            return true
        }
    }
}
