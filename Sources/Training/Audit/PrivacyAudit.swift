import Execution
public import Kernels
public import PrivacyAccounting

/// A one-run audit: trains with canaries, looks for them in what was released, and says what epsilon cannot be below.
///
/// What it finds depends on the data without noise; none of it is covered by epsilon, and the trained weights are not
/// kept. Beside the attack, these things are measured directly: how far single records move the clipped sums, how strong the
/// noise is, that on adaptive clipping's counts included, and whether it is drawn anew.
public final class PrivacyAudit {
    public struct Result: Sendable {
        /// With the confidence asked for, epsilon at the audit's delta is not below this.
        public var epsilonLowerBound: Double
        public var claimedEpsilon: Double
        public var guesses: GuessingTest
        /// Canaries that were put in.
        public var includedCount: Int
        /// The longest contribution of a single record to a clipped sum, in units of C.
        public var largestContribution: Double
        /// Samples of the data, and records made of them, that were measured.
        public var probedRecords: Int
        /// The noise's standard deviation as a share of the claimed one; nil where there is too little to measure.
        public var noiseDeviationShare: Double?
        /// The same of the noise on adaptive clipping's counts.
        public var countDeviationShare: Double?
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
    private let probe: ContributionProbe
    private let observer: AuditObserver
    private var largestContribution: Double

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
        probe = try ContributionProbe(trainer.data, sampleCount: rowCount, generator: generator.stream(0))
        largestContribution = try probe.largestContribution(trainer)
        let parameters = trainer.engine.parameters
        let sizes = parameters.names.map { (name: $0, count: parameters[$0].count) }
        observer = AuditObserver(
            rowCount: rowCount,
            canaries: GradientCanaries(
                count: canaries, parameters: sizes, claim: claim, strategy: trainer.strategy,
                length: max(1, largestContribution), generator: generator.stream(1)),
            claim: claim,
            noise: claim.noiseMultiplier < Self.smallestNoise
                ? nil : NoiseCheck(strategy: trainer.strategy, parameters: sizes))
        trainer.observer = observer
    }

    /// Takes one step.
    /// - Throws: as `Trainer.step`.
    public func step() throws -> Trainer.StepReport { try trainer.step() }

    /// What the steps taken show. To be called once, after all of them.
    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func result() throws -> Result {
        largestContribution = max(largestContribution, try probe.largestContribution(trainer))
        let canaries = observer.canaries
        let scored = ScoredGuesses(
            scores: canaries.finalScores(), isIncluded: canaries.isIncluded, delta: delta, confidence: confidence)
        let claimed = accountant.epsilon(of: [claim.event(steps: trainer.stepCount)], delta: delta).epsilon
        var failures: [String] = []
        if scored.epsilonLowerBound > claimed { failures.append("canaries are told apart better than epsilon allows") }
        if largestContribution > 1 + claim.roundingShare {
            failures.append("a record moves the clipped sum by more than the clipping norm")
        }
        failures += (observer.noise?.failures ?? []) + (observer.counts?.failures ?? [])
        return Result(
            epsilonLowerBound: scored.epsilonLowerBound, claimedEpsilon: claimed, guesses: scored.test,
            includedCount: canaries.included.count, largestContribution: largestContribution,
            probedRecords: probe.recordCount, noiseDeviationShare: observer.noise?.variance.deviation,
            countDeviationShare: observer.counts?.variance.deviation, failures: failures)
    }
}

private final class AuditObserver: StepObserver {
    let dataRowCount: Int
    let canaries: GradientCanaries
    var noise: NoiseCheck?
    var counts: CountCheck?
    private let claim: PrivacyMechanism
    /// Of the step under way.
    private var drawn: [Int] = []
    private var claimedDeviation = 0.0

    init(rowCount: Int, canaries: GradientCanaries, claim: PrivacyMechanism, noise: NoiseCheck?) {
        dataRowCount = rowCount
        self.canaries = canaries
        self.claim = claim
        self.noise = noise
        counts = CountCheck(claim)
    }

    var recordCount: Int { canaries.included.count }

    func willRelease(_ engine: GradientEngine, records: [Int], clippingNorm: Double) {
        drawn = records
        claimedDeviation = claim.noiseStandardDeviation(clippedTo: clippingNorm)
        canaries.add(records, to: engine, clippingNorm: clippingNorm)
        noise?.willRelease(engine)
    }

    func didRelease(_ engine: GradientEngine) {
        canaries.observe(engine)
        noise?.didRelease(engine, claimedDeviation: claimedDeviation)
    }

    var countOfRecords: Float { canaries.count(drawn) }

    func didRelease(count: Float, exact: Float) { counts?.didRelease(count: count, exact: exact) }
}
