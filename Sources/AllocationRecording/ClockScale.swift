// ClockScale.swift: from the recording's clock to seconds.

/// Two readings of the recording's clock and of CLOCK_MONOTONIC, taken together; the further apart the better.
struct ClockScale {
    let startClock: UInt64
    let startMonotonic: UInt64
    /// False for a shared counter: it orders, but knows no durations.
    let measuresTime: Bool
    private(set) var ticksPerSecond: Double

    init(startClock: UInt64, startMonotonic: UInt64, measuresTime: Bool) {
        self.startClock = startClock
        self.startMonotonic = startMonotonic
        self.measuresTime = measuresTime
        ticksPerSecond = 0
    }

    /// Reads the rate off from a later pair. What cannot be a clock (a damaged header) leaves the rate unknown.
    mutating func calibrate(clock: UInt64, monotonic: UInt64) {
        guard measuresTime, clock > startClock, monotonic > startMonotonic else { return }
        let rate = Double(clock - startClock) / Double(monotonic - startMonotonic) * 1e9
        if rate > 1e6 && rate < 1e11 { ticksPerSecond = rate }
    }

    /// Seconds since the start of the recording; 0 when unknown.
    func seconds(_ clock: UInt64) -> Double {
        ticksPerSecond > 0 && clock > startClock ? Double(clock - startClock) / ticksPerSecond : 0
    }

    func seconds(monotonic: UInt64) -> Double { monotonic > startMonotonic ? Double(monotonic - startMonotonic) / 1e9 : 0 }
}
