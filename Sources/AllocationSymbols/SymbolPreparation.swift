// SymbolPreparation.swift: reads the debug information of modules while their program still runs.
package import AllocationProfile
import Synchronization

/// Names that are known before they are asked for, and debug information that is open by then.
///
/// Any thread calls `prepare`, which does the work; `Symbolicator` takes what is ready, from its own threads. Nothing is fetched from
/// servers: that is for modules that turn out to be needed.
package final class SymbolPreparation: Sendable {
    private let options: SymbolicatorOptions
    private let state = Mutex(State())
    /// Held while a module is read.
    private let reading = Mutex(())

    private struct State {
        var isOver = false
        var modules: [LoadedFile: Prepared] = [:]
        var current: LoadedFile?
        var used: [ModuleFiles] = []
    }

    /// What is ready of a module.
    struct Prepared {
        /// Nil where there was nothing to open.
        var files: ModuleFiles?
        var frames: [UInt64: [Frame]] = [:]

        /// Names those of the addresses that have no frames yet; `open` is asked for files when there are any and none are open.
        mutating func name(_ addresses: [UInt64], of file: LoadedFile, open: () -> ModuleFiles) {
            let missing = AddressSet(addresses.lazy.filter { [frames] in frames[$0] == nil })
            guard missing.count > 0 else { return }
            let open = files ?? open()
            files = open
            var symbols = ModuleSymbols(path: file.path, files: open, asked: missing)
            for (index, address) in missing.addresses.enumerated() { frames[address] = symbols.frames(at: index) }
        }
    }

    package init(options: SymbolicatorOptions = .init()) { self.options = options }

    /// Opens what these modules have and names these addresses, those of earlier calls left out. Ends early once names are asked for.
    package func prepare(_ wanted: [ModuleAddresses]) {
        let search = DebugFileSearch(directories: options.debugDirectories, usesServer: false)
        for one in wanted {
            let file = LoadedFile(path: one.module.path, buildID: one.module.buildID)
            reading.withLock { _ in
                let begun = state.withLock { state in
                    if state.isOver { return Prepared?.none }
                    state.current = file
                    return state.modules[file] ?? Prepared()
                }
                guard var prepared = begun else { return }
                // What cannot be opened here may still be found on a server.
                let files = prepared.files ?? ModuleFiles(path: file.path, buildID: file.buildID, search: search)
                let isComplete = files.debug != nil || !options.usesDebuginfod
                prepared.files = isComplete ? files : nil
                if isComplete { prepared.name(one.addresses, of: file) { files } }
                state.withLock { state in
                    state.current = nil
                    state.modules[file] = prepared
                }
            }
        }
    }

    /// What is ready of a module. Each is given out once.
    func take(_ file: LoadedFile) -> Prepared {
        let isBeingRead = state.withLock { state in
            state.isOver = true
            return state.current == file
        }
        if isBeingRead { reading.withLock { _ in } }
        return state.withLock { $0.modules.removeValue(forKey: file) } ?? Prepared()
    }

    /// Takes files that are not needed any more: to close them takes milliseconds, for which whoever asked for names would wait.
    func keep(_ files: ModuleFiles?) {
        guard let files else { return }
        state.withLock { $0.used.append(files) }
    }
}

/// A loaded file, in whichever processes it occurs.
struct LoadedFile: Hashable {
    var path: String
    var buildID: [UInt8]
}
