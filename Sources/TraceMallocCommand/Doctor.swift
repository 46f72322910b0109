// Doctor.swift: `tracemalloc doctor`, says whether a program can be profiled, and how well.
import AllocationRecording
import AllocationReports
import ArgumentParser
import Glibc

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say whether a program can be profiled, and why not.",
        discussion: """
            The program is not started. Exit code 0: it can be profiled; 3: it cannot.

            Example:
              tracemalloc doctor jq
            """)

    @Argument(help: "The program, as `run` would be given it.")
    var command: String

    func run() throws {
        var examination = Examination()
        examination.examine(command)
        try Terminal.output.write(examination.text(Terminal.output.style))
        if examination.isHopeless { throw ExitCode(3) }
    }
}

/// What the doctor found, line by line.
private struct Examination {
    private enum Verdict: String {
        case good = "ok"
        case poor = "note"
        case bad = "no"
    }

    private var lines: [(name: String, verdict: Verdict, finding: String)] = []

    var isHopeless: Bool { lines.contains { $0.verdict == .bad } }

    func text(_ style: TextStyle) -> String {
        lines.map { line in
            let mark = line.verdict.rawValue + String(repeating: " ", count: 5 - line.verdict.rawValue.count)
            let name = line.name + String(repeating: " ", count: max(1, 16 - line.name.count))
            return (line.verdict == .good ? style.dim(mark) : style.warning(mark)) + style.bold(name)
                + PrintableText.wrapped(PrintableText.name(line.finding, limit: 2000), style, indentation: 21) + "\n"
        }.joined()
    }

    mutating func examine(_ command: String) {
        do {
            let program = try TracedProgram(named: command)
            note("program", .good, "\(program.path): \(ExecutableFile.ownMachineName), dynamically linked")
            for script in program.scripts { note("script", .good, "\(script) is run by \(program.executable)") }
            note("C library", .good, "glibc, loaded by \(program.file.interpreter ?? "")")
            note("permissions", .good, "executable, no foreign rights")
            if program.hasOwnAllocator { note("allocator", .poor, program.ownAllocatorWarning) }
            examineDebugInformation(of: program)
        } catch {
            note("program", .bad, "\(error)")
        }
        do { note("library", .good, try PreloadLibrary.find().path) } catch { note("library", .bad, "\(error)") }
        examineSharedMemory()
        if Unsafe.canLoad(library: "libunwind.so.8") {
            note("unwinder", .good, "libunwind.so.8 is there for unusual frames")
        } else {
            note("unwinder", .poor, "libunwind.so.8 is not installed: stacks may end at unusual frames")
        }
        examineClock()
    }

    private mutating func note(_ name: String, _ verdict: Verdict, _ finding: String) { lines.append((name, verdict, finding)) }

    private mutating func examineDebugInformation(of program: TracedProgram) {
        let file = program.file
        if file.hasDebugInfo { return note("debug info", .good, "in the executable") }
        let places = DebugFile.places(of: program)
        if let found = places.first(where: { Unsafe.status(of: $0) != nil }) { return note("debug info", .good, found) }
        let missing = places.first.map { "wanted: \($0)" } ?? "it has neither build-id nor link to a debug file"
        note("debug info", .poor, "none, so functions have no lines; \(missing) (install its debug package, or compile with -g)")
    }

    /// Makes a session as `run` would: nothing else knows whether it works.
    private mutating func examineSharedMemory() {
        do {
            let session = try Session.create(frameLimit: 1, followChildren: false)
            defer { session.remove() }
            let free = Unsafe.fileSystem(of: session.directory)?.free ?? 0
            let enough: UInt64 = 64 << 20
            note(
                "shared memory", free < Recording.smallestRoom ? .bad : free < enough ? .poor : .good,
                "\(session.directory.prefix(upTo: session.directory.lastIndex(of: "/") ?? session.directory.endIndex)), "
                    + "\(free >> 20) MiB free" + (free < enough ? ": large programs may need more" : ""))
        } catch {
            note("shared memory", .bad, "\(error)")
        }
    }

    private mutating func examineClock() {
        #if arch(x86_64)
            // /proc files have no size; the first processor stands for all.
            let flags = Unsafe.readStream("/proc/cpuinfo", limit: 16384).split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
            let words = Set(flags.split(separator: " "))
            let isInvariant = words.contains("constant_tsc") && words.contains("nonstop_tsc")
            let kernel =
                Unsafe.readStream("/sys/devices/system/clocksource/clocksource0/current_clocksource", limit: 64)
                .split(separator: "\n").first ?? "unknown"
            note(
                "clock", isInvariant ? .good : .poor,
                (isInvariant ? "invariant time stamp counter" : "a shared counter: order is exact, times are not known")
                    + " (the kernel uses \(kernel))")
        #else
            note("clock", .good, "the CPU's virtual counter")
        #endif
    }
}

/// Where separate debug information of an executable would be.
enum DebugFile {
    static func places(of program: TracedProgram) -> [String] {
        var places: [String] = []
        let root = "/usr/lib/debug"
        let id = program.file.buildID.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        if id.count > 1 { places.append("\(root)/.build-id/\(id[0])/\(id.dropFirst().joined()).debug") }
        if let link = program.file.debugLink, !link.isEmpty, let path = Unsafe.resolved(program.executable),
            let slash = path.lastIndex(of: "/")
        {
            let directory = path[..<slash]
            places += ["\(directory)/\(link)", "\(directory)/.debug/\(link)", "\(root)\(directory)/\(link)"]
        }
        return places.filter { $0 != Unsafe.resolved(program.executable) }
    }
}
