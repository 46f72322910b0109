// PreloadLibrary.swift: finds libtracemalloc.so and makes the LD_PRELOAD that loads it.
import Glibc

struct PreloadLibrary {
    let path: String

    /// The build system names products; installed files have the name that users know.
    private static let names = ["libtracemalloc.so", "libTraceMallocPreload.so"]

    /// From `TRACEMALLOC_LIBRARY`, from beside this executable, or from the library directory of its installation.
    static func find() throws(CommandError) -> PreloadLibrary {
        if let chosen = Unsafe.variable("TRACEMALLOC_LIBRARY"), !chosen.isEmpty {
            guard let path = usable(chosen) else { throw .noLibrary(tried: [chosen]) }
            return PreloadLibrary(path: path)
        }
        let executable = Unsafe.linkTarget(of: "/proc/self/exe") ?? ""
        let directory = executable.lastIndex(of: "/").map { String(executable[..<$0]) } ?? "."
        let parent = directory.lastIndex(of: "/").map { String(directory[..<$0]) } ?? ".."
        let directories = [directory, parent + "/lib", parent + "/lib/tracemalloc"]
        for candidate in directories.flatMap({ directory in names.map { "\(directory)/\($0)" } }) {
            if let path = usable(candidate) { return PreloadLibrary(path: path) }
        }
        throw .noLibrary(tried: directories)
    }

    private static func usable(_ path: String) -> String? {
        guard let resolved = Unsafe.resolved(path), let status = Unsafe.status(of: resolved), status.st_mode & S_IFMT == S_IFREG,
            access(resolved, R_OK) == 0
        else { return nil }
        return resolved
    }

    /// The value of LD_PRELOAD: our library before what was there. A path that the loader would split is reached through a
    /// link in `directory`, which lives as long as the run.
    func preloadValue(linkDirectory directory: String) throws(CommandError) -> String {
        var name = path
        if !PreloadLibrary.isPlain(path) {
            name = "\(directory)/libtracemalloc.so"
            guard PreloadLibrary.isPlain(name), symlink(path, name) == 0 else { throw .unusableLibraryPath(path) }
        }
        guard let before = Unsafe.variable("LD_PRELOAD"), !before.isEmpty else { return name }
        return before.split(whereSeparator: { $0 == " " || $0 == ":" }).contains(Substring(name)) ? before : "\(name):\(before)"
    }

    /// The loader splits the value at spaces and colons and expands `$ORIGIN`.
    private static func isPlain(_ path: String) -> Bool { !path.contains { " :$\t\n".contains($0) } }
}
