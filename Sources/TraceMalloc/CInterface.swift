// CInterface.swift: the Swift half of tracemalloc.h. Each function returns a code of that header's and words the failure.
import AllocationProfile
import CInterposer
import CTraceMalloc

/// The result of a call that may fail, and its sentence, cut to the room there is.
private func result(_ message: UnsafeMutablePointer<CChar>, _ capacity: Int, _ body: () throws(TracingError) -> Void) -> CInt {
    do throws(TracingError) {
        try body()
        return CInt(TRACEMALLOC_OK.rawValue)
    } catch {
        tm_ignore_begin()
        defer { tm_ignore_end() }
        let text = Array(error.description.utf8.prefix(capacity - 1))
        for (index, byte) in text.enumerated() { message[index] = CChar(bitPattern: byte) }
        message[text.count] = 0
        return CInt(code(error).rawValue)
    }
}

private func code(_ error: TracingError) -> tracemalloc_result {
    switch error {
    case .frameCount, .domain, .invalidRange: TRACEMALLOC_BAD_ARGUMENT
    case .notTracing: TRACEMALLOC_NOT_TRACING
    case .recordedElsewhere: TRACEMALLOC_RECORDED_ELSEWHERE
    case .cannotStart, .cannotLook: TRACEMALLOC_CANNOT_START
    case .overlappingRange: TRACEMALLOC_OVERLAP
    case .file: TRACEMALLOC_FILE
    }
}

@_cdecl("tm_api_start")
func apiStart(frames: CInt, message: UnsafeMutablePointer<CChar>, capacity: Int) -> CInt {
    result(message, capacity) { () throws(TracingError) in
        try AllocationTracer.start(frames: frames == 0 ? AllocationTracer.defaultFrameLimit : Int(frames))
    }
}

@_cdecl("tm_api_stop")
func apiStop() { AllocationTracer.stop() }

@_cdecl("tm_api_traced_memory")
func apiTracedMemory(current: UnsafeMutablePointer<Int>, peak: UnsafeMutablePointer<Int>) {
    let memory = AllocationTracer.tracedMemory
    current.pointee = memory.current.bytes
    peak.pointee = memory.peak.bytes
}

@_cdecl("tm_api_overhead")
func apiOverhead() -> Int { AllocationTracer.tracerOverhead }

@_cdecl("tm_api_clear")
func apiClear() { AllocationTracer.clearTraces() }

@_cdecl("tm_api_track")
func apiTrack(
    domain: CUnsignedInt, address: UnsafeRawPointer?, size: Int, stack: UInt32, message: UnsafeMutablePointer<CChar>, capacity: Int
) -> CInt {
    result(message, capacity) { () throws(TracingError) in try Tracer.shared.track(address, size, Int(domain), stack: stack) }
}

@_cdecl("tm_api_untrack")
func apiUntrack(domain: CUnsignedInt, address: UnsafeRawPointer?, message: UnsafeMutablePointer<CChar>, capacity: Int) -> CInt {
    result(message, capacity) { () throws(TracingError) in try Tracer.shared.untrack(address, Int(domain)) }
}

@_cdecl("tm_api_write_snapshot")
func apiWriteSnapshot(path: UnsafePointer<CChar>?, message: UnsafeMutablePointer<CChar>, capacity: Int) -> CInt {
    tm_ignore_begin()
    defer { tm_ignore_end() }
    let path = path.map { String(cString: $0) } ?? ""
    return result(message, capacity) { () throws(TracingError) in try AllocationTracer.takeSnapshot().write(to: path) }
}
