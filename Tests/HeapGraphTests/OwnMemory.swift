// OwnMemory.swift: the memory of the test process itself, read as that of another process would be.
import Glibc

@testable import HeapGraph

struct OwnMemory: MemoryReader {
    func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var local = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        var remote = iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: buffer.count)
        return max(0, processVMRead(getpid(), &local, 1, &remote, 1, 0))
    }

    /// Mapped files, as the list of modules gives them.
    static var modules: [LoadedModule] {
        var extents: [String: Range<UInt64>] = [:]
        guard let file = fopen("/proc/self/maps", "r") else { return [] }
        defer { fclose(file) }
        var previous: (end: UInt64, path: String) = (0, "")
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, 4096, file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let parts = text.split(separator: " ", maxSplits: 5).map(String.init)
            let bounds = parts[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            var path = parts.count > 5 ? parts[5].trimmingPrefix { $0 == " " }.description : ""
            // Zero-initialized data follows the file's own.
            if path.isEmpty, bounds[0] == previous.end { path = previous.path }
            previous = (bounds[1], path)
            guard path.hasPrefix("/") else { continue }
            let known = extents[path] ?? bounds[0]..<bounds[1]
            extents[path] = min(known.lowerBound, bounds[0])..<max(known.upperBound, bounds[1])
        }
        return extents.map { LoadedModule(addresses: $1, path: $0) }
    }

    static func address(_ object: AnyObject) -> UInt64 { UInt64(UInt(bitPattern: Unmanaged.passUnretained(object).toOpaque())) }

    private typealias Question = @convention(c) (UnsafeRawPointer?) -> Int

    /// The address sanitizer has an allocator of its own.
    private static let sanitizerSize = unsafeBitCast(dlsym(nil, "__sanitizer_get_allocated_size"), to: Question?.self)
    private static let sanitizerOwns = unsafeBitCast(dlsym(nil, "__sanitizer_get_ownership"), to: Question?.self)

    /// What the C library says in front of a block; 0 where that makes no sense.
    static func size(_ address: UInt64) -> UInt64 {
        if let size = sanitizerSize, let owns = sanitizerOwns {
            let block = UnsafeRawPointer(bitPattern: UInt(address))
            return owns(block) & 1 == 1 ? UInt64(size(block)) : 0
        }
        guard let header: UInt64 = OwnMemory().load(at: address &- 8), header & ~7 >= 32, header < 1 << 24 else { return 0 }
        return (header & ~7) - (header & 2 == 0 ? 8 : 16)
    }
}

/// Objects and their references as short lines, for comparison.
struct Looker {
    var objects = SwiftObjects(memory: OwnMemory(), modules: OwnMemory.modules)

    mutating func object(_ address: UInt64) -> HeapObject? { objects.object(at: address, size: OwnMemory.size(address)) }

    mutating func references(_ address: UInt64) -> [HeapReference] {
        guard let object = object(address) else { return [] }
        return objects.references(of: object, size: OwnMemory.size(address))
    }

    mutating func object(_ object: AnyObject) -> HeapObject? { self.object(OwnMemory.address(object)) }
    mutating func references(_ object: AnyObject) -> [HeapReference] { references(OwnMemory.address(object)) }

    /// `label strength`, without what only looks like a reference.
    mutating func labels(_ object: AnyObject) -> [String] {
        references(object).filter { $0.strength != .unknown }.map { "\($0.label) \($0.strength.rawValue)" }
    }

    /// Labels from an object along the first reference with each label.
    mutating func follow(_ object: AnyObject, _ path: String...) -> UInt64? {
        var at = OwnMemory.address(object)
        for label in path {
            guard let next = references(at).first(where: { $0.label == label }) else { return nil }
            at = next.target
        }
        return at
    }
}

/// Declared for GNU sources only, which Swift's Glibc module is not.
@_silgen_name("process_vm_readv")
private func processVMRead(
    _ process: pid_t, _ local: UnsafePointer<iovec>, _ localCount: UInt, _ remote: UnsafePointer<iovec>, _ remoteCount: UInt, _ flags: UInt
) -> Int
