// TimelineTests.swift: memory over time stays small and true.
import AllocationProfile
import CRecording
import Testing

@testable import AllocationRecording

@Suite struct TimelineTests {
    @Test func `a long run has few points, evenly spread, each with the live memory of its time`() throws {
        let program = FakeProgram(FakeProgram.Options(capacityStart: 1024))
        _ = program.addRing()
        let stack = program.addStack([10])
        let recording = try program.recording()
        defer { recording.free() }
        // One event a thousand ticks, one more byte each.
        for event in 1...20_000 {
            program.emit(TM_EVENT_ALLOCATE, address: UInt64(event) << 4, size: 1, stack: stack, time: UInt64(event) * 1000)
            program.header.pointee.shared_clock = UInt64(event) * 1000 + 1
            guard event % 500 == 0 else { continue }
            // Largest stacks are looked for at intervals of real time, of which this test takes next to none.
            recording.nextLargest = 0
            _ = recording.round()
        }
        let points = recording.timeline.points
        #expect((Timeline.mostPoints / 4...Timeline.mostPoints).contains(points.count))
        for point in points { #expect(point.live.bytes == Int(point.clock / 1000)) }
        let distances = Set(zip(points, points.dropFirst()).map { $1.clock - $0.clock })
        #expect(distances.max()! <= recording.timeline.interval)
        let result = recording.snapshot(frameLimit: 8, at: SystemCalls.monotonic())
        #expect(result.timeline.last?.live == Tally(bytes: 20_000, count: 20_000))
        #expect(result.timeline.contains { $0.largest.first?.stack == 1 })
        #expect(result.timeline.allSatisfy { $0.residentBytes > 0 })
        #expect(zip(result.timeline, result.timeline.dropFirst()).allSatisfy { $0.time <= $1.time })
    }

    @Test func `a pause is two points, at its beginning and at its end`() {
        var timeline = Timeline(start: 0, interval: 10)
        func point(_ clock: UInt64) -> Timeline.Point { .init(clock: clock, seconds: 0, live: .zero, residentBytes: 0, largest: []) }
        timeline.add(point(timeline.next))
        timeline.skip(to: 1_000_000_005)
        #expect(timeline.next == 1_000_000_000)
    }
}
