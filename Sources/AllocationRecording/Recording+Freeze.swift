// Recording+Freeze.swift: the process stands still for a moment; its memory and its live blocks of that moment.
package import AllocationProfile
import CFreezer
import CRecording
import Glibc

/// A process's heap at one moment, and the stacks that allocated it.
package struct FrozenHeap: Sendable {
    package var image: HeapImage
    /// `FrozenProcess.Block.stack` is a stack of it.
    package var snapshot: Snapshot
    package var process: FrozenProcess
    /// The generation of the blocks that the thread with the open window allocated.
    package var windowGeneration: Int32?

    package init(image: HeapImage, snapshot: Snapshot) {
        self.image = image
        self.snapshot = snapshot
        process = image.process
    }
}

extension Recording {
    /// Stops the process, copies its memory, lets it go on, and then takes its events up to that moment.
    ///
    /// Rings need not be read while the process stands still: its clock tells which events are older. An event that was
    /// being written then had its time already; the block is in the table, and a thread's registers or stack hold it.
    func freeze(intoFile: Bool, frameLimit: Int) throws(RecordingError) -> FrozenHeap {
        if region.header.pointee.sample_interval != 0 {
            throw .cannotFreeze(
                pid: pid, reason: "only a sample of its blocks is recorded (--sample), and who points to whom needs them all")
        }
        var freeze = tm_freeze()
        freeze.pid = pid
        freeze.wants_file = intoFile ? 1 : 0
        freeze.recording_inode = region.inode
        let memory = try take(&freeze) { tm_freeze_process(&$0) }
        try catchUpOrThrow(to: memory.header.clock)
        return frozenHeap(memory, frameLimit: frameLimit, isFromStart: true)
    }

    /// The same for the process that this code runs in, on the thread that collects. Blocks that are older than the recording are
    /// not known to it.
    func freezeThisProcess(frameLimit: Int, ownMemory: [Range<UInt64>]) throws(RecordingError) -> FrozenHeap {
        var freeze = tm_freeze()
        freeze.pid = pid
        let own = Unsafe.ownMemory + ownMemory
        // It would be in the picture, full of numbers that may look like addresses.
        known = nil
        let memory = try take(&freeze, leavingOut: own) { tm_freeze_process(&$0) }
        try catchUpOrThrow(to: memory.header.clock)
        var heap = frozenHeap(memory, frameLimit: frameLimit, isFromStart: false)
        heap.process.ownMemory += own
        heap.process.ownThreads = [Int32(truncatingIfNeeded: tm_thread_id())]
        heap.windowGeneration = Int32(truncatingIfNeeded: merge.ledger.window.generation)
        return heap
    }

    private func catchUpOrThrow(to clock: UInt64) throws(RecordingError) {
        if catchUp(exactlyTo: clock) { return }
        throw .cannotFreeze(
            pid: pid, reason: isOver ? "its recording is damaged" : "one of its threads stands still in the middle of an allocation")
    }

    /// The blocks and stacks that belong to an image; all events up to it have been taken.
    func frozenHeap(_ memory: Unsafe.ImageMemory, frameLimit: Int, isFromStart: Bool) -> FrozenHeap {
        let (snapshot, stackOfRow) = picture(frameLimit: frameLimit, at: SystemCalls.monotonic())
        var blocks: [FrozenProcess.Block] = []
        blocks.reserveCapacity(merge.ledger.live.count)
        merge.ledger.live.visit { block in
            blocks.append(
                FrozenProcess.Block(
                    address: block.address, size: UInt64(block.size), stack: stackOfRow[block.row], generation: Int32(block.generation)))
        }
        blocks.sort { $0.address < $1.address }
        // In the middle of a realloc a block is at its old place or at a new one, of which nothing is known yet.
        var isReallocating = false
        merge.ledger.visitReleases { block in
            isReallocating = true
            guard let block else { return }
            blocks.insert(
                released: FrozenProcess.Block(
                    address: block.address, size: UInt64(block.size), stack: stackOfRow[block.row], generation: Int32(block.generation)))
        }
        let header = region.header.pointee
        let totals = merge.ledger.totals
        let knowsAll =
            isFromStart && !isReallocating && header.own_moments == 0 && header.reentrant_events == 0 && header.lost_events == 0
            && totals.unknownFrees == 0 && totals.forgotten == 0
        let isEnding = tm_load32(exitWord) == TM_EXIT_WAITING.rawValue
        let exit = isEnding ? (thread: Int32(truncatingIfNeeded: header.exit_thread), stack: header.exit_stack) : nil
        var heap = FrozenHeap(image: HeapImage(memory, blocks: blocks, knowsAllBlocks: knowsAll, exit: exit), snapshot: snapshot)
        if header.private_start < header.private_end { heap.process.ownMemory = [header.private_start..<header.private_end] }
        return heap
    }

    /// Asks the kernel, with what does not depend on who asks.
    func take(
        _ freeze: inout tm_freeze, leavingOut further: [Range<UInt64>] = [], _ ask: (inout tm_freeze) -> Void
    ) throws(RecordingError) -> Unsafe.ImageMemory {
        let header = region.header.pointee
        let ranges =
            further.map { tm_range(start: $0.lowerBound, end: $0.upperBound) }
            + [tm_range(start: header.private_start, end: header.private_end)]
        freeze.most_bytes = SystemCalls.availableMemory() / 4 * 3
        let clock = header.clock == UInt32(TM_CLOCK_SHARED.rawValue) ? sharedClock : nil
        ranges.withUnsafeBufferPointer { ranges in
            freeze.left_out = ranges.baseAddress
            freeze.left_out_count = ranges.count
            freeze.shared_clock = clock
            freeze.turn = UnsafeMutableRawPointer(turn).assumingMemoryBound(to: UInt64.self)
            ask(&freeze)
        }
        guard freeze.fault == TM_FREEZE_DONE, freeze.image != nil else { throw .cannotFreeze(pid: pid, reason: Self.reason(freeze)) }
        return Unsafe.ImageMemory(freeze)
    }

    private var sharedClock: UnsafePointer<UInt64> {
        UnsafePointer((region.base + MemoryLayout<tm_header>.offset(of: \.shared_clock)!).assumingMemoryBound(to: UInt64.self))
    }

    private static func reason(_ freeze: tm_freeze) -> String {
        switch freeze.fault {
        case TM_FREEZE_GONE: "it has ended"
        case TM_FREEZE_REPLACED: "it has become another program (exec); ask again"
        case TM_FREEZE_UNSTOPPABLE:
            "its thread \(freeze.code) does not stop, because it waits in the kernel (for a disk, or for a child of vfork); ask again"
        case TM_FREEZE_NO_MEMORY:
            "an image of its memory takes \(freeze.bytes >> 20) MiB, which are not available; free some memory"
        case TM_FREEZE_NO_FILES: "/proc/\(freeze.pid) is not readable: \(SystemCalls.message(freeze.code))"
        case TM_FREEZE_NO_PROCESS: "no process could be started to look at it: \(SystemCalls.message(freeze.code))"
        default: refusal(freeze)
        }
    }

    /// Why the kernel does not let us trace it.
    private static func refusal(_ freeze: tm_freeze) -> String {
        let status = SystemCalls.contents(of: "/proc/\(freeze.pid)/status").map { String(decoding: $0, as: UTF8.self) } ?? ""
        let tracer = status.split(separator: "\n").first { $0.hasPrefix("TracerPid:") }?.split(whereSeparator: \.isWhitespace).last
        if let tracer, tracer != "0" { return "process \(tracer) traces it already (a debugger?); end that first" }
        let scope = SystemCalls.contents(of: "/proc/sys/kernel/yama/ptrace_scope")?.first.map { $0 &- UInt8(ascii: "0") } ?? 0
        return switch scope {
        case 1:
            "the kernel lets only its ancestors trace it (kernel.yama.ptrace_scope is 1); start it with tracemalloc run"
        case 2: "the kernel lets only root trace processes (kernel.yama.ptrace_scope is 2); ask as root"
        case 3: "the kernel lets nobody trace processes (kernel.yama.ptrace_scope is 3)"
        default:
            "no permission to trace it (\(SystemCalls.message(freeze.code))): it changed its user, is not dumpable, or the container "
                + "forbids ptrace (allow it with --cap-add=SYS_PTRACE)"
        }
    }

    // MARK: The program's end

    private var exitWord: UnsafeMutablePointer<UInt32> {
        (region.base + MemoryLayout<tm_header>.offset(of: \.exit_check)!).assumingMemoryBound(to: UInt32.self)
    }

    var waitsAtItsEnd: Bool { !isOver && tm_load32(exitWord) == TM_EXIT_WAITING.rawValue }

    func letEnd() {
        if tm_swap32(exitWord, TM_EXIT_WAITING.rawValue, TM_EXIT_CHECKED.rawValue) { _ = tm_futex_wake(exitWord, .max) }
    }
}

extension [FrozenProcess.Block] {
    /// Adds a block that may be gone already, unless others are in its place. Ascending by address.
    fileprivate mutating func insert(released block: FrozenProcess.Block) {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].address < block.address { low = middle + 1 } else { high = middle }
        }
        let isBehind = low == 0 || self[low - 1].address &+ self[low - 1].size <= block.address
        let isBefore = low == count || self[low].address >= block.address &+ Swift.max(block.size, 1)
        if isBehind && isBefore { insert(block, at: low) }
    }
}

/// Images in memfds of ours, each reached by a link in the session directory. The asking process removes the link when it has
/// the image mapped.
struct HandedOutImages {
    private var images: [(link: String, image: HeapImage)] = []

    mutating func add(_ image: HeapImage, at link: String) -> Bool {
        guard symlink("/proc/\(getpid())/fd/\(image.memory.file)", link) == 0 else { return false }
        images.append((link, image))
        return true
    }

    mutating func release() {
        images.removeAll { link, _ in
            var status = stat()
            if lstat(link, &status) != 0 { return true }
            // answer.CLIENT.NUMBER.image
            let parts = link.split(separator: "/").last?.split(separator: ".") ?? []
            guard parts.count == 4, let client = Int32(parts[1]), kill(client, 0) != 0, errno == ESRCH else { return false }
            unlink(link)
            return true
        }
    }
}
