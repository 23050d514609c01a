import Glibc

/// One step as the accountant of privacy losses sees it: a Poisson-subsampled Gaussian or, with probability `truncated`,
/// one at half the noise multiplier (``TruncatedPoissonSampling``).
struct SampledStep: Hashable {
    let loss: SampledGaussianLoss
    let truncated: Double

    /// The kinds of outcome and the logarithms of their probabilities.
    var parts: [(loss: SampledGaussianLoss, logProbability: Double)] {
        if truncated == 0 { return [(loss, 0)] }
        let half = SampledGaussianLoss(
            samplingRate: loss.samplingRate, noiseMultiplier: loss.noiseMultiplier / 2)
        let second = (half, log(truncated))
        return truncated == 1 ? [second] : [(loss, log1p(-truncated)), second]
    }

    /// The range of losses within the support.
    func width(tail: Double) -> Double {
        parts.map { part in
            let support = part.loss.support(tail: tail)
            return part.loss.logRatio(support.upperBound) - part.loss.logRatio(support.lowerBound)
        }.max()!
    }

    func upperBound(spacing: Double, tail: Double) -> StepLosses {
        mixture { $0.upperBound(spacing: spacing, tail: tail, offset: $1) }
    }

    func lowerBound(spacing: Double, tail: Double) -> StepLosses {
        mixture { $0.lowerBound(spacing: spacing, tail: tail, offset: $1) }
    }

    /// Discretises all parts on the grid that the first chooses.
    private func mixture(_ discretised: (SampledGaussianLoss, _ offset: Double?) -> StepLosses) -> StepLosses {
        var result: StepLosses?
        for (loss, logProbability) in parts {
            let probability = exp(logProbability)
            var part = discretised(loss, result?.removing.offset)
            part.removing.scale(by: probability)
            part.adding.scale(by: probability)
            result?.removing.add(part.removing)
            result?.adding.add(part.adding)
            result = result ?? part
        }
        return result!
    }
}
