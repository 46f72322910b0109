// LiveTests.swift: the live view without a terminal: what the model sums up, what keys do, what stands on the screen.
import AllocationProfile
import Testing

@testable import AllocationReports

@Suite struct LiveTests {
    private func model(_ snapshot: Snapshot = Fixture.typical(), named: Bool = true) -> LiveModel {
        var model = LiveModel()
        refresh(&model, snapshot, named: named)
        model.life = .running
        return model
    }

    /// As a watched process comes: addresses first, names later.
    private func refresh(_ model: inout LiveModel, _ snapshot: Snapshot, named: Bool = true, marks: [String] = [""]) {
        var unnamed = snapshot
        unnamed.process = Fixture.process(pid: 4711)
        unnamed.process.duration = Double(model.refreshes + 1)
        unnamed.process.allocations = 1000 * (model.refreshes + 1)
        for index in unnamed.locations.indices { unnamed.locations[index].frames = [] }
        let known = model.snapshot.locations
        for index in known.indices { unnamed.locations[index].frames = known[index].frames }
        model.refresh(residentBytes: 5 << 20, marks: marks) {
            $0 = unnamed
            return true
        }
        guard named, let part = model.unnamed else { return }
        var answer = part
        answer.locations = Array(snapshot.locations.suffix(part.locations.count))
        model.name(answer, after: model.restarts)
    }

    private func screen(_ model: LiveModel, _ view: inout LiveView, height: Int = 24, width: Int = 80, glyphs: LiveGlyphs = .unicode)
        -> [String]
    {
        LiveScreen(model, height: height, width: width, glyphs: glyphs).lines(&view).map(\.text)
    }

    private func press(_ view: inout LiveView, _ text: String) { for character in text { _ = view.press(.character(character)) } }

    @Test func `call sites are summed up by the rule, largest first`() {
        let model = model()
        let rows = model.rows(LiveQuestion()).sorted(by: .bytes, isInverted: false)
        #expect(rows.map { "\($0.site.frame)" } == ["/src/load.c:7", "/src/save.c:9", "/src/main.c:4"])
        #expect(rows.map(\.tally.bytes) == [40036, 1000, 24])
        #expect(rows.map(\.allocations) == [70, 40, 10])
        #expect(rows.map(\.temporary) == [7, 4, 1])
        var innermost = LiveQuestion()
        innermost.hidesRuntime = false
        #expect(model.rows(innermost).contains { $0.site.frame.function == "malloc" })
    }

    @Test func `what has no name yet is one row that says so, and becomes its sites when names come`() {
        var model = model(named: false)
        #expect(model.isNaming)
        #expect(model.rows(LiveQuestion()).map(\.site) == [.unnamed])
        #expect(model.rows(LiveQuestion()).map(\.tally.bytes) == [41060])
        // Names that were asked for before everything began anew are void.
        model.name(Fixture.typical(), after: model.restarts + 1)
        #expect(model.isNaming)
        model.name(Fixture.typical(), after: model.restarts)
        #expect(!model.isNaming)
        #expect(model.rows(LiveQuestion()).count == 3)
    }

    @Test func `chains of calls are cut between names`() {
        let names = ["gc_alloc", "PyList_New", "list_repeat", "main"]
        #expect(LiveGlyphs.unicode.chain(names, columns: 80) == "gc_alloc ← PyList_New ← list_repeat ← main")
        #expect(LiveGlyphs.unicode.chain(names, columns: 41) == "gc_alloc ← PyList_New ← list_repeat ← …")
        #expect(LiveGlyphs.unicode.chain(names, columns: 27) == "gc_alloc ← PyList_New ← …")
        #expect(LiveGlyphs.unicode.chain(names, columns: 8) == "gc_alloc")
        #expect(LiveGlyphs.unicode.chain(names, columns: 5) == "gc…oc")
        #expect(LiveGlyphs.unicode.chain([], columns: 5).isEmpty)
    }

    @Test func `changes are counted from the last refresh or from the mark`() {
        var fixture = Fixture()
        fixture.add("main /src/main.c:3", bytes: 100, count: 1)
        var model = model(fixture.snapshot)
        #expect(model.rows(LiveQuestion()).map(\.change) == [.zero])
        fixture = Fixture()
        fixture.add("main /src/main.c:3", bytes: 150, count: 2)
        refresh(&model, fixture.snapshot, marks: ["", "login"])
        #expect(model.rows(LiveQuestion()).map(\.change) == [Tally(bytes: 50, count: 1)])
        fixture = Fixture()
        fixture.add("main /src/main.c:3", bytes: 130, count: 2)
        refresh(&model, fixture.snapshot, marks: ["", "login"])
        #expect(model.rows(LiveQuestion()).map(\.change.bytes) == [-20])
        var sinceMark = LiveQuestion()
        sinceMark.baseline = .mark
        #expect(model.rows(sinceMark).map(\.change.bytes) == [-20])
        #expect(model.rate.count == 1000)
        #expect(model.history.count == 3)
    }

    @Test func `keys sort, filter, open, go back and ask for what the view cannot do`() {
        let model = model()
        var view = LiveView()
        var lines = screen(model, &view)
        #expect(lines.count == 24)
        #expect(lines[0].hasPrefix("jq '. | length' big.json  pid 4711  1.00 s"))
        #expect(lines[4].hasPrefix("  Current▼"))
        #expect(lines[5].hasPrefix("  39.1 KiB        7       70        7"))
        #expect(lines[5].contains("load.c:7  load"))
        press(&view, "n")
        #expect(screen(model, &view)[5].contains("load.c:7"))
        press(&view, "n")
        #expect(screen(model, &view)[5].contains("save.c:9"))
        press(&view, "b/sav")
        lines = screen(model, &view)
        #expect(lines[5].contains("save.c:9") && !lines[6].contains(".c:"))
        #expect(lines[23] == "Filter: sav_")
        _ = view.press(.enter)
        #expect(view.prompt == nil && view.filter == "sav")
        _ = screen(model, &view)
        _ = view.press(.enter)
        lines = screen(model, &view)
        #expect(lines[4].hasPrefix("/src/save.c:9  1 stack"))
        #expect(lines[6].contains("save ← main"))
        #expect(lines[8].contains("save") && lines[8].contains("/src/save.c:9"))
        _ = view.press(.enter)
        #expect(screen(model, &view)[4].hasPrefix("2 frames"))
        for _ in 0..<3 { _ = view.press(.escape) }
        #expect(view.page == .sites && view.filter.isEmpty)
        #expect(view.press(.character("q")) == .quit)
        #expect(view.press(.character("w")) == .writeSnapshot)
        press(&view, "mnow")
        #expect(view.press(.enter) == .mark("now"))
        press(&view, "mx")
        #expect(view.press(.escape) == nil)
        #expect(view.press(.character("\u{3}")) == .interrupt)
        press(&view, "?")
        #expect(screen(model, &view).contains { $0.contains("write a snapshot") })
    }

    @Test func `the selected row stays selected when others pass it`() {
        var fixture = Fixture()
        fixture.add("main /src/main.c:3;a /src/a.c:1", bytes: 300, count: 1)
        fixture.add("main /src/main.c:3;b /src/b.c:2", bytes: 200, count: 1)
        var model = model(fixture.snapshot)
        var view = LiveView()
        _ = screen(model, &view)
        _ = view.press(.down)
        #expect(view.selection == 1)
        fixture = Fixture()
        fixture.add("main /src/main.c:3;a /src/a.c:1", bytes: 300, count: 1)
        fixture.add("main /src/main.c:3;b /src/b.c:2", bytes: 900, count: 1)
        refresh(&model, fixture.snapshot)
        let lines = screen(model, &view)
        #expect(view.selection == 0)
        #expect(lines[5].contains("b.c:2"))
    }

    @Test(arguments: [(24, 80), (50, 200), (10, 40), (3, 20), (1, 1), (12, 50)])
    func `every screen is filled and never exceeded`(height: Int, width: Int) {
        var fixture = Fixture()
        for line in 1...60 {
            fixture.add(
                "main /src/main.c:3;名前の長い関数名です /a/very/long/path/to/some/source/file/name\(line).c:\(line)", bytes: line * 1000, count: line
            )
        }
        let model = model(fixture.snapshot)
        var view = LiveView()
        for keys in ["", "?", "?\u{1b}", "/名", "m日本"] {
            press(&view, keys)
            let lines = LiveScreen(model, height: height, width: width, glyphs: .unicode).lines(&view)
            #expect(lines.count == height)
            for line in lines { #expect(line.width <= width, "\(line.text)") }
            _ = view.press(.enter)
            _ = view.press(.end)
        }
    }

    @Test func `names are harmless, and ASCII where the terminal shows no more`() {
        var fixture = Fixture()
        fixture.add("main /src/main.c:3;evil\u{1b}[31m\n<script>é日 /src/\u{7}x.c:1", bytes: 300, count: 1)
        let model = model(fixture.snapshot)
        for glyphs in [LiveGlyphs.unicode, .ascii] {
            var view = LiveView()
            for keys: [LiveKey] in [[], [.enter], [.enter]] {
                for key in keys { _ = view.press(key) }
                let text = screen(model, &view, width: 120, glyphs: glyphs).joined(separator: "\n")
                #expect(
                    text.unicodeScalars.allSatisfy {
                        $0 == "\n" || $0.value >= 0x20 && $0.value != 0x7f && !(0x80..<0xa0).contains($0.value)
                    })
                if glyphs == .ascii { #expect(!text.contains { !$0.isASCII }) }
            }
        }
        #expect(LivePlain.line(model).filter { $0 == "\n" }.count == 1)
        #expect(!LivePlain.line(model).contains("\u{1b}"))
    }

    @Test func `counts stay short and bars show the course`() {
        #expect(
            [0, 99_999, 100_000, 999_499, 999_500, 12_345_678, -250_000].map(PrintableText.short) == [
                "0", "99,999", "100 k", "999 k", "1.0 M", "12.3 M", "-250 k",
            ])
        #expect(LiveGlyphs.unicode.sparkline([0, 50, 100], columns: 10) == "▁▅█")
        #expect(LiveGlyphs.ascii.sparkline([1, 2, 3, 4], columns: 2).count == 2)
        #expect(
            PrintableText.name("日本語日本語", columns: 7) == "日…語日本" || PrintableText.columns(of: PrintableText.name("日本語日本語", columns: 7)) <= 7)
    }
}
