/// How a logical batch is drawn from the data set.
///
/// Each way of drawing has its own privacy analysis, so a sampler is listed here only together with one.
public enum BatchSampler: Hashable, Sendable {
    /// Every row enters every batch independently with probability `rate`.
    case poisson(rate: Double)
    /// The same, but of a batch with more than `largestBatch` rows only so many, chosen at random, are kept.
    case truncatedPoisson(rate: Double, largestBatch: Int)
    /// Every batch is the whole data set.
    case full
    /// Every row belongs to one of `subsets` parts, chosen at random before the first step, and enters the batches of every
    /// `subsets`-th step only, then with probability `subsets` times `rate`.
    case cyclicPoisson(rate: Double, subsets: Int)

    /// The probability with which one given row enters one batch, if the batch is not truncated.
    public var samplingRate: Double {
        switch self {
        case .poisson(let rate), .truncatedPoisson(let rate, _), .cyclicPoisson(let rate, _): rate
        case .full: 1
        }
    }

    /// The probability with which a row enters a batch that it may enter.
    public var drawingRate: Double {
        if case .cyclicPoisson(let rate, let subsets) = self { min(1, rate * Double(subsets)) } else { samplingRate }
    }

    /// Steps between two whose batches one row may enter, the later one included.
    public var separation: Int { if case .cyclicPoisson(_, let subsets) = self { subsets } else { 1 } }

    /// The name written into a privacy statement.
    public var name: String {
        switch self {
        case .poisson: "poisson"
        case .truncatedPoisson: "truncated-poisson"
        case .full: "full"
        case .cyclicPoisson: "cyclic-poisson"
        }
    }

    /// The largest number of rows of a batch; nil where there is no limit.
    public var largestBatch: Int? {
        if case .truncatedPoisson(_, let largestBatch) = self { largestBatch } else { nil }
    }

    /// Whether the analysis, or the division by the expected batch, presumes that the data set has at most as many rows
    /// as declared.
    public var presumesDatasetSize: Bool {
        switch self {
        case .poisson, .cyclicPoisson: false
        case .truncatedPoisson, .full: true
        }
    }

    /// What `count` steps with this noise cost, from the first step of a mechanism on.
    public func event(datasetSize: Int, noiseMultiplier: Double, count: Int) -> PrivacyEvent {
        switch self {
        case .cyclicPoisson(_, let subsets):
            // What a row's part of the others' steps costs it is nothing.
            PrivacyEvent(
                .poissonSampledGaussian(samplingRate: drawingRate, noiseMultiplier: noiseMultiplier),
                count: (count + subsets - 1) / subsets)
        case .poisson, .full:
            PrivacyEvent(
                .poissonSampledGaussian(samplingRate: samplingRate, noiseMultiplier: noiseMultiplier), count: count)
        case .truncatedPoisson(let rate, let largestBatch):
            PrivacyEvent(
                .truncatedPoissonSampledGaussian(
                    TruncatedPoissonSampling(datasetSize: datasetSize, rate: rate, largestBatch: largestBatch),
                    noiseMultiplier: noiseMultiplier), count: count)
        }
    }
}

/// Which two data sets must be hard to tell apart.
public enum Adjacency: String, Hashable, Sendable, CaseIterable {
    /// One has a privacy unit that the other lacks; the size of the data set is itself protected.
    case addOrRemoveOne = "add-or-remove-one"
    /// The size N is public, and one unit's contribution is replaced by zero.
    ///
    /// This is the honest statement when N was counted from the data instead of declared. The pair of
    /// output distributions, and hence epsilon, is that of ``addOrRemoveOne``.
    case zeroOut = "zero-out"
}

/// A differentially private training run, described once.
///
/// The noise that the training adds (``noiseStandardDeviation``) and the event that an accountant composes
/// (``event``) are both derived from this one value, so the guarantee reported is the guarantee of the
/// noise added.
public struct PrivacyMechanism: Hashable, Sendable {
    public let sampler: BatchSampler
    /// C, the largest L2 norm that one privacy unit's gradient keeps after clipping, over all parameters together; with
    /// adaptive clipping, that of the first step.
    public let clippingNorm: Double
    /// sigma, the noise's standard deviation in units of C, of all that a step releases taken together.
    public let noiseMultiplier: Double
    /// The bands of the strategy by which the noise of different steps is correlated (``BandedStrategy``); nil for independent
    /// noise. Such a mechanism is one release of all steps, charged as a whole before the first.
    public let bands: Int?
    /// Steps of each further mechanism by which the run went on after an interruption.
    public private(set) var restarts: [Int] = []
    /// How C follows the norms, if it does.
    public let adaptiveClipping: AdaptiveClipping?
    /// T, the number of noisy updates planned.
    public let steps: Int
    public let adjacency: Adjacency
    /// N as declared: the sampling rate and the number of steps derive from it, never from a realised count.
    public let datasetSize: Int
    /// What one protected record is, in words.
    public let unit: String
    /// The noise's standard deviation on summed gradients in units of C: more than sigma where a count is released as well.
    public let gradientNoiseMultiplier: Double

    /// The privacy unit unless rows are grouped: one entry along the data's first axis.
    public static let rowUnit = "one row of axis 0"

    /// The privacy unit where rows with one value of an array are grouped.
    public static func groupUnit(_ key: String) -> String { "all rows with one value of '\(key)'" }

    /// - Precondition: the sampling rate lies in 0...1, `clippingNorm` is positive, `noiseMultiplier` is finite
    ///   and not negative, `clippingNorm` is finite unless `noiseMultiplier` is 0, `steps` is not negative,
    ///   `datasetSize` is positive, `adaptiveClipping` leaves noise for gradients, and noise correlated over several
    ///   bands comes without it and with a sampler that keeps a row's steps as far apart.
    public init(
        sampler: BatchSampler, clippingNorm: Double, noiseMultiplier: Double, steps: Int,
        datasetSize: Int, adjacency: Adjacency = .addOrRemoveOne, unit: String = PrivacyMechanism.rowUnit,
        adaptiveClipping: AdaptiveClipping? = nil, bands: Int? = nil
    ) {
        precondition((0...1).contains(sampler.samplingRate), "a sampling rate lies in 0...1")
        precondition(clippingNorm > 0, "a clipping norm is positive")
        precondition(noiseMultiplier >= 0 && noiseMultiplier.isFinite, "a noise multiplier is finite, not negative")
        precondition(noiseMultiplier == 0 || clippingNorm.isFinite, "noise needs a finite clipping norm")
        precondition(steps >= 0, "the number of steps is not negative")
        precondition(datasetSize > 0, "a data set has rows")
        precondition(sampler.largestBatch ?? 1 > 0, "a batch may have rows")
        precondition(sampler.separation > 0, "a data set has parts")
        if let bands {
            precondition(
                (1...sampler.separation).contains(bands), "a row's steps are as far apart as noise is correlated")
            precondition(adaptiveClipping == nil, "correlated noise has one scale")
        }
        self.bands = bands
        self.sampler = sampler
        self.clippingNorm = clippingNorm
        self.noiseMultiplier = noiseMultiplier
        self.steps = steps
        self.adjacency = adjacency
        self.datasetSize = datasetSize
        self.unit = unit
        self.adaptiveClipping = adaptiveClipping
        guard let adaptiveClipping else {
            gradientNoiseMultiplier = noiseMultiplier
            return
        }
        guard let own = adaptiveClipping.gradientNoiseMultiplier(together: noiseMultiplier) else {
            preconditionFailure("the count alone costs as much as all may")
        }
        gradientNoiseMultiplier = own
    }

    /// Poisson sampling whose expected batch is `expectedBatchSize` of `datasetSize` rows: q = B / N.
    ///
    /// - Precondition: as above, and 0 <= `expectedBatchSize` <= `datasetSize`.
    public init(
        poissonBatchOf expectedBatchSize: Int, clippingNorm: Double, noiseMultiplier: Double, steps: Int,
        datasetSize: Int, adjacency: Adjacency = .addOrRemoveOne, unit: String = PrivacyMechanism.rowUnit
    ) {
        precondition((0...datasetSize).contains(expectedBatchSize), "a batch is not larger than its data set")
        self.init(
            sampler: .poisson(rate: Double(expectedBatchSize) / Double(datasetSize)), clippingNorm: clippingNorm,
            noiseMultiplier: noiseMultiplier, steps: steps, datasetSize: datasetSize, adjacency: adjacency,
            unit: unit)
    }

    /// E[B] = q N, by which a summed gradient is divided. The realised batch size is private.
    public var expectedBatchSize: Double { sampler.samplingRate * Double(datasetSize) }

    /// What rounding may add to the distance by which one unit moves a summed clipped gradient, as a share of C.
    ///
    /// 2^-10 for two roundings to a grid of at most 2^-10 C / sqrt(P) over P coordinates, and 2^-22 times the expected
    /// batch for sums of up to so many aligned gradients in float32.
    public var roundingShare: Double { 0x1p-10 + 0x1p-22 * expectedBatchSize }

    /// The L2 distance by which one unit can move a summed clipped gradient as it is computed, rounding included, where
    /// gradients are clipped to `norm`.
    private func sensitivity(clippedTo norm: Double) -> Double { norm * (1 + roundingShare) }

    /// That distance for the clipping norm C.
    public var sensitivity: Double { sensitivity(clippedTo: clippingNorm) }

    /// Standard deviation, per coordinate, of the noise added to a *summed* clipped gradient: its noise multiplier times
    /// the sensitivity.
    ///
    /// - Parameter norm: C of this step.
    /// - Returns: zero when sigma is zero, also for an infinite clipping norm.
    public func noiseStandardDeviation(clippedTo norm: Double) -> Double {
        noiseMultiplier == 0 ? 0 : gradientNoiseMultiplier * sensitivity(clippedTo: norm)
    }

    /// The same for the clipping norm C.
    public var noiseStandardDeviation: Double { noiseStandardDeviation(clippedTo: clippingNorm) }

    /// Standard deviation of the noise added to the count of samples that are not clipped; nil without adaptive clipping.
    public var countNoiseStandardDeviation: Double? {
        adaptiveClipping.map { noiseMultiplier == 0 ? 0 : $0.countNoise * (1 + roundingShare) }
    }

    /// What all planned steps cost, with those of ``restarts``.
    public var event: PrivacyEvent {
        restarts.reduce(into: cost(steps)) { $0.count += cost($1).count }
    }

    /// What the first `steps` steps cost; after a restart, what all cost.
    public func event(steps: Int) -> PrivacyEvent { restarts.isEmpty ? cost(steps) : event }

    private func cost(_ count: Int) -> PrivacyEvent {
        sampler.event(datasetSize: datasetSize, noiseMultiplier: noiseMultiplier, count: count)
    }

    /// Steps of the mechanism under way: all, or those that were left at the last restart.
    public var currentSteps: Int { restarts.last ?? steps }

    /// The same with further mechanisms of so many steps each.
    public func restarted(_ restarts: [Int]) -> PrivacyMechanism {
        precondition(restarts.allSatisfy { $0 > 0 }, "a further mechanism has steps")
        var mechanism = self
        mechanism.restarts = restarts
        return mechanism
    }
}
