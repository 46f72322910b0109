// SwiftTypeNames.swift: names for the metadata that objects of a running process begin with.
import Glibc

/// Names the types of a process that runs, or of this one.
package enum SwiftTypeNames {
    /// A function that names the types of objects by their first word; nil for what is no object's.
    package static func namer(pid: Int32) -> (_ metadata: UInt64) -> String? {
        var objects = SwiftObjects(memory: RunningMemory(pid: pid), modules: modules(pid: pid))
        var names: [UInt64: String] = [:]
        // Libraries that were loaded later are looked for again, but not for every word that is no metadata.
        var failures = 0
        return { metadata in
            if let known = names[metadata] { return known }
            var name = objects.typeName(ofObjectsWithMetadata: metadata)
            if name == nil, metadata & 7 == 0, metadata > 4096, metadata < 1 << 47 {
                failures += 1
                if failures.nonzeroBitCount == 1 {
                    objects = SwiftObjects(memory: RunningMemory(pid: pid), modules: modules(pid: pid))
                    name = objects.typeName(ofObjectsWithMetadata: metadata)
                }
            }
            if let name, names.count < 1 << 20 { names[metadata] = name }
            return name
        }
    }

    /// Mapped files, and what the loader added to them.
    private static func modules(pid: Int32) -> [LoadedModule] {
        let file = open("/proc/\(pid)/maps", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var text: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while text.count < 64 << 20 {
            let count = read(file, &piece, piece.count)
            if count <= 0 { break }
            text += piece[..<count]
        }
        var modules: [LoadedModule] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 5)
            let bounds = fields.first?.split(separator: "-").compactMap { UInt64($0, radix: 16) } ?? []
            guard bounds.count == 2, bounds[0] < bounds[1] else { continue }
            let path = fields.count > 5 ? fields[5].drop { $0 == " " } : ""
            if let last = modules.last, last.addresses.upperBound == bounds[0], path.isEmpty || last.path == path {
                modules[modules.count - 1].addresses = last.addresses.lowerBound..<bounds[1]
            } else if path.hasPrefix("/") {
                modules.append(LoadedModule(addresses: bounds[0]..<bounds[1], path: String(path)))
            }
        }
        return modules
    }
}

/// The memory of a process as it is.
private struct RunningMemory: MemoryReader {
    let pid: Int32

    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var local = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        var remote = iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: buffer.count)
        let count = processVMRead(pid, &local, 1, &remote, 1, 0)
        if count > 0 || buffer.count <= 1 { return max(0, count) }
        // What is asked for may end behind the last page that is mapped.
        let rest = Int(4096 - address % 4096)
        guard rest < buffer.count else { return 0 }
        local.iov_len = rest
        remote.iov_len = rest
        return max(0, processVMRead(pid, &local, 1, &remote, 1, 0))
    }
}

/// Declared for GNU sources only, which Swift's Glibc module is not.
@_silgen_name("process_vm_readv")
private func processVMRead(
    _ process: Int32, _ local: UnsafePointer<iovec>, _ localCount: UInt, _ remote: UnsafePointer<iovec>, _ remoteCount: UInt, _ flags: UInt
) -> Int
