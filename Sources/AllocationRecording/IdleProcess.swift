// IdleProcess.swift: a process that was started with TRACEMALLOC_START=0, and how it is ordered to begin.
import CRecording
import Glibc

/// A process of this user whose preloaded library waits for an order.
///
/// The library looks at one page with every call. The page is shared memory that the process's memory map names.
package struct IdleProcess: ~Copyable {
    package let pid: Int32
    private let page: UnsafeMutablePointer<tm_rendezvous>

    /// - Throws: a sentence about why the process cannot be started.
    package init(pid: Int32) throws(RecordingError) {
        var status = stat()
        guard pid > 0, stat("/proc/\(pid)", &status) == 0 else { throw .cannotStart(pid: pid, .gone) }
        guard status.st_uid == geteuid() else { throw .cannotStart(pid: pid, .foreign) }
        if SessionRequest.isRecorded(pid) { throw .cannotStart(pid: pid, .recorded) }
        guard let maps = SystemCalls.wholeFile("/proc/\(pid)/maps", limit: 64 << 20) else { throw .cannotStart(pid: pid, .unreadable) }
        var refusal = StartRefusal.notIdle
        for number in Self.segments(in: maps) {
            guard let page = tm_rendezvous_attach(number) else { continue }
            if page.pointee.magic == 0x3145_4c44_4943_4c41 {
                if page.pointee.version == TM_RECORDING_VERSION {
                    self.pid = pid
                    self.page = page
                    return
                }
                refusal = .otherVersion
            }
            tm_rendezvous_detach(page)
        }
        throw .cannotStart(pid: pid, refusal)
    }

    deinit { tm_rendezvous_detach(page) }

    /// Whether the process is there and has not taken the order yet.
    package var isWaiting: Bool { tm_load32(epochWord) == 0 && isAlive }
    package var isAlive: Bool { ProcessFiles.state(of: pid).map { $0.letter != UInt8(ascii: "Z") } ?? false }

    /// The process joins the session with its next allocation. To be repeated until it has: it may be about to become idle.
    package func order(session: String, frameLimit: Int) -> Bool {
        let bytes = Array(session.utf8) + [0]
        guard bytes.count <= Int(TM_ORDER_PATH) else { return false }
        withUnsafeMutableBytes(of: &page.pointee.session) { $0.copyBytes(from: bytes) }
        page.pointee.frame_limit = UInt32(clamping: frameLimit)
        tm_store32(&page.pointee.target, UInt32(pid))
        tm_store64(&page.pointee.epoch, 0)
        return true
    }

    private var epochWord: UnsafeMutablePointer<UInt32> { UnsafeMutableRawPointer(page).assumingMemoryBound(to: UInt32.self) }

    /// Numbers of the System V segments of one page in a memory map: their inode.
    static func segments(in maps: [UInt8]) -> [Int32] {
        maps.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count >= 6, fields[5].starts(with: "/SYSV".utf8), fields[1].elementsEqual("rw-s".utf8) else { return nil }
            let range = fields[0].split(separator: UInt8(ascii: "-")).compactMap { UInt64(String(decoding: $0, as: UTF8.self), radix: 16) }
            guard range.count == 2, range[1] &- range[0] == UInt64(TM_PAGE) else { return nil }
            return Int32(String(decoding: fields[4], as: UTF8.self))
        }
    }
}

/// Why a running process cannot be made to record.
package enum StartRefusal: Hashable, Sendable {
    case gone
    case foreign
    case recorded
    case unreadable
    case notIdle
    case otherVersion
    case endedMeanwhile
}
