// Export.swift: snapshots in the formats of other tools.
package import AllocationProfile

/// A file format that other tools read.
package enum ExportFormat: String, CaseIterable, Sendable {
    /// `profile.proto`, gzip'ed: pprof, Pyroscope, Parca, speedscope.
    case pprof
    /// `main;load 4096`, a line for each stack: flamegraph.pl, inferno, speedscope, Firefox Profiler.
    case collapsed
    /// JSON of speedscope.app.
    case speedscope
    /// massif.out: ms_print, massif-visualizer.
    case massif
    /// DHAT's JSON, version 2: dh_view.html, Firefox Profiler.
    case dhat

    /// Not for terminals.
    package var isBinary: Bool { self == .pprof }
    /// A file describes one process: of several the first is taken.
    package var describesOneProcess: Bool { self == .massif }
    /// Holds what there is, whichever metric is asked for.
    package var ignoresMetric: Bool { self == .massif || self == .dhat }
}

/// Snapshots as a file of another tool: a pure function of the snapshots, the format and the metric.
///
/// Names are made printable as in all reports, and otherwise stay whole: tools tell functions apart by them.
package struct Export {
    private let snapshots: [Snapshot]
    private let format: ExportFormat
    private let metric: Metric

    /// - Parameter snapshots: the processes of a run. Their stacks are added up where the format has no processes.
    package init(_ snapshots: [Snapshot], as format: ExportFormat, measuring metric: Metric = .current) {
        self.snapshots = snapshots
        self.format = format
        self.metric = metric
    }

    /// Hands the file over in pieces. It is never in memory as a whole: with its names written out, a flame graph of
    /// 200,000 stacks is many times larger than the snapshot.
    package func write(to sink: @escaping (_ piece: [UInt8]) throws -> Void) throws {
        let stream = ExportStream(sink)
        switch format {
        case .pprof: try PprofExport(snapshots, measuring: metric).write(to: stream)
        case .collapsed: try CollapsedExport(snapshots, measuring: metric).write(to: stream)
        case .speedscope: try SpeedscopeExport(snapshots, measuring: metric).write(to: stream)
        case .massif: try MassifExport(snapshots.first ?? Snapshot(process: ProcessSummary())).write(to: stream)
        case .dhat: try DHATExport(snapshots).write(to: stream)
        }
        try stream.flush()
    }
}
