import Glibc
import Testing

@testable import PrivacyAccounting

@Suite struct CalibrationTests {
    @Test(arguments: [
        (epsilon: 3.0, delta: 1e-5, rate: 0.034, steps: 1200), (0.5, 1e-6, 0.001, 20000), (8, 1e-5, 0.01, 10000),
        (1, 1e-10, 1, 1), (30, 1e-3, 0.2, 500), (0.05, 1e-5, 1e-4, 100), (300, 1e-5, 0.01, 1),
    ])
    func noiseReachesEpsilonFromBelow(epsilon: Double, delta: Double, rate: Double, steps: Int) {
        let accountant = PrivacyAccountant.rdp
        let noise = accountant.noiseMultiplier(epsilon: epsilon, delta: delta, samplingRate: rate, steps: steps)
        let spent = accountant.epsilon(of: [sampled(rate, noise, steps)], delta: delta).epsilon
        #expect(spent <= epsilon)
        #expect(spent >= epsilon * (1 - 2e-6), "sigma \(noise) spends \(spent)")
    }

    @Test(arguments: [
        (epsilon: 3.0, delta: 1e-5, rate: 0.034, steps: 1200), (0.5, 1e-6, 0.001, 20000), (8, 1e-5, 0.01, 10000),
        (1, 1e-10, 1, 1), (0.05, 1e-5, 1e-4, 100), (2, 1e-5, 0.4, 1),
    ])
    func lossDistributionsAreNotOvershotEither(epsilon: Double, delta: Double, rate: Double, steps: Int) {
        let noise = PrivacyAccountant.pld.noiseMultiplier(
            epsilon: epsilon, delta: delta, samplingRate: rate, steps: steps)
        let found = PrivacyLossAccountant([sampled(rate, noise, steps)]).epsilon(delta: delta)
        #expect(found.upper <= epsilon)
        #expect(found.lower >= epsilon * (1 - 1e-3), "sigma \(noise) spends \(found)")
    }

    @Test func lossDistributionsAllowMoreSteps() {
        let steps = PrivacyAccountant.pld.maximumSteps(epsilon: 2, delta: 1e-5, samplingRate: 0.01, noiseMultiplier: 1)
        #expect(
            steps > PrivacyAccountant.rdp.maximumSteps(epsilon: 2, delta: 1e-5, samplingRate: 0.01, noiseMultiplier: 1))
        #expect(PrivacyAccountant.pld.epsilon(of: [sampled(0.01, 1, steps)], delta: 1e-5).epsilon <= 2)
        #expect(PrivacyLossAccountant([sampled(0.01, 1, steps * 1003 / 1000)]).epsilon(delta: 1e-5).upper > 2)
    }

    @Test func noiseWithoutSamplingMatchesTheClosedForm() {
        // One Gaussian release: divergence a / (2 sigma^2); the best epsilon over the orders, solved for sigma.
        let (epsilon, delta) = (1.0, 1e-5)
        let expected = RenyiAccountant.defaultOrders.compactMap { order -> Double? in
            let budget = epsilon - log1p(-1 / order) + log(delta * order) / (order - 1)
            return budget > 0 ? (order / 2 / budget).squareRoot() : nil
        }.min()!
        let noise = PrivacyAccountant.rdp.noiseMultiplier(epsilon: 1, delta: 1e-5, samplingRate: 1, steps: 1)
        #expect(abs(noise / expected - 1) < 2e-6)
    }

    @Test func epsilonBelowTheOrdersFloorIsStillNotOvershot() {
        let accountant = PrivacyAccountant.rdp
        let noise = accountant.noiseMultiplier(epsilon: 1e-4, delta: 1e-5, samplingRate: 0.01, steps: 10)
        #expect(accountant.epsilon(of: [sampled(0.01, noise, 10)], delta: 1e-5).epsilon <= 1e-4)
    }

    @Test func nothingReleasedNeedsNoNoise() {
        #expect(PrivacyAccountant.rdp.noiseMultiplier(epsilon: 1, delta: 1e-5, samplingRate: 0, steps: 10) == 0)
        #expect(PrivacyAccountant.rdp.noiseMultiplier(epsilon: 1, delta: 1e-5, samplingRate: 0.1, steps: 0) == 0)
    }

    @Test(arguments: [(0.01, 1.0, 3.0), (0.001, 0.8, 1.5), (1, 10.0, 2.0), (0.3, 2.0, 40)])
    func maximumStepsIsTheLargest(rate: Double, noise: Double, epsilon: Double) {
        let accountant = PrivacyAccountant.rdp
        let steps = accountant.maximumSteps(epsilon: epsilon, delta: 1e-5, samplingRate: rate, noiseMultiplier: noise)
        #expect(steps > 0)
        #expect(accountant.epsilon(of: [sampled(rate, noise, steps)], delta: 1e-5).epsilon <= epsilon)
        #expect(accountant.epsilon(of: [sampled(rate, noise, steps + 1)], delta: 1e-5).epsilon > epsilon)
    }

    @Test func maximumStepsAtTheEnds() {
        let accountant = PrivacyAccountant.rdp
        #expect(accountant.maximumSteps(epsilon: 1, delta: 1e-5, samplingRate: 0.5, noiseMultiplier: 0) == 0)
        #expect(accountant.maximumSteps(epsilon: 1, delta: 1e-5, samplingRate: 0, noiseMultiplier: 1) == .max)
    }

    @Test func eachAnswerIsInteractive() {
        let clock = ContinuousClock()
        let accountant = PrivacyAccountant.rdp
        let durations = [
            clock.measure { _ = accountant.epsilon(of: [sampled(0.01, 0.7, 120)], delta: 1e-5) },
            clock.measure {
                _ = accountant.noiseMultiplier(epsilon: 3, delta: 1e-5, samplingRate: 0.034, steps: 1200)
            },
            clock.measure {
                _ = accountant.noiseMultiplier(epsilon: 500, delta: 1e-5, samplingRate: 0.01, steps: 100)
            },
            clock.measure {
                _ = accountant.maximumSteps(epsilon: 3, delta: 1e-5, samplingRate: 0.01, noiseMultiplier: 1)
            },
        ]
        #expect(durations.max()! < .milliseconds(500), "\(durations)")
        // A grid of 2^21 points is the largest.
        let hard = clock.measure {
            _ = PrivacyAccountant.pld.epsilon(of: [sampled(1e-5, 0.8, 10)], delta: 1e-12)
        }
        #expect(hard < .seconds(8), "\(hard)")
    }
}

@Suite struct GaussianApproximationTests {
    @Test func publishedExampleIsLabelledAsNoBound() {
        let bound = GaussianApproximation([sampled(0.02, 0.7, 120)]).epsilon(delta: 1e-5)
        #expect(abs(bound.epsilon - 2.29) < 0.005)
        #expect(!bound.isUpperBound)
    }

    @Test func deltaMatchesTheNormalDistribution() {
        // mu = 1: q = 1, T = 1, exp(1 / sigma^2) = 2. Phi(-1/2) - e Phi(-3/2) at epsilon 1, from tables of Phi.
        let approximation = GaussianApproximation([sampled(1, 1.2011224087864498, 1)])
        #expect(abs(approximation.mu - 1) < 1e-14)
        #expect(abs(approximation.delta(epsilon: 1).delta - 0.126936737507) < 1e-11)
        #expect(approximation.delta(epsilon: 0).delta > 0.3829 && approximation.delta(epsilon: 0).delta < 0.383)
    }

    @Test func epsilonAndDeltaAreInverseFarIntoTheTail() {
        for (noise, delta) in [(0.5, 1e-5), (2.0, 1e-30), (50.0, 1e-12), (0.3, 1e-200)] {
            let approximation = GaussianApproximation([sampled(0.05, noise, 100)])
            let epsilon = approximation.epsilon(delta: delta).epsilon
            #expect(abs(approximation.delta(epsilon: epsilon).delta / delta - 1) < 1e-6, "\(noise) \(delta) \(epsilon)")
        }
    }

    @Test func endsAreNumbers() {
        #expect(GaussianApproximation([]).epsilon(delta: 0).epsilon == 0)
        #expect(GaussianApproximation([sampled(0.1, 0, 1)]).epsilon(delta: 1e-5).epsilon == .infinity)
        #expect(GaussianApproximation([sampled(0.1, 1, 1)]).epsilon(delta: 0).epsilon == .infinity)
    }

    @Test func logNormalCDFIsContinuousWhereItsFormulaChanges() {
        // log Phi(-20) and log Phi(-40) from published asymptotics (scipy.special.log_ndtr).
        #expect(abs(logNormalCDF(-19.999_999_999) - -203.917_155_351_0) < 1e-9)
        #expect(abs(logNormalCDF(-20) - -203.917_155_371_1) < 1e-9)
        #expect(abs(logNormalCDF(-40) - -804.608_442_013_8) < 1e-9)
    }
}
