import Glibc
import PrivacyAccounting

/// Scores canaries by what was seen at their coordinates: the log-likelihood ratio between a canary that the sampler may
/// draw and one that it cannot.
///
/// A canary drawn in step t moves C X by column t of the strategy C, which has norm 1 (``BandedStrategy``); without a strategy
/// C is the identity. So the column's inner product with what C X + Z shows of the canary's coordinate is its length or
/// zero, plus noise of the claimed deviation. Where the sampler lets a record into every k-th batch only, from a first one
/// that nobody knows, the likelihood is the mean over the possible ones.
struct ParticipationScores {
    private let drawingRate: Double
    /// Log-likelihood ratios by first batch, then by canary.
    private var ratios: [[Double]]
    private var whitening: NoiseWhitening
    /// Inner products with columns that have further rows, by step, the earliest first.
    private var open: [(length: Double, products: [Double])] = []
    private var step = 0

    init(count: Int, sampler: BatchSampler, strategy: BandedStrategy?) {
        drawingRate = sampler.drawingRate
        ratios = Array(repeating: Array(repeating: 0, count: count), count: sampler.separation)
        whitening = NoiseWhitening(strategy)
    }

    /// - Parameters:
    ///   - values: what the next step released beyond the rows' sum, by canary, in deviations of the claimed noise.
    ///   - length: of a canary's contribution, in the same units.
    mutating func add(_ values: [Double], length: Double) {
        let seen = whitening.next(values)
        open.append((length, Array(repeating: 0, count: values.count)))
        for place in open.indices {
            let lag = open.count - 1 - place
            let entry = whitening.strategy?.entry(row: step, lag: lag) ?? 1
            for canary in seen.indices { open[place].products[canary] += entry * seen[canary] }
        }
        step += 1
        if open.count == whitening.strategy?.diagonals.count ?? 1 { close() }
    }

    /// The scores of all canaries. To be called after the last step.
    mutating func finish() -> [Double] {
        while !open.isEmpty { close() }
        let share = log(Double(ratios.count))
        return ratios[0].indices.map { canary in
            let largest = ratios.reduce(-Double.infinity) { max($0, $1[canary]) }
            return largest + log(ratios.reduce(0) { $0 + exp($1[canary] - largest) }) - share
        }
    }

    /// Takes in the earliest open step.
    private mutating func close() {
        let (length, products) = open.removeFirst()
        let first = (step - 1 - open.count) % ratios.count
        for canary in products.indices { ratios[first][canary] += logLikelihoodRatio(products[canary], length) }
    }

    /// log of (1 - q) + q exp(x L - L^2 / 2).
    private func logLikelihoodRatio(_ value: Double, _ length: Double) -> Double {
        let ratio = value * length - length * length / 2
        if drawingRate >= 1 { return ratio }
        let (drawn, left) = (log(drawingRate) + ratio, log1p(-drawingRate))
        let larger = max(drawn, left)
        return larger + log1p(exp(min(drawn, left) - larger))
    }
}
