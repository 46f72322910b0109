// Screen.swift: the terminal as a screen, through ncurses, and given back however we end.
import AllocationReports
import ArgumentParser
import CNcurses
import Glibc

/// The screen. Used from one thread: the library has one state for all.
final class Screen {
    enum Input {
        case none, resized
        case key(LiveKey)
    }

    private let input: Int32
    private let glyphs: LiveGlyphs
    private var watchman: Unsafe.TerminalWatchman?
    private var isOpen = false

    /// Nil where there is no terminal to read keys from: the program may be the end of a pipe.
    init?() {
        input = Glibc.open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard input >= 0, let name = Unsafe.variable("TERM"), !name.isEmpty, name != "dumb" else { return nil }
        glyphs = tm_screen_set_locale() != 0 ? .unicode : .ascii
    }

    /// Takes the terminal over.
    func open() throws {
        let usesColor = Unsafe.variable("NO_COLOR")?.isEmpty ?? true
        let state = Unsafe.terminalState(of: input)
        guard Unsafe.openScreen(input: input, colors: usesColor) else { throw CommandError.noScreen(Unsafe.variable("TERM") ?? "") }
        isOpen = true
        watchman = state.flatMap { Unsafe.TerminalWatchman(terminal: input, state: $0) }
        Unsafe.unblock([SIGWINCH])
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        tm_screen_close()
        watchman?.dismiss()
    }

    /// Gives the terminal back to the shell, as Ctrl-Z does, until we are continued.
    func suspend() {
        tm_screen_close()
        raise(SIGSTOP)
        tm_screen_redraw()
        tm_screen_end()
    }

    func redraw() { tm_screen_redraw() }

    /// The terminal went away.
    var isGone: Bool {
        var terminal = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        return poll(&terminal, 1, 0) > 0 && terminal.revents & Int16(POLLHUP | POLLERR | POLLNVAL) != 0
    }

    func lines(_ model: LiveModel, _ view: inout LiveView) -> [LiveLine] {
        LiveScreen(model, height: Int(tm_screen_rows()), width: Int(tm_screen_columns()), glyphs: glyphs).lines(&view)
    }

    func draw(_ lines: [LiveLine]) {
        tm_screen_begin()
        for (row, line) in lines.enumerated() {
            tm_screen_move(Int32(row), 0)
            for (text, style) in line.pieces {
                let color =
                    switch style {
                    case .warning: TM_COLOR_WARNING
                    case .grown: TM_COLOR_GROWN
                    case .shrunk: TM_COLOR_SHRUNK
                    case .chart: TM_COLOR_CHART
                    default: TM_COLOR_NONE
                    }
                tm_screen_put(text, style == .bold ? 1 : 0, style == .dim ? 1 : 0, style == .reverse ? 1 : 0, Int32(color))
            }
        }
        tm_screen_end()
    }

    func key(milliseconds: Int32) -> Input {
        let key = tm_screen_key(milliseconds)
        if key >= 0 {
            guard let scalar = Unicode.Scalar(UInt32(key)) else { return .none }
            return .key(scalar == "\u{1b}" ? .escape : .character(Character(scalar)))
        }
        switch Int(key) {
        case TM_KEY_RESIZE: return .resized
        case TM_KEY_UP: return .key(.up)
        case TM_KEY_DOWN: return .key(.down)
        case TM_KEY_LEFT: return .key(.left)
        case TM_KEY_RIGHT: return .key(.right)
        case TM_KEY_PAGE_UP: return .key(.pageUp)
        case TM_KEY_PAGE_DOWN: return .key(.pageDown)
        case TM_KEY_HOME: return .key(.home)
        case TM_KEY_END: return .key(.end)
        case TM_KEY_ENTER: return .key(.enter)
        case TM_KEY_BACKSPACE: return .key(.backspace)
        default: return .none
        }
    }
}

/// The hidden `tracemalloc restore-terminal`: waits for the end of its parent, and brings the terminal back if that was no
/// orderly one. No signal handler could do it after `kill -9`.
struct RestoreTerminal: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore-terminal", abstract: "Bring the terminal back when a live view was killed.", shouldDisplay: false)

    @Argument var state: String
    @Argument var leaving: String

    func run() throws {
        for signal in [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTOU] { Glibc.signal(signal, SIG_IGN) }
        Unsafe.restoreTerminalAtEnd(state: Unsafe.bytes(ofHexadecimal: state), leaving: Unsafe.bytes(ofHexadecimal: leaving))
    }
}
