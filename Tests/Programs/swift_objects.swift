// swift_objects.swift: classes, arrays, strings and raw memory, allocated at lines that the program itself claims.

final class Node {
    var next: Node?
    var payload: (Int, Int, Int) = (1, 2, 3)
    init(_ next: Node?) { self.next = next }
}

func claim(_ kind: String, _ bytes: Int, _ count: Int, line: Int = #line, file: String = #filePath) {
    print("claim \(kind) \(file):\(line) \(bytes) \(count)")
}

@inline(never) func makeList(_ count: Int) -> Node {
    var list = Node(nil)
    for _ in 1..<count { list = Node(list) }
    return list
}

@inline(never) func makeArray(_ count: Int) -> [UInt64] {
    [UInt64](repeating: 7, count: count)
}

@inline(never) func makeBuffer() -> UnsafeMutablePointer<UInt8> {
    let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: 3301)
    claim("alive", 3301, 1, line: #line - 1)
    buffer.initialize(to: 1)
    return buffer
}

@main struct Main {
    static func main() {
        let list = makeList(1_000)
        let arrays = (0..<50).map { _ in makeArray(413) }
        let buffer = makeBuffer()
        var words: [String: Int] = [:]
        for index in 0..<500 { words["a key that does not fit into the string itself \(index % 50)", default: 0] += 1 }
        withExtendedLifetime((list, arrays, buffer, words)) {}
        print("words \(words.count), sum \(arrays.reduce(0) { $0 + $1.count })")
    }
}
