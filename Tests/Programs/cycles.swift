// cycles.swift: Swift objects that keep each other alive in every way there is; the kinds to make are the arguments.
import Glibc

// Two classes
final class Parent {
    var children: [Child] = []
    let name = "parent"
}
final class Child {
    var parent: Parent?
}
final class Left { var right: Right? }
final class Right { var left: Left? }

// Through containers
final class Catalog { var entries: [String: Entry] = [:] }
final class Entry { var catalog: Catalog? }
final class Circle { var members: Set<Member> = [] }
final class Member: Hashable {
    var circle: Circle?
    static func == (left: Member, right: Member) -> Bool { left === right }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

// Through a closure
final class Button {
    var count = 0
    var onTap: (() -> Void)?
}

// Through an enum's payload, an existential, a generic class
enum Link {
    case none
    case to(Station)
    case twice(Station, Int)
}
final class Station { var link = Link.none }
protocol Plugin: AnyObject { var host: Host? { get set } }
final class Host { var plugin: (any Plugin)? }
final class Filter: Plugin { var host: Host? }
protocol Shape { var owner: Canvas? { get } }
struct Square: Shape { var owner: Canvas? }
final class Canvas { var shape: (any Shape)? }
final class Box<Value> {
    var value: Value?
    var back: Holder?
}
final class Holder { var box: Box<Int>? }

// Actors and tasks
actor Account {
    var partner: Account?
    func join(_ other: Account) { partner = other }
}
final class Poller: @unchecked Sendable {
    var task: Task<Void, Never>?
    /// Waits for something that never comes: nobody but the task itself knows it.
    func start() {
        task = Task {
            await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
            self.task = nil
        }
    }
    /// A timer knows the task.
    func sleep() {
        task = Task {
            try? await Task.sleep(for: .seconds(3600))
            self.task = nil
        }
    }
}

// A delegate that should have been weak, and three parties
protocol Delegate: AnyObject {}
final class View { var delegate: (any Delegate)? }
final class Controller: Delegate { var view = View() }
final class Ping { var next: Pong? }
final class Pong { var next: Pang? }
final class Pang { var next: Ping? }

// No leaks: weak and unowned back references
final class Owner { var part: Part? }
final class Part {
    weak var owner: Owner?
    unowned let maker: Owner
    init(_ owner: Owner) {
        self.owner = owner
        maker = owner
    }
}
nonisolated(unsafe) var kept: [AnyObject] = []
nonisolated(unsafe) weak var observed: Parent?

/// Optimized code keeps what somebody may have seen.
@inline(never)
func see(_ object: AnyObject) { if getpid() < 0 { kept.append(object) } }

@inline(never)
func make(_ kind: String) {
    switch kind {
    case "array":
        let parent = Parent()
        let child = Child()
        parent.children.append(child)
        child.parent = parent
        observed = parent
        see(parent)
    case "classes":
        let left = Left()
        left.right = Right()
        left.right?.left = left
        see(left)
    case "dictionary":
        let catalog = Catalog()
        let entry = Entry()
        entry.catalog = catalog
        catalog.entries["one"] = entry
        see(catalog)
    case "set":
        let circle = Circle()
        let member = Member()
        member.circle = circle
        circle.members.insert(member)
        see(circle)
    case "closure":
        let button = Button()
        button.onTap = { button.count += 1 }
        see(button)
    case "enum":
        let station = Station()
        let other = Station()
        station.link = .to(other)
        other.link = .twice(station, 2)
        see(station)
    case "existential":
        let host = Host()
        let filter = Filter()
        host.plugin = filter
        filter.host = host
        see(host)
    case "value":
        let canvas = Canvas()
        canvas.shape = Square(owner: canvas)
        see(canvas)
    case "generic":
        let holder = Holder()
        let box = Box<Int>()
        holder.box = box
        box.back = holder
        see(holder)
    case "delegate":
        let controller = Controller()
        controller.view.delegate = controller
        see(controller)
    case "three":
        let ping = Ping()
        ping.next = Pong()
        ping.next?.next = Pang()
        ping.next?.next?.next = ping
        see(ping)
    case "task":
        let poller = Poller()
        poller.start()
        see(poller)
    case "sleeping":
        let poller = Poller()
        poller.sleep()
        see(poller)
    case "weak":
        let owner = Owner()
        owner.part = Part(owner)
        kept.append(owner)
        let freed = Owner()
        freed.part = Part(freed)
        see(freed)
    default:
        print("unknown kind \(kind)")
        exit(2)
    }
}

@inline(never)
func makeActors() async {
    let one = Account()
    let two = Account()
    await one.join(two)
    await two.join(one)
    see(one)
}

@inline(never)
func scrub() {
    withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 16) { bytes in
        for index in bytes.indices { bytes[index] = 0 }
        if bytes[Int(getpid()) % 16384] != 0 { abort() }
    }
}

@main
struct Cycles {
    static func main() async {
        setvbuf(stdout, nil, _IOLBF, 0)
        let kinds = CommandLine.arguments.dropFirst()
        for kind in kinds where kind != "wait" {
            if kind == "actor" { await makeActors() } else { make(kind) }
        }
        // What a task has begun, it has reached its suspension soon.
        try? await Task.sleep(for: .milliseconds(50))
        // Threads and queues remember what they did last.
        for _ in 0..<50 {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<16 { group.addTask { scrub() } }
            }
        }
        print("made")
        if kinds.contains("wait") { _ = readLine() }
    }
}
