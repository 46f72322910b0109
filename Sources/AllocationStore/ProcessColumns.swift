// ProcessColumns.swift: the figures of a process, named once for writing and reading.
import AllocationProfile

/// Columns of `process` that are plain numbers of the summary.
enum ProcessColumns {
    static let integers: [(column: Int32, field: WritableKeyPath<ProcessSummary, Int> & Sendable)] = [
        (9, \.allocations), (10, \.frees), (11, \.bytesAllocated), (12, \.bytesFreed), (13, \.current.bytes), (14, \.current.count),
        (15, \.peak.bytes), (16, \.peak.count), (18, \.temporaryAllocations), (19, \.temporaryBytes), (20, \.unknownFrees),
        (21, \.reentrantEvents), (22, \.lostEvents), (23, \.lostStacks), (24, \.truncatedStacks), (25, \.incompleteStacks),
        (26, \.walks), (27, \.walkDifferences), (28, \.walkFallbacks), (29, \.peakRSS), (30, \.collectorEvents),
        (31, \.collectorMemory), (32, \.frameLimit), (34, \.sampledEvery),
    ]
}
