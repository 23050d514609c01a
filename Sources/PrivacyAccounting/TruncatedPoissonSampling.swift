import Glibc

/// Poisson sampling that keeps a uniformly random part of a batch which came out larger than `largestBatch`.
///
/// Let K be the number of *other* units drawn. K does not depend on the unit that two data sets differ in, so it may be
/// thought of as public. Below the limit the unit joins the batch with probability q and moves the sum by at most C: the
/// losses of plain Poisson sampling. From the limit on, which happens with probability tau, the batch is full without
/// it, and with it a uniform part of one more: the unit replaces a uniformly chosen other one, with probability less than
/// q, and moves the sum by at most 2 C: at most the losses of Poisson sampling at half the noise multiplier. By joint
/// convexity the losses of a step are at most the mixture of the two with weights 1 - tau and tau. Both parts grow with
/// tau, and tau with the number of units, so the declared number covers every smaller one.
public struct TruncatedPoissonSampling: Hashable, Sendable {
    /// N, the largest number of units that the data set may have.
    public let datasetSize: Int
    /// q.
    public let rate: Double
    public let largestBatch: Int

    /// - Precondition: `rate` lies in 0...1; `datasetSize` and `largestBatch` are positive.
    public init(datasetSize: Int, rate: Double, largestBatch: Int) {
        precondition((0...1).contains(rate), "a sampling rate lies in 0...1")
        precondition(datasetSize > 0 && largestBatch > 0, "a data set and a batch have rows")
        self.datasetSize = datasetSize
        self.rate = rate
        self.largestBatch = largestBatch
    }

    /// tau, the probability that N - 1 units fill a batch, rounded up: the upper tail of a binomial distribution.
    public var probability: Double {
        let others = datasetSize - 1
        if largestBatch > others || rate == 0 { return 0 }
        if rate == 1 { return 1 }
        // Summed from the larger of limit and mode outwards, where terms fall faster and faster.
        let mode = max(largestBatch, Int(Double(datasetSize) * rate))
        var sum = 0.0
        let first = exp(logProbability(mode, of: others))
        var (count, term) = (mode, first)
        while count <= others, term > 1e-20 * first {
            sum += term
            term *= Double(others - count) / Double(count + 1) * rate / (1 - rate)
            count += 1
        }
        (count, term) = (mode, first)
        while count > largestBatch, term > 1e-20 * first {
            term *= Double(count) / Double(others - count + 1) * (1 - rate) / rate
            count -= 1
            sum += term
        }
        return min(1, sum * (1 + 1e-6))
    }

    private func logProbability(_ count: Int, of others: Int) -> Double {
        let (n, k) = (Double(others), Double(count))
        return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(rate) + (n - k) * log1p(-rate)
    }
}
