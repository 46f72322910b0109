// TerminalWindow.swift: a terminal without a screen, by tmux: commands run in it, keys are typed, what it shows is read.
import Foundation

/// One window of a tmux server of its own.
final class TerminalWindow {
    static let isInstalled = (try? tool("tmux")) != nil

    let scratch: Scratch
    private let socket: String
    private let environment: [String: String]

    /// A shell in a new window.
    init(width: Int = 80, height: Int = 24, environment: [String: String] = [:]) throws {
        scratch = try Scratch()
        socket = scratch / "socket"
        self.environment = baseEnvironment.merging(["HOME": scratch.path]) { $1 }.merging(environment) { $1 }
        try tmux("-f", "/dev/null", "new-session", "-d", "-x", "\(width)", "-y", "\(height)", "-c", scratch.path, "/bin/sh")
        try wait("the prompt") { !$0.allSatisfy(\.isWhitespace) }
    }

    deinit { _ = try? tmux("kill-server") }

    @discardableResult
    private func tmux(_ words: String...) throws -> String {
        let outcome = try EndToEndTests.run([try tool("tmux"), "-u", "-S", socket] + words, environment: environment, limit: 20)
        guard outcome.ending == .code(0) else { throw HarnessError("tmux \(words): \(outcome.stderr)") }
        return outcome.stdout
    }

    /// Types a line into the shell.
    func enter(_ line: String) throws {
        try tmux("send-keys", "-l", line)
        try tmux("send-keys", "Enter")
    }

    /// Keys by tmux's names, as `Enter` and `C-c`, or text.
    func press(_ keys: String...) throws { for key in keys { try tmux("send-keys", key) } }

    func resize(width: Int, height: Int) throws { try tmux("resize-window", "-x", "\(width)", "-y", "\(height)") }

    /// What stands in the window.
    var text: String { get throws { try tmux("capture-pane", "-p") } }
    var lines: [String] { get throws { try text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) } }
    /// With everything that was scrolled out of it.
    var history: String { get throws { try tmux("capture-pane", "-p", "-J", "-S", "-") } }
    /// Whether a program shows a screen of its own.
    var isAlternate: Bool { get throws { try tmux("display-message", "-p", "#{alternate_on}").hasPrefix("1") } }

    @discardableResult
    func wait(for wanted: String, limit: Double = 20) throws -> String {
        try wait(limit: limit, wanted) { $0.contains(wanted) }
    }

    @discardableResult
    func wait(limit: Double = 20, _ what: String, until condition: (String) -> Bool) throws -> String {
        let start = ContinuousClock.now
        while true {
            let shown = try text
            if condition(shown) { return shown }
            guard start.duration(to: .now) < .seconds(limit) else { throw HarnessError("not within \(limit) s: \(what)\n\(shown)") }
            usleep(30_000)
        }
    }
}
