// MappedFiles.swift: constant memory of a process, read from the files that it has mapped.
package import AllocationProfile
import Glibc

/// What a process never wrote is what its files say: code, constants, metadata.
package final class MappedFiles: MemoryReader, @unchecked Sendable {
    private let mappings: [FrozenProcess.Mapping]
    private let prefixes: [String]
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private var files: [String: Int32] = [:]

    /// - Parameter pid: a process that lives: its files are looked for as it sees them, too.
    package init(_ mappings: [FrozenProcess.Mapping], pid: Int32) {
        self.mappings = mappings.filter { $0.isReadable && $0.isFile }
        prefixes = ["/proc/\(pid)/root", ""]
        lock = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
    }

    deinit {
        for file in files.values where file >= 0 { close(file) }
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    package func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var low = 0
        var high = mappings.count
        while low < high {
            let middle = (low + high) / 2
            if mappings[middle].addresses.upperBound <= address { low = middle + 1 } else { high = middle }
        }
        guard low < mappings.count, mappings[low].addresses.contains(address) else { return 0 }
        let mapping = mappings[low]
        let file = descriptor(of: mapping.name)
        guard file >= 0 else { return 0 }
        let count = Int(min(UInt64(buffer.count), mapping.addresses.upperBound - address))
        let offset = mapping.fileOffset &+ (address - mapping.addresses.lowerBound)
        return max(0, pread(file, buffer.baseAddress, count, off_t(truncatingIfNeeded: offset)))
    }

    private func descriptor(of path: String) -> Int32 {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if let file = files[path] { return file }
        let candidates = prefixes.lazy.map { open($0 + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        let file = candidates.first { $0 >= 0 } ?? -1
        files[path] = file
        return file
    }
}
