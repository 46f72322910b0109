// TracedProgram.swift: the program that is to be traced: found as a shell would, and checked before it is started.
import CLinux
import Glibc

/// Why a program cannot be profiled. Each case is one sentence.
indirect enum ProgramRefusal: Error, Hashable, CustomStringConvertible {
    case notFound(String)
    case notInPath(String)
    case isDirectory(String)
    case notExecutable(String)
    case unreadable(String, reason: String)
    case notAProgram(String)
    case malformed(String)
    case foreignMachine(String, machine: String)
    case statically(String)
    case foreignLibrary(String, loader: String)
    case loaderMissing(String, loader: String)
    case privileged(String, right: String)
    case interpreter(script: String, ProgramRefusal)
    case endlessScript(String)

    var description: String {
        switch self {
        case .notFound(let path): "cannot profile \(path): there is no such file"
        case .notInPath(let name): "cannot profile \(name): it is not in PATH"
        case .isDirectory(let path): "cannot profile \(path): it is a directory"
        case .notExecutable(let path): "cannot profile \(path): it is not executable"
        case .unreadable(let path, let reason): "cannot profile \(path): it cannot be read (\(reason))"
        case .notAProgram(let path): "cannot profile \(path): it is neither an ELF program nor a script"
        case .malformed(let path): "cannot profile \(path): its ELF headers are damaged, or it is no program"
        case .foreignMachine(let path, let machine):
            "cannot profile \(path): it is for \(machine), and this tracemalloc is for \(ExecutableFile.ownMachineName)"
        case .statically(let path): "cannot profile \(path): it is statically linked, so nothing can be preloaded into it"
        case .foreignLibrary(let path, let loader):
            "cannot profile \(path): its C library is not glibc (its loader is \(loader))"
        case .loaderMissing(let path, let loader): "cannot profile \(path): its loader \(loader) is not there"
        case .privileged(let path, let right):
            "cannot profile \(path): it has \(right), so the loader ignores LD_PRELOAD; run it as that user or on a copy without"
        case .interpreter(let script, let refusal): "\(refusal) (it is the interpreter of the script \(script))"
        case .endlessScript(let path): "cannot profile \(path): its interpreters are scripts of scripts"
        }
    }
}

/// A program that can be profiled.
struct TracedProgram {
    /// What the kernel is given.
    let path: String
    /// The ELF file that runs in the end: the program itself, or the interpreter of a script.
    private(set) var executable: String
    private(set) var file: ExecutableFile
    /// Scripts on the way from `path` to `executable`.
    private(set) var scripts: [String] = []
    /// A text without `#!` line, which shells run themselves.
    private(set) var needsShell = false

    private static let shell = "/bin/sh"
    private static let deepestScript = 4

    /// Finds `name` as execvp does.
    init(named name: String) throws(ProgramRefusal) {
        path = try Self.find(name)
        executable = path
        file = try Self.read(executable)
        while file.kind == .other {
            guard scripts.count < Self.deepestScript else { throw .endlessScript(path) }
            scripts.append(executable)
            do {
                executable = try interpreter()
                file = try Self.read(executable)
            } catch {
                throw error == .notAProgram(path) ? error : .interpreter(script: scripts[scripts.count - 1], error)
            }
        }
        do { try check() } catch { throw scripts.last.map { .interpreter(script: $0, error) } ?? error }
    }

    /// It contains an allocator of its own, whose calls do not reach a preloaded library. A program that links `TraceMalloc` has
    /// our malloc, which records for the same collector.
    var hasOwnAllocator: Bool { file.defines(function: "malloc") && !file.defines(function: "tracemalloc_yield") }

    var ownAllocatorWarning: String {
        "\(executable) contains a malloc of its own: what it allocates by that bypasses the recording"
    }

    // MARK: Finding

    private static func find(_ name: String) throws(ProgramRefusal) -> String {
        guard !name.isEmpty else { throw .notFound("''") }
        if name.contains("/") {
            try checkPermission(of: name)
            return name
        }
        var refusal: ProgramRefusal?
        let path = Unsafe.variable("PATH") ?? "/bin:/usr/bin"
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = directory.isEmpty ? "./\(name)" : "\(directory)/\(name)"
            do {
                try checkPermission(of: candidate)
                return candidate
            } catch .notExecutable {
                refusal = refusal ?? .notExecutable(candidate)
            } catch {}
        }
        throw refusal ?? .notInPath(name)
    }

    private static func checkPermission(of path: String) throws(ProgramRefusal) {
        guard let status = Unsafe.status(of: path) else {
            throw errno == EACCES ? .unreadable(path, reason: "\(SystemError(number: errno))") : .notFound(path)
        }
        if status.st_mode & S_IFMT == S_IFDIR { throw .isDirectory(path) }
        guard status.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else { throw .notExecutable(path) }
    }

    private static func read(_ path: String) throws(ProgramRefusal) -> ExecutableFile {
        do { return ExecutableFile(try FileBytes(path)) } catch { throw .unreadable(path, reason: "\(error)") }
    }

    // MARK: Scripts

    /// The interpreter of the script `executable`, with `/usr/bin/env NAME` seen through.
    private mutating func interpreter() throws(ProgramRefusal) -> String {
        let bytes: [UInt8]
        do { bytes = try FileBytes(executable).prefix(4096) } catch { throw .unreadable(executable, reason: "\(error)") }
        let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard line.hasPrefix("#!") else {
            // execvp and shells give texts to the shell; the kernel does not, so it works only for what the user named.
            guard scripts.count == 1, !bytes.isEmpty, !bytes.prefix(256).contains(0) else { throw .notAProgram(executable) }
            needsShell = true
            return Self.shell
        }
        let words = line.dropFirst(2).split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
        guard let interpreter = words.first else { throw .notAProgram(executable) }
        try Self.checkPermission(of: interpreter)
        guard interpreter.hasSuffix("/env") else { return interpreter }
        // Options (-S, -i …) and assignments come before the name.
        guard let name = words.dropFirst().first(where: { !$0.hasPrefix("-") && !$0.contains("=") }) else { return interpreter }
        return try Self.find(name)
    }

    // MARK: Checks

    private func check() throws(ProgramRefusal) {
        guard file.machine == ExecutableFile.ownMachine, file.is64Bit else {
            throw .foreignMachine(executable, machine: file.machineName)
        }
        guard file.kind == .program else { throw .malformed(executable) }
        if let loader = file.interpreter {
            let name = loader.split(separator: "/").last.map(String.init) ?? loader
            // ld-linux-x86-64.so.2, ld-2.36.so, ld.so.1; musl's is ld-musl-x86_64.so.1, Android's linker64.
            guard name.hasPrefix("ld-linux") || name.hasPrefix("ld-2.") || name.hasPrefix("ld.so") else {
                throw .foreignLibrary(executable, loader: loader)
            }
            guard Unsafe.status(of: loader) != nil else { throw .loaderMissing(executable, loader: loader) }
        } else {
            throw .statically(executable)
        }
        if let right = foreignRight { throw .privileged(executable, right: right) }
    }

    /// A right that the program gets by being started, and that makes the loader ignore LD_PRELOAD.
    private var foreignRight: String? {
        guard let status = Unsafe.status(of: executable), Unsafe.fileSystem(of: executable)?.ignoresSetUID != true,
            tm_has_no_new_privileges() != 1
        else { return nil }
        if status.st_mode & S_ISUID != 0, status.st_uid != getuid() { return "the set-uid bit" }
        // Without the group's execute bit, set-gid is the old mark for mandatory locks.
        if status.st_mode & S_ISGID != 0, status.st_mode & S_IXGRP != 0, status.st_gid != getgid() { return "the set-gid bit" }
        let hasCapabilities = tm_attribute_size(executable, "security.capability") > 0
        return hasCapabilities && getuid() != 0 ? "file capabilities" : nil
    }

    /// What the kernel is to start, when the last `ownArguments` words of our own command line follow.
    func launch(argumentCount: Int) -> (path: String, arguments: [String], ownArguments: Int) {
        needsShell ? (Self.shell, [Self.shell, path], argumentCount - 1) : (path, [], argumentCount)
    }
}
