// LiveScreen.swift: the lines of a live view, for a screen of some size. A pure function of the model and the view.
import AllocationProfile

package struct LiveScreen {
    private let model: LiveModel
    private let glyphs: LiveGlyphs
    private let height: Int
    private let width: Int
    /// Above the table of a call site or stack.
    private static let headHeight = 4

    package init(_ model: LiveModel, height: Int, width: Int, glyphs: LiveGlyphs) {
        self.model = model
        self.glyphs = glyphs
        self.height = max(1, height)
        self.width = max(1, width)
    }

    /// The lines, at most as many as the screen has. Notes in the view what is shown.
    package func lines(_ view: inout LiveView) -> [LiveLine] {
        var lines = head(view)
        // Small screens keep the table and the last line.
        if height < 12 { lines = Array(lines.prefix(max(0, min(2, height - 4)))) }
        let body = max(0, height - lines.count - 1)
        switch view.page {
        case .sites: lines += sites(&view, body)
        case .stacks(let site): lines += stacks(of: site, &view, body)
        case .frames(_, let stack): lines += frames(of: stack, &view, body)
        case .help: lines += help(&view, body)
        }
        lines = Array(lines.prefix(height - 1))
        while lines.count < height - 1 { lines.append(LiveLine()) }
        return (lines + [foot(view)]).map { $0.width <= width ? $0 : cut($0) }
    }

    private func cut(_ line: LiveLine) -> LiveLine {
        var result = LiveLine()
        for (text, style) in line.pieces {
            let room = width - result.width
            guard room > 0 else { break }
            var kept = ""
            var used = 0
            for character in text {
                used += PrintableText.columns(of: character)
                if used > room { break }
                kept.append(character)
            }
            result.add(kept, style)
        }
        return result
    }

    // MARK: - Head

    private func head(_ view: LiveView) -> [LiveLine] {
        let process = model.snapshot.process
        var state: (text: String, style: LiveStyle) = ("", .plain)
        switch model.life {
        case .starting: state = ("starting", .dim)
        case .running: state = view.isPaused ? ("PAUSED", .reverse) : ("", .plain)
        case .ended(let how): state = ("ended: \(how)", .warning)
        case .lost(let why): state = (why, .warning)
        }
        let facts = "  pid \(process.pid)  \(PrintableText.duration(process.duration))"
        var first = LiveLine()
        let stateText = state.text.isEmpty ? "" : "  \(glyphs.name(state.text, columns: 40))"
        let command = PrintableText.command(process.command)
        first.add(glyphs.name(command, columns: max(8, width - facts.count - PrintableText.columns(of: stateText))), .bold)
        first.add(facts)
        first.add(stateText, state.style)

        var second = LiveLine()
        second.add("now ", .dim)
        second.add(TextForm.size(process.current.bytes), .bold)
        second.add(" in \(PrintableText.count(process.current.count, "block"))")
        second.add("   peak ", .dim)
        second.add(TextForm.size(process.peak.bytes), .bold)
        second.add(" in \(PrintableText.number(process.peak.count)) after \(PrintableText.duration(process.peakTime))")

        var third = LiveLine()
        third.add("rate ", .dim)
        third.add("\(PrintableText.short(Int(model.rate.count))) allocations/s, \(TextForm.size(model.rate.bytes.rounded()))/s")
        third.add("   RSS ", .dim)
        third.add(model.residentBytes > 0 ? TextForm.size(model.residentBytes) : "unknown")
        third.add("   threads ", .dim)
        third.add("\(process.threads)")
        if model.marks.count > 1 {
            third.add("   generation ", .dim)
            third.add("\(model.marks.count - 1) \(glyphs.name(model.marks[model.marks.count - 1], columns: 30))")
        }
        var fourth = LiveLine()
        let most = model.history.suffix(max(1, width - 30)).max() ?? 0
        fourth.add(glyphs.sparkline(model.history, columns: max(1, width - 30)), .chart)
        fourth.add("  live bytes, up to \(TextForm.size(most))", .dim)
        return [first, second, third, fourth]
    }

    // MARK: - Call sites

    private func sites(_ view: inout LiveView, _ body: Int) -> [LiveLine] {
        let all = model.rows(view.question)
        let rows = all.filter { view.matches($0.site) && (view.filter.isEmpty ? isShown($0, view) : true) }
            .sorted(by: view.column, isInverted: view.isInverted)
        let detailHeight = body >= 8 ? 1 : 0
        view.settle(rows: rows, count: rows.count, room: body - 1 - detailHeight)
        var lines = [columns(view, name: siteTitle(view))]
        lines += table(rows, view) { label($0.site.frame, columns: $1) }
        while lines.count < body - detailHeight { lines.append(LiveLine()) }
        if detailHeight > 0 { lines.append(detail(rows.indices.contains(view.selection) ? rows[view.selection] : nil, all.count, view)) }
        return lines
    }

    /// Sites without any of the metric, and that do not change, only fill the screen; unless they are sorted by what they have.
    private func isShown(_ row: LiveRow, _ view: LiveView) -> Bool {
        row.tally != .zero || row.change != .zero || view.column == .allocations || view.column == .temporary && row.temporary > 0
    }

    private func siteTitle(_ view: LiveView) -> String {
        let by = view.grouping == .module ? "library" : view.grouping.rawValue
        return view.filter.isEmpty ? "Call site, by \(by)" : "Call site, by \(by), with “\(view.filter)”"
    }

    private func detail(_ row: LiveRow?, _ siteCount: Int, _ view: LiveView) -> LiveLine {
        guard let row else {
            return LiveLine(
                siteCount == 0
                    ? "Nothing is allocated yet." : view.filter.isEmpty ? "No call site has any of it." : "No call site matches.", .dim)
        }
        let frame = row.site.frame
        let parts = [frame.function, frame.line == nil ? frame.file : frame.file.map { "\($0):\(frame.line ?? 0)" }, frame.module]
            .compactMap(\.self)
        let stacks = "  " + PrintableText.count(row.stackCount, "stack")
        var line = LiveLine(glyphs.name(parts.isEmpty ? "\(frame)" : parts.joined(separator: "  "), columns: width - stacks.count), .dim)
        line.add(stacks, .dim)
        return line
    }

    /// A place in few columns: the file's name and line, then the function.
    private func label(_ frame: Frame, columns: Int) -> String {
        var text = "\(frame)"
        if let file = frame.file {
            let name = Frame.fileName(of: file)
            if let line = frame.line {
                text = "\(name):\(line)" + (frame.function.map { "  \($0)" } ?? "")
            } else if let function = frame.function {
                text = "\(function)  \(name)"
            } else {
                text = file
            }
        }
        return glyphs.name(text, columns: columns)
    }

    // MARK: - Stacks

    private func stacks(of site: LiveSite, _ view: inout LiveView, _ body: Int) -> [LiveLine] {
        let rows = model.stacks(of: site, view.question).filter { isShown($0, view) }.sorted(by: view.column, isInverted: view.isInverted)
        // The lower half shows the frames of the selected stack.
        let listRoom = max(1, min(rows.count, (body - 3) / 2))
        view.settle(rows: rows, count: rows.count, room: listRoom)
        var title = LiveLine(glyphs.name("\(site.frame)", columns: max(1, width - 30)), .bold)
        title.add("  \(PrintableText.count(rows.count, "stack")) with \(view.question.metric.rawValue) memory", .dim)
        var lines = [title, columns(view, name: glyphs.own("Stack, innermost call first"))]
        lines += table(rows, view) { row, columns in
            let frames = model.frames(of: row.stack ?? 0, hidesRuntime: view.question.hidesRuntime)
            let names = frames.prefix(12).map { PrintableText.name($0.function ?? "\($0)", limit: 40) }
            return glyphs.chain(names, columns: columns)
        }
        guard rows.indices.contains(view.selection), let stack = rows[view.selection].stack else { return lines }
        lines.append(LiveLine(String(repeating: glyphs.isUnicode ? "─" : "-", count: width), .dim))
        let frames = model.frames(of: stack, hidesRuntime: view.question.hidesRuntime)
        for frame in frames.prefix(max(0, body - lines.count)) { lines.append(line(of: frame)) }
        return lines
    }

    private func frames(of stack: Int32, _ view: inout LiveView, _ body: Int) -> [LiveLine] {
        let frames = model.frames(of: stack, hidesRuntime: view.question.hidesRuntime)
        view.settle(rows: [], count: frames.count, room: body - 1)
        var title = LiveLine("\(PrintableText.count(frames.count, "frame")), innermost first", .bold)
        title.add(view.question.hidesRuntime ? "  runtime frames are hidden, r shows them" : "", .dim)
        var lines = [title]
        for (index, frame) in frames.enumerated().dropFirst(view.firstRow).prefix(view.room) {
            let line = line(of: frame)
            lines.append(index == view.selection ? line.styled(.reverse, to: width) : line)
        }
        return lines
    }

    private func line(of frame: Frame) -> LiveLine {
        let place = frame.file.map { file in "\(file)\(frame.line.map { ":\($0)" } ?? "")" } ?? frame.module ?? ""
        let name = frame.function ?? "\(frame)"
        let marks = (frame.isInlined ? " [inlined]" : "") + (frame.isAsync ? " [async]" : "")
        var line = LiveLine("  ")
        let room = max(1, width - 4 - marks.count)
        let placeRoom = min(PrintableText.columns(of: place), max(room / 3, room - PrintableText.columns(of: name)))
        line.add(glyphs.name(name, columns: max(1, room - placeRoom)), frame.isSystem ? .dim : .plain)
        line.add(marks, .dim)
        line.add("  ")
        if frame.function != nil { line.add(glyphs.name(place, columns: placeRoom), .dim) }
        return line
    }

    // MARK: - Tables

    private struct Shape {
        var showsAllocations: Bool
        var showsChange: Bool
        var figureWidth: Int { 10 + 9 + (showsAllocations ? 18 : 0) + (showsChange ? 11 : 0) + 2 }
    }

    private var shape: Shape { Shape(showsAllocations: width >= 72, showsChange: width >= 50) }

    private func columns(_ view: LiveView, name: String) -> LiveLine {
        func title(_ column: LiveColumn, _ text: String, _ columnWidth: Int) -> String {
            let arrow = view.column == column ? (view.isInverted ? glyphs.up : glyphs.down) : ""
            return PrintableText.left(padded: text + arrow, to: columnWidth)
        }
        let metric = view.question.metric.rawValue
        var text = title(.bytes, metric.prefix(1).uppercased() + metric.dropFirst(), 10) + title(.blocks, "blocks", 9)
        if shape.showsAllocations { text += title(.allocations, "allocs", 9) + title(.temporary, "temp", 9) }
        if shape.showsChange { text += title(.change, view.question.baseline == .refresh ? "change" : "since mark", 11) }
        text += "  " + glyphs.own(name) + (view.column == .name ? (view.isInverted ? glyphs.up : glyphs.down) : "")
        return LiveLine(text).styled(.reverse, to: width)
    }

    private func table(_ rows: [LiveRow], _ view: LiveView, _ label: (LiveRow, Int) -> String) -> [LiveLine] {
        let shape = shape
        return rows.enumerated().dropFirst(view.firstRow).prefix(view.room).map { index, row in
            var line = LiveLine()
            line.add(PrintableText.left(padded: TextForm.size(row.tally.bytes), to: 10))
            line.add(PrintableText.left(padded: PrintableText.short(row.tally.count), to: 9))
            if shape.showsAllocations {
                line.add(PrintableText.left(padded: PrintableText.short(row.allocations), to: 9))
                line.add(PrintableText.left(padded: PrintableText.short(row.temporary), to: 9))
            }
            if shape.showsChange {
                let change = row.change.bytes
                let text = change == 0 && row.change.count == 0 ? "" : TextForm.size(change, signed: true)
                line.add(PrintableText.left(padded: text, to: 11), change > 0 ? .grown : .shrunk)
            }
            line.add("  ")
            line.add(label(row, max(1, width - line.width)))
            return index == view.selection ? line.styled(.reverse, to: width) : line
        }
    }

    // MARK: - Help and foot

    private static let keys: [(String, String)] = [
        ("arrows, Page, Home, End", "move"), ("Enter", "stacks of a call site, frames of a stack"),
        ("Esc, Backspace, Left", "back"), ("b k a t c n", "sort by bytes, blocks, allocs, temp, change, name"),
        ("the same again", "sort the other way round"),
        ("1 2 3 4, v", "count current, peak, total, temporary blocks"), ("g", "rows by line, function, file, library"),
        ("r", "runtime frames: charge and show them or not"), ("d", "change since last refresh, or last mark"),
        ("/", "filter call sites; Esc shows all"), ("p, Space", "pause the view; the program runs on"),
        ("m", "mark: begin a new generation"), ("w", "write a snapshot into the current directory"),
        ("Ctrl-L", "draw everything again"), ("? h", "this help"), ("q", "quit"),
    ]

    private func help(_ view: inout LiveView, _ body: Int) -> [LiveLine] {
        view.settle(rows: [], count: 0, room: body)
        var lines = [LiveLine("Keys", .bold)]
        for (keys, meaning) in LiveScreen.keys {
            var line = LiveLine("  " + PrintableText.right(padded: keys, to: 26), .bold)
            line.add(meaning)
            lines.append(line)
        }
        lines += [
            LiveLine(), LiveLine("allocs: all so far. temp: freed before their thread allocated another.", .dim),
            LiveLine("A call site is the innermost frame outside of runtimes and libraries.", .dim),
        ]
        return lines
    }

    private func foot(_ view: LiveView) -> LiveLine {
        switch view.prompt {
        case .filter(let text):
            var line = LiveLine("Filter: ", .bold)
            line.add(glyphs.name(text, columns: max(1, width - 10)) + "_")
            return line
        case .mark(let text):
            var line = LiveLine("Name of the mark (Enter marks, Esc does not): ", .bold)
            line.add(glyphs.name(text, columns: max(1, width - 48)) + "_")
            return line
        case nil: break
        }
        if !view.message.isEmpty { return LiveLine(glyphs.name(view.message, columns: width), .bold) }
        // What has no room is left out, from the end; help and the way out always stand there.
        let (hints, last) =
            switch view.page {
            case .sites:
                (["Enter stacks", "/ filter", "b k a t c n sort", "p pause", "m mark", "w write", "v metric", "g group"], "? help  q quit")
            case .stacks: (["Enter frames", "Esc back", "b k a t c sort", "v metric", "r runtime frames"], "? help  q quit")
            case .frames: (["Esc back", "r runtime frames"], "? help  q quit")
            case .help: ([], "any key: back")
            }
        var keys = ""
        for hint in hints where keys.count + hint.count + last.count + 2 <= width { keys += hint + "  " }
        keys += last
        var line = LiveLine(glyphs.name(keys, columns: width), .dim)
        if model.isNaming, line.width + 24 < width {
            line.add("   " + glyphs.own("reading names …"), .dim)
        }
        return line
    }
}
