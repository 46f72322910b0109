// Browser.swift: a headless Chromium that opens a page, is clicked and typed into, and tells what went wrong.
import Foundation
import Glibc

/// One page in a browser of its own. Commands and events of the DevTools protocol go through two FIFOs, each message ended by
/// a zero byte; that takes no port and no library.
final class Browser {
    static let isInstalled = (try? tool("chromium")) != nil

    private let scratch: Scratch
    private let process: Subprocess
    private let commands: FileHandle
    private let answers: FileHandle
    private var unread = Data()
    private var lastID = 0
    private var session: String?
    /// What the page said that it should not: exceptions, console messages, refused and made requests.
    private(set) var complaints: [String] = []

    init(width: Int = 1280, height: Int = 900, dark: Bool = false) throws {
        scratch = try Scratch()
        let (input, output) = (scratch / "commands", scratch / "answers")
        guard mkfifo(input, 0o600) == 0, mkfifo(output, 0o600) == 0 else { throw HarnessError("cannot make a FIFO") }
        // Opened for both directions, no open waits for the other side.
        commands = FileHandle(fileDescriptor: open(input, O_RDWR | O_CLOEXEC), closeOnDealloc: true)
        answers = FileHandle(fileDescriptor: open(output, O_RDWR | O_CLOEXEC | O_NONBLOCK), closeOnDealloc: true)
        let options = [
            "--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--window-size=\(width),\(height)", "--user-data-dir=\(scratch / "profile")",
            "--blink-settings=preferredColorScheme=\(dark ? 0 : 1)",
        ]
        // The sandbox does not work for root, nor in most containers; the only page that is opened is ours.
        let command = ([try tool("chromium"), "--no-sandbox"] + options).joined(separator: " ")
        process = try Subprocess(
            ["/bin/sh", "-c", "exec \(command) 3<\(input) 4>\(output)"],
            environment: baseEnvironment.merging(["HOME": scratch.path]) { $1 })
        let target = try send("Target.createTarget", ["url": "about:blank"])
        session = try send("Target.attachToTarget", ["targetId": target["targetId"] ?? "", "flatten": true])["sessionId"] as? String
        for domain in ["Page", "Runtime", "Log", "Network"] { try send("\(domain).enable") }
        try send("Emulation.setDeviceMetricsOverride", ["width": width, "height": height, "deviceScaleFactor": 1, "mobile": false])
    }

    deinit {
        killpg(process.pid, SIGKILL)
        _ = process.wait(limit: 5)
    }

    /// Opens a file with a fragment and waits until its script has run.
    func visit(_ file: String, fragment: String = "", until condition: String = "document.documentElement?.dataset.ready !== undefined")
        throws
    {
        // Otherwise only the fragment would change.
        try send("Page.navigate", ["url": "about:blank"])
        try send("Page.navigate", ["url": "file://\(file)\(fragment.isEmpty ? "" : "#")\(fragment)"])
        try wait(for: condition, limit: 60)
    }

    /// The value of an expression, as text.
    @discardableResult
    func evaluate(_ expression: String) throws -> String {
        let answer = try send("Runtime.evaluate", ["expression": "String(\(expression))", "returnByValue": true])
        if let exception = answer["exceptionDetails"] { throw HarnessError("\(expression): \(exception)") }
        return (answer["result"] as? [String: Any])?["value"] as? String ?? ""
    }

    func text(_ selector: String) throws -> String { try evaluate("document.querySelector('\(selector)').textContent") }

    func wait(for condition: String, limit: Double = 10) throws {
        let start = ContinuousClock.now
        while try evaluate(condition) != "true" {
            guard start.duration(to: .now) < .seconds(limit) else { throw HarnessError("not within \(limit) s: \(condition)") }
            usleep(10_000)
        }
    }

    /// Clicks into the middle of an element, or at a place in it.
    func click(_ selector: String, x: Int? = nil, y: Int? = nil) throws {
        let element = "document.querySelector('\(selector)')"
        try evaluate("\(element).scrollIntoView({block: 'center'})")
        let box = try evaluate("(r => [r.left, r.top, r.width, r.height].join())(\(element).getBoundingClientRect())")
            .split(separator: ",").compactMap { Double($0) }
        guard box.count == 4 else { throw HarnessError("\(selector) is nowhere") }
        let place: [String: Any] = [
            "x": box[0] + (x.map(Double.init) ?? box[2] / 2), "y": box[1] + (y.map(Double.init) ?? box[3] / 2), "button": "left",
            "clickCount": 1,
        ]
        try send("Input.dispatchMouseEvent", place.merging(["type": "mouseMoved"]) { $1 })
        try send("Input.dispatchMouseEvent", place.merging(["type": "mousePressed"]) { $1 })
        try send("Input.dispatchMouseEvent", place.merging(["type": "mouseReleased"]) { $1 })
    }

    /// Presses a key that has a name, like `Enter`, or types text.
    func type(_ text: String) throws { try send("Input.insertText", ["text": text]) }

    func press(_ key: String) throws {
        let codes = ["Enter": 13, "Backspace": 8, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "ArrowRight": 39, "Tab": 9]
        let event: [String: Any] = ["key": key, "code": key, "windowsVirtualKeyCode": codes[key] ?? 0]
        try send("Input.dispatchKeyEvent", event.merging(["type": "rawKeyDown"]) { $1 })
        try send("Input.dispatchKeyEvent", event.merging(["type": "keyUp"]) { $1 })
    }

    /// The page as a picture.
    func screenshot(wholePage: Bool = false) throws -> Data {
        let answer = try send("Page.captureScreenshot", ["captureBeyondViewport": wholePage])
        return Data(base64Encoded: answer["data"] as? String ?? "") ?? Data()
    }

    // MARK: - Protocol

    @discardableResult
    private func send(_ method: String, _ parameters: [String: Any] = [:]) throws -> [String: Any] {
        lastID += 1
        var message: [String: Any] = ["id": lastID, "method": method, "params": parameters]
        message["sessionId"] = session
        commands.write(try JSONSerialization.data(withJSONObject: message) + [0])
        while true {
            let message = try nextMessage()
            guard message["id"] as? Int == lastID else {
                note(message)
                continue
            }
            if let error = message["error"] as? [String: Any] { throw HarnessError("\(method): \(error["message"] ?? error)") }
            return message["result"] as? [String: Any] ?? [:]
        }
    }

    private func nextMessage(limit: Double = 60) throws -> [String: Any] {
        let start = ContinuousClock.now
        while true {
            if let end = unread.firstIndex(of: 0) {
                let message = unread[..<end]
                unread = Data(unread[(end + 1)...])
                return try JSONSerialization.jsonObject(with: message) as? [String: Any] ?? [:]
            }
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            let count = read(answers.fileDescriptor, &chunk, chunk.count)
            if count > 0 {
                unread += chunk.prefix(count)
            } else {
                guard start.duration(to: .now) < .seconds(limit) else { throw HarnessError("the browser does not answer") }
                usleep(1_000)
            }
        }
    }

    private func note(_ event: [String: Any]) {
        let parameters = event["params"] as? [String: Any] ?? [:]
        switch event["method"] as? String {
        case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded": complaints.append("\(parameters)")
        case "Network.requestWillBeSent":
            let url = (parameters["request"] as? [String: Any])?["url"] as? String ?? "?"
            if !url.hasPrefix("file:///") || !url.contains(".html") { complaints.append("request for \(url)") }
        case "Page.javascriptDialogOpening": complaints.append("dialog: \(parameters)")
        default: break
        }
    }
}
