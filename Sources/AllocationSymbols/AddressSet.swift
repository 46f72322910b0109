// AddressSet.swift: the addresses of one module that are asked for.

/// Ascending, unique addresses. Debug information is searched *for them*: a function that holds none of them costs one
/// binary search and no memory, so that a file of a gigabyte is not taken apart for ten addresses.
struct AddressSet: Sendable {
    let addresses: [UInt64]

    init(_ addresses: some Sequence<UInt64>) {
        var unique: [UInt64] = []
        for address in addresses.sorted() where unique.last != address { unique.append(address) }
        self.addresses = unique
    }

    var count: Int { addresses.count }

    /// Index of the first address that is not below `address`; `count` if there is none.
    func firstIndex(notBelow address: UInt64) -> Int {
        var low = 0
        var high = addresses.count
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle] < address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Indices of the addresses in [begin, end).
    func indices(from begin: UInt64, to end: UInt64) -> Range<Int> {
        guard begin < end else { return 0..<0 }
        let first = firstIndex(notBelow: begin)
        // Most ranges hold no address: decided without a second search.
        guard first < addresses.count, addresses[first] < end else { return first..<first }
        return first..<firstIndex(notBelow: end)
    }
}
