// PprofFile.swift: decodes profile.proto from its published field numbers, and nothing of our encoder's.
import CZlib

/// A decoded profile.
struct PprofFile {
    struct Sample {
        var locations: [UInt64]
        var values: [Int64]
        /// Text of the key, number.
        var labels: [String: Int64] = [:]
    }
    struct Mapping: Equatable {
        var start: UInt64
        var limit: UInt64
        var file: String
        var buildID: String
        /// Functions, file names, line numbers, inlined frames.
        var has: [Bool]
    }
    struct Line: Equatable {
        var function: String
        var file: String
        var line: Int
    }
    struct Location: Equatable {
        var mapping: UInt64
        var address: UInt64
        var lines: [Line]
    }

    var sampleTypes: [String] = []
    var samples: [Sample] = []
    /// By number, in the order of the file.
    var mappings: [(id: UInt64, mapping: Mapping)] = []
    var locations: [UInt64: Location] = [:]
    var texts: [String] = []
    var timeNanos: UInt64 = 0
    var durationNanos: UInt64 = 0
    var periodType = ""
    var period: UInt64 = 0
    var comments: [String] = []
    var defaultSampleType = ""

    struct Malformed: Error {}

    init(gzip bytes: [UInt8]) throws { try self.init(PprofFile.inflated(bytes)) }

    init(_ bytes: [UInt8]) throws {
        let fields = try Message(bytes)
        texts = fields.messages(6).map { String(decoding: $0, as: UTF8.self) }
        func text(_ number: UInt64) throws -> String {
            guard number < texts.count else { throw Malformed() }
            return texts[Int(number)]
        }
        func type(_ bytes: [UInt8]) throws -> String {
            let message = try Message(bytes)
            return "\(try text(message.number(1)))/\(try text(message.number(2)))"
        }
        var functions: [UInt64: (name: String, file: String)] = [:]
        for bytes in fields.messages(5) {
            let message = try Message(bytes)
            functions[message.number(1)] = (try text(message.number(2)), try text(message.number(4)))
        }
        sampleTypes = try fields.messages(1).map(type)
        for bytes in fields.messages(2) {
            let message = try Message(bytes)
            var sample = Sample(locations: try message.numbers(1), values: try message.numbers(2).map { Int64(bitPattern: $0) })
            for bytes in message.messages(3) {
                let label = try Message(bytes)
                sample.labels[try text(label.number(1))] = Int64(bitPattern: label.number(3))
            }
            samples.append(sample)
        }
        for bytes in fields.messages(3) {
            let message = try Message(bytes)
            let mapping = Mapping(
                start: message.number(2), limit: message.number(3), file: try text(message.number(5)), buildID: try text(message.number(6)),
                has: (7...10).map { message.number($0) != 0 })
            mappings.append((message.number(1), mapping))
        }
        for bytes in fields.messages(4) {
            let message = try Message(bytes)
            let lines = try message.messages(4).map { bytes in
                let line = try Message(bytes)
                guard let function = functions[line.number(1)] else { throw Malformed() }
                return Line(function: function.name, file: function.file, line: Int(line.number(2)))
            }
            guard locations[message.number(1)] == nil, message.number(1) != 0 else { throw Malformed() }
            locations[message.number(1)] = Location(mapping: message.number(2), address: message.number(3), lines: lines)
        }
        timeNanos = fields.number(9)
        durationNanos = fields.number(10)
        periodType = try fields.messages(11).map(type).first ?? ""
        period = fields.number(12)
        comments = try fields.numbers(13).map(text)
        defaultSampleType = try text(fields.number(14))
    }

    /// Names of a sample's functions, leaf first, inlined ones before what they were inlined into.
    func functions(of sample: Sample) -> [String] { sample.locations.flatMap { locations[$0]?.lines.map(\.function) ?? ["?"] } }

    /// The sum of one column.
    func total(_ type: String) throws -> Int64 {
        guard let column = sampleTypes.firstIndex(of: type) else { throw Malformed() }
        return samples.reduce(0) { $0 + $1.values[column] }
    }

    /// Fields of a message as the wire has them.
    private struct Message {
        private enum Value {
            case number(UInt64)
            case bytes([UInt8])
        }
        private var fields: [(field: Int, value: Value)] = []

        init(_ bytes: [UInt8]) throws {
            var rest = bytes[...]
            while !rest.isEmpty {
                let tag = try Message.varint(&rest)
                switch tag & 7 {
                case 0: fields.append((Int(tag >> 3), .number(try Message.varint(&rest))))
                case 2:
                    let count = try Message.varint(&rest)
                    guard count <= rest.count else { throw Malformed() }
                    fields.append((Int(tag >> 3), .bytes(Array(rest.prefix(Int(count))))))
                    rest = rest.dropFirst(Int(count))
                default: throw Malformed()
                }
            }
        }

        private static func varint(_ bytes: inout ArraySlice<UInt8>) throws -> UInt64 {
            var value: UInt64 = 0
            for shift in stride(from: 0, to: 64, by: 7) {
                guard let byte = bytes.popFirst() else { throw Malformed() }
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return value }
            }
            throw Malformed()
        }

        func number(_ field: Int) -> UInt64 {
            for case (field, .number(let value)) in fields { return value }
            return 0
        }

        func messages(_ field: Int) -> [[UInt8]] {
            fields.compactMap { entry in
                if entry.field == field, case .bytes(let bytes) = entry.value { return bytes }
                return nil
            }
        }

        /// A repeated number, packed or not.
        func numbers(_ field: Int) throws -> [UInt64] {
            var numbers: [UInt64] = []
            for entry in fields where entry.field == field {
                switch entry.value {
                case .number(let value): numbers.append(value)
                case .bytes(let bytes):
                    var rest = bytes[...]
                    while !rest.isEmpty { numbers.append(try Message.varint(&rest)) }
                }
            }
            return numbers
        }
    }

    private static func inflated(_ bytes: [UInt8]) throws -> [UInt8] {
        var bytes = bytes
        var result: [UInt8] = []
        var stream = z_stream()
        guard inflateInit2_(&stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { throw Malformed() }
        defer { inflateEnd(&stream) }
        let status = bytes.withUnsafeMutableBufferPointer { input in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let status = buffer.withUnsafeMutableBufferPointer { output in
                    stream.next_out = output.baseAddress
                    stream.avail_out = UInt32(output.count)
                    return inflate(&stream, Z_NO_FLUSH)
                }
                result += buffer.dropLast(Int(stream.avail_out))
                if status != Z_OK { return status }
            }
        }
        // The end of the stream is the end of the file, and the checksum was right.
        guard status == Z_STREAM_END, stream.avail_in == 0 else { throw Malformed() }
        return result
    }
}
