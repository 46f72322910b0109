// KeptRecords.swift: the records of finished work that Dispatch keeps for the next work, with all that they were about.
import AllocationProfile

/// Each thread has a list of them (libdispatch's continuation cache): a thread-local names the first one, each leads to the next one,
/// and counts itself and those behind it. What else is in them is left of the past, a finished task for example, and holds nothing.
///
/// The thread-local is a word of the record that libdispatch has of each thread (struct dispatch_tsd): the thread's number, its
/// queue, its frame, its list. A record that is in use again is in no list.
struct KeptRecords {
    private(set) var blocks: Set<Int32> = []

    /// Where the next one is named, in bytes from the beginning.
    static let next: UInt64 = 16
    private static let count: UInt64 = 8
    private static let size: UInt64 = 64
    private static let most: UInt64 = 1 << 16
    /// Where a thread's list is named, in bytes from its number.
    private static let list: UInt64 = 24
    /// Thread-locals lie below the thread's control block.
    private static let threadLocals: UInt64 = 16 << 10

    init(_ program: FrozenProgram, _ table: BlockTable) {
        let memory = program.memory
        for thread in program.process.threads where thread.threadPointer > Self.threadLocals {
            let number = UInt64(UInt32(bitPattern: thread.id))
            var lists: [UInt64] = []
            _ = memory.forEachWord(in: (thread.threadPointer - Self.threadLocals)..<thread.threadPointer) { address, word in
                // The upper half of the number's word is not used.
                if word & 0xffff_ffff == number { lists.append(address &+ Self.list) }
            }
            for list in lists { if let first = memory.word(at: list) { take(first, memory, table) } }
        }
    }

    /// A list is one only as a whole: the counts fall to 1, and it ends there.
    private mutating func take(_ first: UInt64, _ memory: FrozenMemory, _ table: BlockTable) {
        var list: [Int32] = []
        var at = first
        guard var count = Self.count(at, memory, table) else { return }
        while true {
            list.append(table.find(at))
            guard let next = memory.word(at: at &+ Self.next) else { return }
            if next == 0 { break }
            guard count > 1, Self.count(next, memory, table) == count - 1 else { return }
            count -= 1
            at = next
        }
        if count == 1 { blocks.formUnion(list) }
    }

    /// What a record counts; half of the word is not written.
    private static func count(_ address: UInt64, _ memory: FrozenMemory, _ table: BlockTable) -> UInt64? {
        let block = table.find(address)
        guard block >= 0, table.start(of: block) == address, UInt64(table.addresses(of: block).count) == size,
            let word = memory.word(at: address &+ count)
        else { return nil }
        let count = word & 0xffff_ffff
        return count > 0 && count < most ? count : nil
    }
}
