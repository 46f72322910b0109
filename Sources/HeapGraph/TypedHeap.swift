// TypedHeap.swift: all blocks by their type.
package import AllocationProfile

/// The blocks of a program, each Swift object with its type.
package struct TypedHeap {
    package struct Object: Sendable, Hashable {
        package var address: UInt64
        package var size: Int
        package var typeName: String
        package var strong: Int
        package var unowned: Int
        package var weak: Int
    }

    /// Ascending by address.
    package private(set) var objects: [Object] = []
    /// Bytes and blocks of each type, largest first; other memory has no name.
    package let types: [(name: String?, tally: Tally)]

    package init<Reader: ObjectReader>(_ program: FrozenProgram, reader: Reader) {
        var reader = reader
        var tallies: [String: Tally] = [:]
        var other = Tally.zero
        for block in program.blocks {
            let tally = Tally(bytes: Int(clamping: block.size), count: 1)
            guard let object = reader.object(at: block.address, size: block.size) else {
                other += tally
                continue
            }
            tallies[object.typeName, default: .zero] += tally
            objects.append(
                Object(
                    address: block.address, size: Int(clamping: block.size), typeName: object.typeName,
                    strong: Int(clamping: object.strong),
                    unowned: Int(clamping: object.unowned), weak: Int(clamping: object.weak)))
        }
        var rows = tallies.map { (name: String?.some($0.key), tally: $0.value) }
        if other != .zero { rows.append((nil, other)) }
        types = rows.sorted { ($0.tally.bytes, $0.tally.count, $1.name ?? "") > ($1.tally.bytes, $1.tally.count, $0.name ?? "") }
    }
}
