// Terminal.swift: standard output and standard error, and what the terminals behind them can do.
import AllocationReports
import Glibc

struct Terminal {
    static let output = Terminal(descriptor: STDOUT_FILENO)
    static let error = Terminal(descriptor: STDERR_FILENO)

    let descriptor: Int32

    var isTerminal: Bool { isatty(descriptor) != 0 }

    /// Color and width only on terminals; `NO_COLOR` is honored.
    var style: TextStyle {
        guard isTerminal, Unsafe.variable("TERM") != "dumb" else { return .plain }
        let columns = Unsafe.variable("COLUMNS").flatMap { Int($0) } ?? Unsafe.columns(of: descriptor)
        return TextStyle(columns: columns ?? 80, usesColor: Unsafe.variable("NO_COLOR")?.isEmpty ?? true)
    }

    /// A reader that has gone away is not an error: it has seen what it wanted.
    func write(_ text: String) throws(CommandError) {
        try check(Unsafe.write(text, to: descriptor))
    }

    func write(bytes: [UInt8]) throws(CommandError) { try check(Unsafe.write(bytes, to: descriptor)) }

    private func check(_ failure: Int32?) throws(CommandError) {
        guard let failure, failure != EPIPE else { return }
        throw .cannotPrint(SystemError(number: failure))
    }

    /// One line of our own; there is nowhere to report that it could not be written.
    func say(_ sentence: String) { try? write("tracemalloc: \(PrintableText.name(sentence, limit: 2000))\n") }

    /// A line that is written over takes a terminal that can clear it.
    var showsProgress: Bool { isTerminal && Unsafe.variable("TERM") != "dumb" }

    /// A line that stays until `clearProgress`; nothing where it could not be taken back.
    func showProgress(_ text: String) {
        guard showsProgress else { return }
        // A line that wraps would stay.
        let room = max(10, Unsafe.columns(of: descriptor) ?? 80) - 1
        try? write("\r\u{1b}[2K\(PrintableText.name(text, limit: room))")
    }

    func clearProgress() {
        if showsProgress { try? write("\r\u{1b}[2K") }
    }
}
