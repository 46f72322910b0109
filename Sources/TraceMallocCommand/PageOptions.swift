// PageOptions.swift: `--html`, one page instead of lines of text, and where it goes.
import AllocationProfile
import AllocationReports
import ArgumentParser

/// Options of a page, for the commands that can make one.
struct PageOptions: ParsableArguments {
    @Flag(help: "Write one page that needs no network: graph of calls, time line, tables. Options above choose what it shows first.")
    var html = false

    @Option(name: .shortAndLong, help: ArgumentHelp("Where to write the page (default: beside FILE, as FILE.html).", valueName: "out"))
    var output: String?

    @Flag(help: "Overwrite OUT when it exists.")
    var force = false

    @Flag(help: "Put the source lines of calls into the page, where the sources are there.")
    var source = false

    func validate() throws {
        guard !html else { return }
        if output != nil { throw ValidationError("-o names the page that --html writes; text goes to standard output.") }
        if force || source { throw ValidationError("--\(force ? "force" : "source") has no meaning without --html.") }
    }

    /// What a page cannot do would be silently ignored.
    func check(_ options: QuestionOptions, _ format: OutputFormat) throws {
        guard html else { return }
        if format != .text { throw ValidationError("--html and --format \(format.rawValue) exclude each other.") }
        if options.top != nil { throw ValidationError("--top has no meaning with --html: the page holds all rows.") }
        if options.cumulative { throw ValidationError("--cumulative has no meaning with --html: the page's graph shows callers.") }
    }

    /// Writes the page that `make` gives to OUT, or to `name`. The file is made before the work starts.
    func write(named name: @autoclosure () -> String, _ make: () throws -> Page) throws {
        let path = output ?? name()
        let file = try ExportFile(path: path, force: force)
        let page: Page
        do { page = try make() } catch {
            file.abandon()
            throw error
        }
        try PageOptions.write(page, to: file, withSource: source)
    }

    static func write(_ page: Page, to file: ExportFile, withSource: Bool) throws(CommandError) {
        let sources = SourceLines()
        Terminal.error.showProgress("tracemalloc: making the page")
        do throws(CommandError) {
            try file.write(Array(page.html(nonce: nonce()) { withSource ? sources.line($0, $1) : nil }.utf8))
            try file.finish()
        } catch {
            file.abandon()
            throw error
        }
        Terminal.error.clearProgress()
        Terminal.error.say("wrote \(file.path)")
    }

    static func question(_ options: QuestionOptions) -> PageQuestion {
        var question = PageQuestion()
        question.grouping = options.grouping
        question.metric = options.metric
        question.order = options.sort
        question.attribution = options.attribute
        return question
    }

    /// `x.tmalloc` is `x`; other names stay whole.
    static func stem(_ path: String) -> String {
        path.hasSuffix(".tmalloc") && !path.hasSuffix("/.tmalloc") ? String(path.dropLast(".tmalloc".utf8.count)) : path
    }

    private static func nonce() -> String {
        var random = SystemRandomNumberGenerator()
        return String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }
}
