// ProcessSummary+Sampling.swift: how far the figures of a sample may be from the truth.

extension ProcessSummary {
    /// Bytes that an estimate of so many bytes may be too many or too few, 95 times out of 100.
    ///
    /// A block of s bytes that was recorded with the probability p = 1 - exp(-s / sampledEvery) adds (s / p)² · (1 - p) to the
    /// variance, which is never more than sampledEvery times the s / p bytes that it counts for. So this is a bound, a close one
    /// where blocks are smaller than sampledEvery, of every sum of bytes: in all, at the peak, of a line, of a type.
    package func margin(ofBytes bytes: Int) -> Int {
        Int((1.96 * (Double(sampledEvery) * Double(max(bytes, 0))).squareRoot()).rounded(.up))
    }

    /// A sentence for people; nil where all figures are exact.
    package var samplingNote: String? {
        guard sampledEvery > 0 else { return nil }
        func percent(_ bytes: Int) -> String {
            guard bytes > 0 else { return "" }
            let tenths = min(Int((Double(margin(ofBytes: bytes)) / Double(bytes) * 1000).rounded(.up)), 1000)
            return " ± \(tenths / 10).\(tenths % 10) %"
        }
        return "estimated, sampled every \(TextForm.size(sampledEvery)): allocated bytes\(percent(bytesAllocated)), "
            + "peak\(percent(peak.bytes)) (95 % confidence); parts of them less exactly"
    }
}
