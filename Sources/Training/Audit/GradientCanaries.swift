import Glibc
import Kernels
import PrivacyAccounting

/// Canaries of an audit: records whose gradient is one coordinate of the parameters, as long as the longest contribution
/// that the audited engine lets a row make.
///
/// Sampling draws them as it draws rows, and whoever sees the noisy sums looks for them there: the white-box attack with
/// Dirac canaries of Steinke, Nasr and Jagielski (2023). The attacker knows everything else, as the guarantee allows: the
/// rows' share of each sum is taken out, so that what is left at a canary's coordinate is noise, and in steps that drew
/// the canary, its contribution.
final class GradientCanaries {
    /// Canaries put into the data.
    let included: [Int]
    let isIncluded: [Bool]
    /// By canary: log-likelihood ratio of being in the data, of what all steps so far released.
    private(set) var scores: [Double]
    private let places: [Place]
    /// Length of a canary's contribution.
    private let length: Float
    private let samplingRate: Double
    private let noiseDeviation: Double
    private let clippingNorm: Double
    private var sums: [Float]

    private struct Place {
        var parameter: String
        var index: Int
    }

    /// - Parameters:
    ///   - claim: what the attacker believes of sampling and noise.
    ///   - length: of a contribution, in the units of gradients.
    init(
        count: Int, parameters: [(name: String, count: Int)], claim: PrivacyMechanism, length: Double,
        generator: any RandomGenerator
    ) {
        let offsets = parameters.reduce(into: [0]) { $0.append($0.last! + $1.count) }
        let coordinates = Self.coordinates(count, of: offsets.last!, generator)
        places = coordinates.map { coordinate in
            var parameter = 0
            while offsets[parameter + 1] <= coordinate { parameter += 1 }
            return Place(parameter: parameters[parameter].name, index: coordinate - offsets[parameter])
        }
        isIncluded = (0..<count).map { _ in generator.bernoulli(0.5) }
        included = isIncluded.indices.filter { [isIncluded] in isIncluded[$0] }
        scores = Array(repeating: 0, count: count)
        sums = Array(repeating: 0, count: count)
        self.length = Float(length)
        samplingRate = claim.sampler.samplingRate
        clippingNorm = claim.clippingNorm
        noiseDeviation = claim.noiseMultiplier * claim.clippingNorm
    }

    /// Distinct coordinates as long as there are enough; beyond that canaries share them.
    private static func coordinates(_ count: Int, of total: Int, _ generator: any RandomGenerator) -> [Int] {
        var chosen: [Int] = []
        var seen: Set<Int> = []
        while chosen.count < count {
            if seen.count == total { seen = [] }
            // Drawing until a new one comes up is quick while half of them are free.
            if seen.count * 2 < total {
                let coordinate = Int(generator.uniform(below: UInt64(total)))
                if seen.insert(coordinate).inserted { chosen.append(coordinate) }
            } else {
                var rest = (0..<total).filter { !seen.contains($0) }
                generator.shuffle(&rest)
                chosen += rest.prefix(count - chosen.count)
                seen = []
            }
        }
        return chosen
    }

    /// Adds the contributions of drawn canaries, given as positions in `included`.
    func add(_ drawn: [Int], to engine: GradientEngine) {
        for (canary, place) in places.enumerated() { sums[canary] = engine.sum(of: place.parameter)[place.index] }
        for canary in drawn.map({ included[$0] }) {
            engine.sum(of: places[canary].parameter)[places[canary].index] += length
        }
    }

    /// Takes in what a step released.
    func observe(_ engine: GradientEngine) {
        for (canary, place) in places.enumerated() {
            let released = engine.sum(of: place.parameter)[place.index]
            scores[canary] += logLikelihoodRatio(Double(released) - Double(sums[canary]))
        }
    }

    /// Of a value seen at a canary's coordinate: log of (1 - q) + q exp((2 x L - L^2) / (2 s^2)).
    private func logLikelihoodRatio(_ value: Double) -> Double {
        let length = Double(length)
        guard noiseDeviation > 0 else { return value / clippingNorm }
        let ratio = (2 * value * length - length * length) / (2 * noiseDeviation * noiseDeviation)
        if samplingRate >= 1 { return ratio }
        let (drawn, left) = (log(samplingRate) + ratio, log1p(-samplingRate))
        let larger = max(drawn, left)
        return larger + log1p(exp(min(drawn, left) - larger))
    }
}
