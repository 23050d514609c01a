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
    private var scores: ParticipationScores
    private let places: [Place]
    private let claim: PrivacyMechanism
    /// Length of a canary's contribution in units of C.
    private let length: Double
    /// C of the step under way.
    private var clippingNorm: Double
    private var sums: [Float]

    private struct Place {
        var parameter: String
        var index: Int
    }

    /// - Parameters:
    ///   - claim: what the attacker believes of sampling and noise.
    ///   - strategy: how the noise of the steps is correlated; nil if it is independent.
    ///   - length: of a contribution, in units of C.
    init(
        count: Int, parameters: [(name: String, count: Int)], claim: PrivacyMechanism,
        strategy: BandedStrategy?, length: Double, generator: any RandomGenerator
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
        scores = ParticipationScores(count: count, sampler: claim.sampler, strategy: strategy)
        sums = Array(repeating: 0, count: count)
        self.claim = claim
        self.length = length
        clippingNorm = claim.clippingNorm
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
    func add(_ drawn: [Int], to engine: GradientEngine, clippingNorm: Double) {
        self.clippingNorm = clippingNorm
        for (canary, place) in places.enumerated() { sums[canary] = engine.sum(of: place.parameter)[place.index] }
        for canary in drawn.map({ included[$0] }) {
            engine.sum(of: places[canary].parameter)[places[canary].index] += Float(length * clippingNorm)
        }
    }

    /// What drawn canaries add to a count of samples that are not scaled down. Every other one counts as scaled down, so that
    /// canaries do not move C by themselves.
    func count(_ drawn: [Int]) -> Float {
        drawn.reduce(0) { $0 + (included[$1].isMultiple(of: 2) ? 0.5 : -0.5) }
    }

    /// Takes in what a step released.
    func observe(_ engine: GradientEngine) {
        // Without noise C is the unit.
        let deviation = claim.noiseStandardDeviation(clippedTo: clippingNorm)
        let unit = deviation > 0 ? deviation : clippingNorm
        let values = places.enumerated().map { canary, place in
            (Double(engine.sum(of: place.parameter)[place.index]) - Double(sums[canary])) / unit
        }
        scores.add(values, length: length * clippingNorm / unit)
    }

    /// By canary: how likely it was put in, by all that the steps released. To be called after the last one.
    func finalScores() -> [Double] { scores.finish() }
}
