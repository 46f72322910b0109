// SymbolPreparation.swift: opens the debug information of modules while their program still runs.
package import AllocationProfile
import Synchronization

/// Debug information that is ready before names are asked for.
///
/// One thread calls `prepare`, which does the work; `Symbolicator` takes what is ready, from its own threads. Nothing is
/// fetched from servers: that is for modules that turn out to be needed.
package final class SymbolPreparation: Sendable {
    private let options: SymbolicatorOptions
    private let state = Mutex(State())
    /// Held while a module's files are opened.
    private let opening = Mutex(())

    private struct State {
        var isOver = false
        var files: [LoadedFile: ModuleFiles] = [:]
        /// Also those that have nothing to open.
        var seen: Set<LoadedFile> = []
        var current: LoadedFile?
    }

    package init(options: SymbolicatorOptions = .init()) { self.options = options }

    /// Opens what these modules have, those of earlier calls left out. Ends early once names are asked for.
    package func prepare(_ modules: [Module]) {
        let search = DebugFileSearch(directories: options.debugDirectories, usesServer: false)
        for module in modules {
            let file = LoadedFile(path: module.path, buildID: module.buildID)
            opening.withLock { _ in
                let isNew = state.withLock { state in
                    guard !state.isOver, state.seen.insert(file).inserted else { return false }
                    state.current = file
                    return true
                }
                guard isNew else { return }
                let opened = ModuleFiles(path: file.path, buildID: file.buildID, search: search)
                state.withLock { state in
                    state.current = nil
                    if opened.dwarf != nil { state.files[file] = opened }
                }
            }
        }
    }

    /// The files of a module, if they were opened. Each is given out once.
    func take(_ file: LoadedFile) -> ModuleFiles? {
        let isBeingOpened = state.withLock { state in
            state.isOver = true
            return state.current == file
        }
        if isBeingOpened { opening.withLock { _ in } }
        return state.withLock { $0.files.removeValue(forKey: file) }
    }
}

/// A loaded file, in whichever processes it occurs.
struct LoadedFile: Hashable {
    var path: String
    var buildID: [UInt8]
}
