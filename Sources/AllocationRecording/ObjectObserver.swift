// ObjectObserver.swift: reads the first word of objects while their process lives: it says the type.
//
// A word is believed when the block that it was read from was alive all the while, which later events tell. The event loop
// stops at both ends of the reading, to see whose the address was:
//
//     probe (address) ─► read, from time a to time b ─► loop is at a: whose block? ─► loop is at b: still the same: that stack's type
//                                                                                   └► another one of the same stack: a good guess
import AllocationProfile
import CRecording
import Glibc

/// The types of one recording's objects. Belongs to the thread that serves it.
final class ObjectObserver {
    /// What is known about a stack.
    private struct Sight {
        /// Types that were certainly seen, in order.
        var types: [Int32] = []
        /// Types of blocks that were freed too soon to be certain.
        var guesses: [Int32: Int] = [:]
    }

    private struct Reading {
        var address: HiddenAddress
        var word: UInt64
        /// The stack and birth of the block that was there when the reading began; node 0: none.
        var node: UInt32 = 0
        var birth: UInt64 = 0
    }

    /// How far the event loop is with the readings.
    private enum Stage {
        case none
        case begins(UInt64, end: UInt64)
        case ends(UInt64)
    }

    /// The type of a live block when it was last looked at.
    private struct Look {
        var birth: UInt64
        var type: Int32
    }

    private let pid: Int32
    private let source: ObjectTypeSource
    private lazy var name = source.namer(pid)
    private(set) var types: [String] = []
    private var numbers: [String: Int32] = [:]
    private var sights: [UInt32: Sight] = [:]
    private var readings: [Reading] = []
    private var stage = Stage.none
    private var looks: [HiddenAddress: Look] = [:]

    private static let mostTypes = 1 << 16
    private static let mostLooks = 2_000_000

    init(pid: Int32, source: ObjectTypeSource) {
        self.pid = pid
        self.source = source
    }

    // MARK: While events come

    /// The event loop is to stop behind this time.
    var nextPause: UInt64 {
        switch stage {
        case .none: .max
        case .begins(let time, _): time
        case .ends(let time): time
        }
    }

    /// The event loop has taken all events before `clock`, and none later.
    func passed(_ clock: UInt64, _ ledger: Unsafe.Ledger) {
        if case .begins(let time, let end) = stage, time < clock {
            for index in readings.indices {
                guard let block = ledger.live.block(at: readings[index].address.value), ledger.rows.rows[block.row].isObjects else {
                    continue
                }
                readings[index].node = ledger.rows.rows[block.row].node
                readings[index].birth = block.birth
            }
            stage = .ends(end)
        }
        if case .ends(let time) = stage, time < clock {
            for reading in readings where reading.node != 0 { judge(reading, ledger) }
            readings.removeAll(keepingCapacity: true)
            stage = .none
        }
    }

    /// Reads what the event loop came across.
    func read(_ probes: inout Unsafe.ObjectProbes, region: Unsafe.Region) {
        guard case .none = stage, probes.count > 0 else { return }
        let addresses = probes.take()
        let begin = region.now()
        let words = Unsafe.words(at: addresses, ofProcess: pid)
        let end = region.now()
        for (address, word) in zip(addresses, words) where word != 0 {
            readings.append(Reading(address: HiddenAddress(address), word: word))
        }
        if !readings.isEmpty { stage = .begins(begin, end: end) }
    }

    private func judge(_ reading: Reading, _ ledger: Unsafe.Ledger) {
        guard let block = ledger.live.block(at: reading.address.value), ledger.rows.rows[block.row].node == reading.node,
            let type = type(reading.word)
        else { return }
        if block.birth == reading.birth {
            (ledger.rows.rows.base + block.row).pointee.untilProbe |= Unsafe.Row.sighted
            if sights[reading.node]?.types.contains(type) != true { sights[reading.node, default: Sight()].types.append(type) }
        } else {
            sights[reading.node, default: Sight()].guesses[type, default: 0] += 1
        }
    }

    /// The number of the type whose objects begin with a word.
    private func type(_ word: UInt64) -> Int32? {
        guard let text = name(word) else { return nil }
        if let known = numbers[text] { return known }
        guard types.count < Self.mostTypes else { return nil }
        let number = Int32(types.count)
        types.append(text)
        numbers[text] = number
        return number
    }

    // MARK: For a snapshot

    /// Looks at the live blocks of stacks with several types, and of those that are too new to have been seen.
    func look(_ ledger: Unsafe.Ledger) {
        var wanted = Set<Int>()
        for row in 1..<ledger.rows.count where ledger.rows.rows[row].isObjects && ledger.rows.rows[row].currentCount > 0 {
            if sights[ledger.rows.rows[row].node]?.types.count != 1 { wanted.insert(row) }
        }
        looks.removeAll(keepingCapacity: true)
        guard !wanted.isEmpty else { return }
        var blocks: [Unsafe.Block] = []
        ledger.live.visit { block in
            if wanted.contains(block.row), blocks.count < Self.mostLooks { blocks.append(block) }
        }
        for (block, word) in zip(blocks, Unsafe.words(at: blocks.map(\.address), ofProcess: pid)) where word != 0 {
            guard let type = type(word) else { continue }
            let node = ledger.rows.rows[block.row].node
            if sights[node]?.types.contains(type) != true { sights[node, default: Sight()].types.append(type) }
            looks[HiddenAddress(block.address)] = Look(birth: block.birth, type: type)
        }
    }

    /// Puts the types of all object stacks into a snapshot.
    func add(to snapshot: inout Snapshot, _ ledger: Unsafe.Ledger, stackOfRow: [Int32]) {
        guard ledger.hasObjects else { return }
        var live: [UInt64: Tally] = [:]
        func key(_ stack: Int32, _ type: Int32) -> UInt64 { UInt64(UInt32(bitPattern: stack)) << 32 | UInt64(UInt32(bitPattern: type)) }
        let unknown = Int32(types.count)
        var usesUnknown = false
        for row in 1..<ledger.rows.count where ledger.rows.rows[row].isObjects {
            let sight = sights[ledger.rows.rows[row].node]
            var seen = sight?.types ?? []
            if seen.isEmpty, let guess = sight?.guesses.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key { seen = [guess] }
            if seen.isEmpty {
                seen = [unknown]
                usesUnknown = true
            }
            for type in seen { live[key(stackOfRow[row], type), default: .zero] += .zero }
        }
        for (address, look) in looks {
            guard let block = ledger.live.block(at: address.value), look.birth == block.birth, block.row < stackOfRow.count else {
                continue
            }
            let key = key(stackOfRow[block.row], look.type)
            let count = ledger.count(of: block)
            if live[key] != nil { live[key, default: .zero] += Tally(bytes: block.size &* count, count: count) }
        }
        snapshot.types = types + (usesUnknown ? [Snapshot.unknownType] : [])
        snapshot.objects = live.keys.sorted().map { key in
            ObjectCost(stack: Int32(truncatingIfNeeded: key >> 32), type: Int32(truncatingIfNeeded: key), live: live[key] ?? .zero)
        }
    }
}

extension Unsafe {
    private static let batch = 256

    /// The word at each address of a process; 0 where it cannot be read.
    static func words(at addresses: [UInt64], ofProcess pid: Int32) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: addresses.count)
        var remote = [iovec](repeating: iovec(), count: min(batch, addresses.count))
        var next = 0
        while next < addresses.count {
            let count = min(batch, addresses.count - next)
            for index in 0..<count {
                remote[index] = iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(addresses[next + index])), iov_len: 8)
            }
            let copied = words.withUnsafeMutableBytes { bytes in
                var local = iovec(iov_base: bytes.baseAddress! + next * 8, iov_len: count * 8)
                return processVMRead(pid, &local, 1, &remote, UInt(count), 0)
            }
            // The process is gone, or not ours to read.
            if copied < 0, errno != EFAULT { break }
            // It stops at the first address that is not mapped: that one is passed over.
            let whole = max(0, copied) / 8
            next += whole == count ? count : whole + 1
        }
        return words
    }
}

/// Declared for GNU sources only, which Swift's Glibc module is not.
@_silgen_name("process_vm_readv")
private func processVMRead(
    _ process: Int32, _ local: UnsafePointer<iovec>, _ localCount: UInt, _ remote: UnsafePointer<iovec>, _ remoteCount: UInt, _ flags: UInt
) -> Int
