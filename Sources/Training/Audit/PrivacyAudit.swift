import Execution
public import Kernels
public import PrivacyAccounting

/// A one-run audit: trains with canaries, looks for them in what was released, and says what epsilon cannot be below.
///
/// What it finds depends on the data without noise; none of it is covered by epsilon, and the trained weights are not
/// kept. Beside the attack, three things are measured directly: how far single rows move the clipped sums, how strong the
/// noise is, and whether it is drawn anew.
public final class PrivacyAudit {
    public struct Result: Sendable {
        /// With the confidence asked for, epsilon at the audit's delta is not below this.
        public var epsilonLowerBound: Double
        public var claimedEpsilon: Double
        public var guesses: GuessingTest
        /// Canaries that were put in.
        public var includedCount: Int
        /// The longest contribution of a single row to a clipped sum, in units of C.
        public var largestContribution: Double
        public var probedRows: Int
        /// The noise's standard deviation as a share of the claimed one; nil where there is too little to measure.
        public var noiseDeviationShare: Double?
        /// What speaks against the claim, one sentence each.
        public var failures: [String]
    }

    /// Canaries unless the user says how many: more tell more, but weaken the test where delta is not small beside their
    /// number.
    public static func defaultCount(parameters: Int, delta: Double) -> Int {
        max(1, min(parameters, 10_000, Int(0.1 / delta)))
    }

    private let trainer: Trainer
    private let claim: PrivacyMechanism
    private let delta: Double
    private let confidence: Double
    private let accountant: PrivacyAccountant
    private let probes: [Int]
    private let observer: AuditObserver
    private var largestContribution: Double

    private static let largestProbeCount = 128
    /// Weaker noise drowns in the rounding of sums.
    private static let smallestNoise = 1e-3

    /// - Parameters:
    ///   - trainer: not yet used; audited as it is.
    ///   - claim: what is said of it: the trainer's own mechanism.
    ///   - rowCount: rows of its data that take part.
    ///   - canaries: at least 1.
    ///   - generator: puts canaries in or leaves them out; none that the trainer draws from.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public init(
        _ trainer: Trainer, claim: PrivacyMechanism, accountant: PrivacyAccountant, delta: Double, confidence: Double,
        rowCount: Int, canaries: Int, generator: any RandomGenerator
    ) throws {
        self.trainer = trainer
        self.claim = claim
        self.accountant = accountant
        self.delta = delta
        self.confidence = confidence
        let probeCount = min(rowCount, Self.largestProbeCount)
        probes = (0..<probeCount).map { $0 * rowCount / probeCount }
        largestContribution = try Self.largestContribution(of: probes, trainer.engine) / claim.clippingNorm
        let parameters = trainer.engine.parameters
        let sizes = parameters.names.map { (name: $0, count: parameters[$0].count) }
        observer = AuditObserver(
            rowCount: rowCount,
            canaries: GradientCanaries(
                count: canaries, parameters: sizes, claim: claim,
                length: claim.clippingNorm * max(1, largestContribution), generator: generator),
            noise: claim.noiseMultiplier < Self.smallestNoise
                ? nil : NoiseCheck(claimedDeviation: claim.noiseStandardDeviation, parameters: sizes))
        trainer.observer = observer
    }

    /// Takes one step.
    /// - Throws: as `Trainer.step`.
    public func step() throws -> Trainer.StepReport { try trainer.step() }

    /// What the steps taken show. To be called once, after all of them.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func result() throws -> Result {
        largestContribution = max(
            largestContribution, try Self.largestContribution(of: probes, trainer.engine) / claim.clippingNorm)
        let canaries = observer.canaries
        let scored = ScoredGuesses(
            scores: canaries.scores, isIncluded: canaries.isIncluded, delta: delta, confidence: confidence)
        let claimed = accountant.epsilon(of: [claim.event(steps: trainer.stepCount)], delta: delta).epsilon
        var failures: [String] = []
        if scored.epsilonLowerBound > claimed { failures.append("canaries are told apart better than epsilon allows") }
        if largestContribution > 1 + claim.roundingShare {
            failures.append("a row moves the clipped sum by more than the clipping norm")
        }
        failures += observer.noise?.failures ?? []
        return Result(
            epsilonLowerBound: scored.epsilonLowerBound, claimedEpsilon: claimed, guesses: scored.test,
            includedCount: canaries.included.count, largestContribution: largestContribution,
            probedRows: probes.count, noiseDeviationShare: observer.noise.map(\.deviationShare), failures: failures)
    }

    /// The longest of the clipped sums of single rows, measured on the sums themselves and not on the norms by which they
    /// were clipped.
    private static func largestContribution(of rows: [Int], _ engine: GradientEngine) throws -> Double {
        try rows.reduce(0) { largest, row in
            engine.reset()
            _ = try engine.accumulate([row])
            let square = engine.parameters.names.reduce(0.0) { sum, name in
                engine.sum(of: name).reduce(sum) { $0 + Double($1) * Double($1) }
            }
            return max(largest, square.squareRoot())
        }
    }
}

private final class AuditObserver: StepObserver {
    let dataRowCount: Int
    let canaries: GradientCanaries
    var noise: NoiseCheck?

    init(rowCount: Int, canaries: GradientCanaries, noise: NoiseCheck?) {
        dataRowCount = rowCount
        self.canaries = canaries
        self.noise = noise
    }

    var recordCount: Int { canaries.included.count }

    func willRelease(_ engine: GradientEngine, records: [Int]) {
        canaries.add(records, to: engine)
        noise?.willRelease(engine)
    }

    func didRelease(_ engine: GradientEngine) {
        canaries.observe(engine)
        noise?.didRelease(engine)
    }
}
