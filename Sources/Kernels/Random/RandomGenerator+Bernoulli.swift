extension RandomGenerator {
    /// True with exactly the probability `probability`, for every double that is a multiple of 2^-128.
    ///
    /// - Precondition: `probability` lies in 0...1.
    public func bernoulli(_ probability: Double) -> Bool {
        let threshold = BernoulliThreshold(probability)
        return threshold.accepts(next(), self)
    }

    /// A Poisson sample: every index of 0..<`count` independently with exactly probability `rate`, ascending.
    ///
    /// One 64-bit word is compared per index; skipping ahead by geometric gaps would need logarithms, whose rounding
    /// changes the probabilities. A million indices take about two milliseconds.
    /// - Precondition: `count` is not negative and `rate` lies in 0...1.
    public func poissonSample(of count: Int, rate: Double) -> [Int] {
        precondition(count >= 0, "a data set has zero or more rows")
        let threshold = BernoulliThreshold(rate)
        if threshold.isCertain { return Array(0..<count) }
        var sample: [Int] = []
        sample.reserveCapacity(min(count, Int(Double(count) * rate * 1.1) + 64))
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 1024) { words in
            defer { wipe(UnsafeMutableRawBufferPointer(words)) }
            for start in stride(from: 0, to: count, by: words.count) {
                let block = UnsafeMutableBufferPointer(rebasing: words.prefix(count - start))
                fill(UnsafeMutableRawBufferPointer(block))
                for offset in block.indices where threshold.accepts(UInt64(littleEndian: block[offset]), self) {
                    sample.append(start + offset)
                }
            }
        }
        return sample
    }
}

/// A probability as a 128-bit binary fraction.
private struct BernoulliThreshold {
    private let high: UInt64
    private let low: UInt64
    /// The probability is 1, which no fraction below 1 expresses.
    let isCertain: Bool

    init(_ probability: Double) {
        precondition((0...1).contains(probability), "a probability lies in 0...1")
        isCertain = probability == 1
        // Multiplying by a power of two, cutting and subtracting are all exact.
        let scaled = isCertain ? 0 : probability * 0x1p64
        high = UInt64(scaled)
        low = UInt64((scaled - Double(high)) * 0x1p64)
    }

    /// Whether the uniform fraction that begins with `word` lies below the probability.
    @inline(__always)
    func accepts(_ word: UInt64, _ generator: some RandomGenerator) -> Bool {
        if word != high { return word < high || isCertain }
        return isCertain || generator.next() < low
    }
}
