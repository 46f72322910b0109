// PackedSection.swift: a section that is a zlib stream, unpacked as a whole or from its beginning up to some place.
import CDeflate
import CElfutils
import CZlib

/// The bytes of a packed section (`SHF_COMPRESSED` of the ELF specification), which live as long as its file.
struct PackedSection: @unchecked Sendable {
    /// The stream.
    let bytes: UnsafeRawBufferPointer
    /// Unpacked, as the file says.
    let size: Int

    /// Nil: another packing, or damaged.
    init?(_ section: UnsafeRawBufferPointer) {
        let start = MemoryLayout<Elf64_Chdr>.size
        guard section.count > start else { return nil }
        let packing = section.loadUnaligned(as: Elf64_Chdr.self)
        bytes = UnsafeRawBufferPointer(rebasing: section[start...])
        // No stream gets larger than that by unpacking.
        guard packing.ch_type == UInt32(ELFCOMPRESS_ZLIB), packing.ch_size / 1032 <= UInt64(bytes.count) else { return nil }
        size = Int(packing.ch_size)
    }

    /// Into memory of its size. False: it is damaged.
    func unpack(into room: UnsafeMutableRawBufferPointer) -> Bool {
        guard room.count == size, let decompressor = libdeflate_alloc_decompressor() else { return false }
        defer { libdeflate_free_decompressor(decompressor) }
        return libdeflate_zlib_decompress(decompressor, bytes.baseAddress, bytes.count, room.baseAddress, room.count, nil)
            == LIBDEFLATE_SUCCESS
    }

    /// All of it. Nil: it is damaged, or larger than `most`.
    func unpacked(most: Int) -> [UInt8]? {
        guard size <= most else { return nil }
        var isSound = false
        let result = [UInt8](unsafeUninitializedCapacity: size) { room, count in
            isSound = unpack(into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: room[..<size])))
            count = isSound ? size : 0
        }
        return isSound ? result : nil
    }

    /// Reads a stream from its beginning, with zlib: libdeflate takes a third of the time, and all of the stream.
    final class Beginning {
        private(set) var bytes: [UInt8] = []
        private var stream = z_stream()
        private let packed: PackedSection

        init?(_ packed: PackedSection) {
            self.packed = packed
            guard let count = UInt32(exactly: packed.bytes.count), let start = packed.bytes.baseAddress else { return nil }
            stream.next_in = UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: UInt8.self))
            stream.avail_in = count
            guard tm_begin_inflate(&stream) == Z_OK else { return nil }
        }

        deinit { inflateEnd(&stream) }

        /// Unpacks up to there. False: there is less, or it is damaged.
        func reach(_ end: Int) -> Bool {
            let known = bytes.count
            if end <= known { return true }
            guard end <= packed.size, let count = UInt32(exactly: end - known) else { return false }
            bytes.append(contentsOf: repeatElement(0, count: Int(count)))
            bytes.withUnsafeMutableBytes { room in
                stream.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self).advanced(by: known)
                stream.avail_out = count
                inflate(&stream, Z_NO_FLUSH)
            }
            return stream.avail_out == 0
        }
    }
}
