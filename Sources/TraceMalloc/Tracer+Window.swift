// Tracer+Window.swift: what one thread allocates, for tests that limit it.
package import AllocationProfile
package import AllocationRecording
import CInterposer

/// Counts what the calling thread allocates, while other threads allocate as well. There is one window in a process.
package enum AllocationWindow {
    /// Begins to trace if need be, and opens the window on the calling thread.
    package static func open() throws(TracingError) { try Tracer.shared.openWindow() }

    /// Closes it, on the same thread. Nil when it is not open any more: tracing was stopped.
    package static func close() -> WindowFigures? { Tracer.shared.closeWindow() }

    /// The figures' stacks with names, files and lines.
    package static func named(_ stacks: Snapshot) -> Snapshot {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        return Tracer.named(stacks)
    }

    /// Runs work that is not part of what is measured.
    package static func ignoring<Result>(_ body: () -> Result) -> Result {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        return body()
    }
}

extension Tracer {
    fileprivate func openWindow() throws(TracingError) {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        if tm_tracing() == TM_TRACING_SESSION { throw .recordedElsewhere }
        try start(frames: AllocationTracer.defaultFrameLimit)
        guard let collector = collector() else { throw .notTracing }
        guard collector.openWindow(at: tm_recording_now()) else { throw .cannotStart("memory is short") }
    }

    fileprivate func closeWindow() -> WindowFigures? {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        return collector()?.closeWindow(at: tm_recording_now(), frameLimit: frameLimit)
    }
}
