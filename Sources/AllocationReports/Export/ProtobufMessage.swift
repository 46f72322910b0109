// ProtobufMessage.swift: writes protocol buffers' wire format: a message is fields, a field its number and its value.

/// The encoded fields of one message. Fields that have their default value need not be written.
struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    mutating func add(_ field: Int, _ value: some FixedWidthInteger) {
        guard value != 0 else { return }
        add(varint: UInt64(field) << 3)
        // Negative numbers take ten bytes, as 64-bit ones.
        add(varint: UInt64(truncatingIfNeeded: value))
    }

    mutating func add(_ field: Int, _ value: Bool) { add(field, value ? 1 : 0) }

    mutating func add(_ field: Int, _ message: ProtobufMessage) { add(field, message.bytes) }

    mutating func add(_ field: Int, _ text: String) { add(field, Array(text.utf8)) }

    /// A repeated number.
    mutating func add(packed field: Int, _ values: some Sequence<UInt64>) {
        var list = ProtobufMessage()
        for value in values { list.add(varint: value) }
        add(field, list.bytes)
    }

    private mutating func add(_ field: Int, _ content: [UInt8]) {
        add(varint: UInt64(field) << 3 | 2)
        add(varint: UInt64(content.count))
        bytes += content
    }

    private mutating func add(varint value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }
}
