// GzipStream.swift: compresses what is put in, piece by piece, into another stream.
import CZlib

/// A gzip file without name and time: equal content makes equal files.
final class GzipStream {
    private let compressor: UnsafeCompressor
    private let output: ExportStream
    /// What waits to be compressed: zlib is asked for large pieces only.
    private var pending: [UInt8] = []

    init(to output: ExportStream) throws {
        self.output = output
        compressor = try UnsafeCompressor()
    }

    func put(bytes: [UInt8]) throws {
        pending += bytes
        guard pending.count >= 1 << 16 else { return }
        try compressor.compress(&pending, isLast: false) { try output.put(bytes: $0) }
        pending.removeAll(keepingCapacity: true)
    }

    /// To be called once, at the end.
    func finish() throws { try compressor.compress(&pending, isLast: true) { try output.put(bytes: $0) } }

    /// zlib's stream, which must not move in memory. Unsafe Swift of this module stands here only.
    private final class UnsafeCompressor {
        private let stream: UnsafeMutablePointer<z_stream>
        private var buffer = [UInt8](repeating: 0, count: 1 << 14)

        init() throws {
            stream = .allocate(capacity: 1)
            stream.initialize(to: z_stream())
            guard tm_begin_gzip(stream) == Z_OK else {
                stream.deallocate()
                throw ExportError.noMemoryToCompress
            }
        }

        deinit {
            deflateEnd(stream)
            stream.deallocate()
        }

        func compress(_ bytes: inout [UInt8], isLast: Bool, to output: (ArraySlice<UInt8>) throws -> Void) throws {
            try bytes.withUnsafeMutableBufferPointer { input in
                stream.pointee.next_in = input.baseAddress
                stream.pointee.avail_in = UInt32(input.count)
                // Room left over means that zlib has nothing more to say for now.
                repeat {
                    let count = buffer.withUnsafeMutableBufferPointer { room in
                        stream.pointee.next_out = room.baseAddress
                        stream.pointee.avail_out = UInt32(room.count)
                        deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                        return room.count - Int(stream.pointee.avail_out)
                    }
                    try output(buffer[..<count])
                } while stream.pointee.avail_out == 0
            }
        }
    }
}
