// Symbolicator.swift: addresses → functions, files and lines, for all locations of snapshots.
package import AllocationProfile
import Glibc

package struct SymbolicatorOptions: Sendable {
    /// Folders with separate debug files, as gdb's `debug-file-directory`.
    package var debugDirectories = ["/usr/lib/debug"]
    /// Folder of the `perf-PID.map` files that programs with a just-in-time compiler write.
    package var perfMapDirectory = "/tmp"
    /// Ask the debuginfod servers of `DEBUGINFOD_URLS` for debug files that are not here.
    package var usesDebuginfod = Debuginfod.isConfigured
    /// Modules are read independently of each other.
    package var threads = min(4, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    /// Runs first on each of these threads.
    package var threadPrologue: (@Sendable () -> Void)?
    /// Told before each module is read: the part of the work that is done, from 0 to 1, and the module. From any thread.
    package var progress: (@Sendable (Double, String) -> Void)?

    package init() {}
}

/// Names the code addresses of snapshots.
///
/// Cost: one visit of each compilation unit that holds a location, per module; 10,000 locations of a large binary take
/// tenths of a second.
package struct Symbolicator {
    private let options: SymbolicatorOptions
    private let preparation: SymbolPreparation?

    /// `preparation`: has opened some modules' files already.
    package init(options: SymbolicatorOptions = .init(), preparation: SymbolPreparation? = nil) {
        self.options = options
        self.preparation = preparation
    }

    private struct Place {
        var snapshot: Int
        var location: Int
        var lookup: UInt64
    }

    /// Fills `frames` (innermost first, inlined functions first) of every location.
    ///
    /// Never fails as a whole: a location that cannot be named has one frame with its module and address.
    package mutating func symbolicate(_ snapshots: inout [Snapshot]) {
        var places: [LoadedFile: [Place]] = [:]
        for snapshot in snapshots.indices {
            let modules = snapshots[snapshot].modules
            let files = modules.map { LoadedFile(path: $0.path, buildID: $0.buildID) }
            var generated: [Int] = []
            for (index, location) in snapshots[snapshot].locations.enumerated() {
                guard let module = Int(exactly: location.module), modules.indices.contains(module) else {
                    generated.append(index)
                    continue
                }
                places[files[module], default: []].append(
                    Place(snapshot: snapshot, location: index, lookup: location.lookupAddress &- modules[module].bias))
            }
            nameGenerated(generated, of: &snapshots[snapshot])
        }
        name(places, in: &snapshots)
    }

    /// Locations outside of all modules: code that the program made itself.
    private func nameGenerated(_ locations: [Int], of snapshot: inout Snapshot) {
        guard !locations.isEmpty else { return }
        let map = PerfMap(path: "\(options.perfMapDirectory)/perf-\(snapshot.process.pid).map")
        for index in locations {
            let location = snapshot.locations[index]
            let name = map.name(of: location.lookupAddress)
            snapshot.locations[index].frames = [Frame(function: name, address: location.address, isAsync: location.isAsync)]
        }
    }

    private func name(_ places: [LoadedFile: [Place]], in snapshots: inout [Snapshot]) {
        // Large ones first, so that no thread begins the longest piece last.
        let work = places.map {
            (file: $0.key, places: $0.value, asked: AddressSet($0.value.map(\.lookup)), size: Self.size(of: $0.key.path))
        }
        .sorted { ($0.size, $0.file.path) > ($1.size, $1.file.path) }
        let requests = work.map { (file: $0.file, asked: $0.asked) }
        let search = DebugFileSearch(directories: options.debugDirectories, usesServer: options.usesDebuginfod)
        let progress = options.progress
        let preparation = preparation
        let answers = Workers<[[Frame]]>.map(count: work.count, threads: options.threads, prologue: options.threadPrologue) { index in
            let request = requests[index]
            progress?(Double(index) / Double(requests.count), request.file.path)
            var prepared = preparation?.take(request.file) ?? SymbolPreparation.Prepared()
            let asked = request.asked.addresses
            prepared.name(asked, of: request.file) {
                ModuleFiles(path: request.file.path, buildID: request.file.buildID, search: search)
            }
            preparation?.keep(prepared.files)
            return asked.map { prepared.frames[$0] ?? [] }
        }
        for (piece, frames) in zip(work, answers) {
            for place in piece.places {
                let location = snapshots[place.snapshot].locations[place.location]
                let bias = snapshots[place.snapshot].modules[Int(location.module)].bias
                var named = frames[piece.asked.firstIndex(notBelow: place.lookup)]
                for index in named.indices { named[index].address = location.address &- bias }
                // It is the innermost frame that awaits; the ones outside of it are those that it is inlined into.
                named[0].isAsync = location.isAsync
                snapshots[place.snapshot].locations[place.location].frames = named
            }
        }
        progress?(1, "")
    }

    private static func size(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
