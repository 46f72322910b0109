// LiveView.swift: what a live view shows at the moment, and what keys do to it.
package import AllocationProfile

/// A key, whatever the terminal sends for it.
package enum LiveKey: Hashable, Sendable {
    case character(Character)
    case up, down, left, right, pageUp, pageDown, home, end, enter, escape, backspace
}

/// What a key asks for beyond the view itself.
package enum LiveAction: Hashable, Sendable {
    case quit
    /// Ctrl-C.
    case interrupt
    /// Ctrl-Z.
    case suspend
    case mark(String)
    case writeSnapshot
    case redraw
}

/// The state of the view.
package struct LiveView: Sendable {
    /// What is shown, the call sites at the bottom of all.
    package enum Page: Hashable, Sendable {
        case sites
        case stacks(LiveSite)
        case frames(LiveSite, stack: Int32)
        case help
    }

    /// What is being typed at the bottom.
    package enum Prompt: Hashable, Sendable {
        case filter(String)
        case mark(String)
    }

    package internal(set) var pages: [Page] = [.sites]
    package internal(set) var prompt: Prompt?
    package internal(set) var question = LiveQuestion()
    package internal(set) var grouping: Grouping
    package internal(set) var column = LiveColumn.bytes
    package internal(set) var isInverted = false
    package internal(set) var filter = ""
    package internal(set) var isPaused = false
    /// A sentence at the bottom, until the next key.
    package var message = ""

    /// The selected row of each page: what it is, and where it was, for when it is gone.
    var selected: [Page: Selection] = [:]
    /// First row on the screen.
    var top: [Page: Int] = [:]
    /// Rows of the current page and how many fit, as of the last drawing: what keys move over.
    var rows: [LiveRow] = []
    var rowCount = 0
    var room = 1

    struct Selection: Hashable, Sendable {
        var index = 0
        var row: LiveRow?
    }

    package init(groupedBy grouping: Grouping = .line) { self.grouping = grouping }

    package var page: Page { pages[pages.count - 1] }

    // MARK: - Keys

    /// - Returns: what is not the view's own to do.
    package mutating func press(_ key: LiveKey) -> LiveAction? {
        message = ""
        switch key {
        case .character("\u{3}"): return .interrupt
        case .character("\u{1a}"): return .suspend
        case .character("\u{c}"): return .redraw
        default: break
        }
        if prompt != nil { return type(key) }
        if page == .help {
            if key == .character("q") { return .quit }
            pages.removeLast()
            return nil
        }
        switch key {
        case .up: move(by: -1)
        case .down: move(by: 1)
        case .pageUp: move(by: -max(1, room - 1))
        case .pageDown: move(by: max(1, room - 1))
        case .home: move(by: -rowCount)
        case .end: move(by: rowCount)
        case .enter, .right: open()
        case .escape where page == .sites && !filter.isEmpty: filter = ""
        case .escape, .backspace, .left: if pages.count > 1 { pages.removeLast() }
        case .character(let character): return command(character)
        }
        return nil
    }

    private mutating func command(_ character: Character) -> LiveAction? {
        if let column = LiveColumn.allCases.first(where: { $0.key == character }) {
            if self.column == column { isInverted.toggle() } else { (self.column, isInverted) = (column, false) }
            return nil
        }
        switch character {
        case "q": return .quit
        case "?", "h": pages.append(.help)
        case "/":
            pages = [.sites]
            prompt = .filter(filter)
        case "p", " ":
            isPaused.toggle()
            message = isPaused ? "Paused: the program runs on, the view stands still. p goes on." : ""
        case "m": prompt = .mark("")
        case "w":
            message = "Writing a snapshot …"
            return .writeSnapshot
        case "v": question.metric = LiveView.next(question.metric)
        case "1", "2", "3", "4": question.metric = Metric.allCases[(character.wholeNumberValue ?? 1) - 1]
        case "g":
            let groupings: [Grouping] = [.line, .function, .file, .module]
            grouping = groupings[((groupings.firstIndex(of: grouping) ?? 0) + 1) % groupings.count]
            pages = [.sites]
            selected = [:]
        case "r":
            question.hidesRuntime.toggle()
            pages = [.sites]
        case "d": question.baseline = question.baseline == .refresh ? .mark : .refresh
        default: message = "No such key: \(PrintableText.name(String(character))). ? shows them all."
        }
        return nil
    }

    private static func next(_ metric: Metric) -> Metric {
        let all = Metric.allCases
        return all[((all.firstIndex(of: metric) ?? 0) + 1) % all.count]
    }

    // MARK: - Typing

    private static let longestPrompt = 200

    private mutating func type(_ key: LiveKey) -> LiveAction? {
        guard let prompt else { return nil }
        var text =
            switch prompt {
            case .filter(let text), .mark(let text): text
            }
        switch key {
        case .enter:
            self.prompt = nil
            if case .mark = prompt { return .mark(text) }
            return nil
        case .escape:
            self.prompt = nil
            if case .filter = prompt { filter = "" }
            return nil
        case .backspace: if !text.isEmpty { text.removeLast() }
        case .character(let character):
            let isPrintable = character.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
            if isPrintable, text.count < LiveView.longestPrompt { text.append(character) }
        default: return nil
        }
        switch prompt {
        case .filter:
            self.prompt = .filter(text)
            filter = text
        case .mark: self.prompt = .mark(text)
        }
        return nil
    }

    // MARK: - Moving

    private mutating func move(by distance: Int) {
        guard rowCount > 0 else { return }
        let index = min(max(selection + distance, 0), rowCount - 1)
        selected[page] = Selection(index: index, row: rows.indices.contains(index) ? rows[index] : nil)
    }

    private mutating func open() {
        guard rows.indices.contains(selection) else { return }
        switch page {
        case .sites: pages.append(.stacks(rows[selection].site))
        case .stacks(let site): if let stack = rows[selection].stack { pages.append(.frames(site, stack: stack)) }
        case .frames, .help: break
        }
    }

    var selection: Int { min(max(selected[page]?.index ?? 0, 0), max(rowCount - 1, 0)) }

    /// Notes what the page shows, and finds the selected row again where it is now.
    mutating func settle(rows: [LiveRow], count: Int, room: Int) {
        self.rows = rows
        rowCount = count
        self.room = max(1, room)
        if let row = selected[page]?.row, let index = rows.firstIndex(where: { $0.site == row.site && $0.stack == row.stack }) {
            selected[page] = Selection(index: index, row: rows[index])
        }
        var first = top[page] ?? 0
        first = min(max(first, selection - self.room + 1), max(0, selection))
        top[page] = min(first, max(0, count - self.room))
    }

    var firstRow: Int { top[page] ?? 0 }

    /// Whether a site is among those that are asked for; case does not count.
    func matches(_ site: LiveSite) -> Bool {
        guard !filter.isEmpty else { return true }
        let wanted = filter.lowercased()
        return [site.frame.function, site.frame.file, site.frame.module, "\(site.frame)"].contains {
            $0?.lowercased().contains(wanted) ?? false
        }
    }
}
