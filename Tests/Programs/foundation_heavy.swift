// foundation_heavy.swift: a program that uses much of Foundation and loses nothing itself; says how much it did.
import Dispatch
import Foundation

struct Order: Codable, Hashable {
    var id: Int
    var name: String
    var tags: [String]
    var placed: Date
    var price: Decimal
}

final class Listener: NSObject {
    var heard = 0
    func listen(to center: NotificationCenter, _ name: Notification.Name) -> NSObjectProtocol {
        center.addObserver(forName: name, object: nil, queue: nil) { [weak self] _ in self?.heard += 1 }
    }
}

func work(_ round: Int) throws -> Int {
    var sum = 0
    // Coders and plists
    let orders = (0..<50).map { index in
        Order(
            id: index, name: "order \(index) of a long name", tags: ["red", "green \(index)"],
            placed: Date(timeIntervalSince1970: Double(index)), price: Decimal(index) / 3)
    }
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601
    encoder.outputFormatting = [.sortedKeys]
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    let json = try encoder.encode(orders)
    sum += try decoder.decode([Order].self, from: json).count
    sum += try PropertyListDecoder().decode([Order].self, from: PropertyListEncoder().encode(orders)).count
    if let list = try JSONSerialization.jsonObject(with: json) as? [[String: Any]] { sum += list.count }
    // Text, numbers, dates
    let formatter = DateFormatter()
    formatter.dateFormat = "yyyy-MM-dd HH:mm"
    formatter.timeZone = TimeZone(identifier: "Europe/Berlin")
    for order in orders { sum += formatter.string(from: order.placed).count }
    let numbers = NumberFormatter()
    numbers.numberStyle = .decimal
    sum += (numbers.string(from: 1_234_567.5) ?? "").count
    sum += Calendar(identifier: .gregorian).component(.day, from: Date(timeIntervalSince1970: 86400 * Double(round)))
    let text = String(repeating: "The quick brown fox, number 42. ", count: 20)
    let expression = try NSRegularExpression(pattern: "[a-z]+ ([0-9]+)")
    sum += expression.numberOfMatches(in: text, range: NSRange(text.startIndex..., in: text))
    sum += text.components(separatedBy: " ").count + text.replacingOccurrences(of: "fox", with: "dog").count
    sum += (text as NSString).range(of: "quick").location
    // Files, URLs, processes
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("heavy-\(getpid())-\(round)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try json.write(to: folder.appendingPathComponent("orders.json"), options: .atomic)
    sum += try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: [.fileSizeKey]).count
    sum += try Data(contentsOf: folder.appendingPathComponent("orders.json")).count
    var parts = URLComponents(string: "https://example.org/path?a=1&b=two")
    parts?.queryItems?.append(URLQueryItem(name: "round", value: "\(round)"))
    sum += parts?.url?.absoluteString.count ?? 0
    if round % 4 == 0 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/echo")
        process.arguments = ["hello"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        sum += pipe.fileHandleForReading.readDataToEndOfFile().count
        process.waitUntilExit()
    }
    // Notifications, queues, timers, caches
    let center = NotificationCenter()
    let listener = Listener()
    let token = listener.listen(to: center, Notification.Name("round"))
    center.post(name: Notification.Name("round"), object: nil)
    center.removeObserver(token)
    sum += listener.heard
    let queue = OperationQueue()
    queue.maxConcurrentOperationCount = 4
    for _ in 0..<10 { queue.addOperation { _ = UUID().uuidString } }
    queue.waitUntilAllOperationsAreFinished()
    let timer = Timer(timeInterval: 0.001, repeats: false) { _ in }
    RunLoop.current.add(timer, forMode: .default)
    RunLoop.current.run(until: Date(timeIntervalSinceNow: 0.003))
    let cache = NSCache<NSString, NSData>()
    for index in 0..<20 { cache.setObject(NSData(data: json), forKey: "key \(index)" as NSString) }
    let set = NSMutableSet(array: orders.map(\.name))
    sum += set.count + Set(orders).count + IndexSet(integersIn: 0..<10).count
    return sum
}

@main
struct Heavy {
    static func main() throws {
        var sum = 0
        for round in 0..<40 { sum += try work(round) }
        DispatchQueue.concurrentPerform(iterations: 8) { index in _ = try? work(1000 + index) }
        print("40 rounds and 8 at once, sum \(sum)")
    }
}
