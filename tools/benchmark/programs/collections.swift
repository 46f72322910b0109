// collections.swift: a Swift program of JSON and collections: collections RECORDS. Encodes, decodes, groups and sorts records.
import Foundation

struct Record: Codable {
    var id: Int
    var name: String
    var tags: [String]
    var price: Double?
}

final class Node {
    let record: Record
    var next: Node?
    init(_ record: Record, next: Node?) {
        self.record = record
        self.next = next
    }
}

func makeRecords(_ count: Int) -> [Record] {
    (0..<count).map { index in
        Record(
            id: index, name: "a record whose name is long enough to need a block of its own, number \(index)",
            tags: ["group \(index % 97) of the records", "all"], price: index % 3 == 0 ? nil : Double(index) / 8)
    }
}

let count = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 1000 : 1000
let json = try JSONEncoder().encode(makeRecords(count))
let records = try JSONDecoder().decode([Record].self, from: json)
var groups: [String: [Record]] = [:]
for record in records { groups[record.tags[0], default: []].append(record) }
var list: Node?
for record in records.sorted(by: { $0.name > $1.name }) { list = Node(record, next: list) }
var words = Set<String>()
var length = 0
while let node = list {
    words.formUnion(node.record.name.split(separator: " ").map(String.init))
    length += 1
    list = node.next
}
print(groups.count, words.count, length)
