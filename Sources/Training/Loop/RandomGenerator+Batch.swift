public import Kernels
public import PrivacyAccounting

extension RandomGenerator {
    /// The rows of one logical batch out of 0..<`count`, ascending.
    public func batch(of count: Int, _ sampler: BatchSampler) -> [Int] {
        switch sampler {
        case .full: return Array(0..<count)
        case .poisson(let rate): return poissonSample(of: count, rate: rate)
        case .truncatedPoisson(let rate, let largestBatch):
            var rows = poissonSample(of: count, rate: rate)
            guard rows.count > largestBatch else { return rows }
            shuffle(&rows)
            return rows.prefix(largestBatch).sorted()
        }
    }
}
