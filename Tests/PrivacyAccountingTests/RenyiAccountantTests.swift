import Testing

@testable import PrivacyAccounting

/// A table's rows as numbers.
func rows(_ table: String) -> [[Double]] {
    table.split(separator: "\n").map { $0.split(separator: " ").map { Double($0)! } }
}

func sampled(_ rate: Double, _ noise: Double, _ count: Int) -> PrivacyEvent {
    PrivacyEvent(.poissonSampledGaussian(samplingRate: rate, noiseMultiplier: noise), count: count)
}

@Suite struct RenyiAccountantTests {
    /// Google's fractional orders are upper bounds (see make_golden.py), loose only where epsilon is large.
    @Test func epsilonAgreesWithGoogleAndIsNeverLarger() {
        let table = rows(goldenEpsilons)
        #expect(table.count >= 60)
        for row in table {
            let bound = RenyiAccountant([sampled(row[0], row[1], Int(row[2]))]).epsilon(delta: row[3])
            #expect(bound.epsilon <= row[4] * (1 + 1e-9), "\(row), found \(bound)")
            if row[4] <= 12 {
                let slack = row[4] <= 8 ? 1e-3 : 2e-3
                #expect(bound.epsilon >= row[4] * (1 - slack), "\(row), found \(bound)")
                if row[4] > 0 { #expect(abs((bound.order ?? 0) - row[5]) < 0.11, "\(row), found \(bound)") }
            }
        }
    }

    @Test func epsilonAgreesWithOpacus() {
        for row in rows(goldenEpsilons) where row[7].isFinite {
            let epsilon = RenyiAccountant([sampled(row[0], row[1], Int(row[2]))]).epsilon(delta: row[3]).epsilon
            #expect(abs(epsilon - row[7]) <= 1e-8 * row[7], "\(row), found \(epsilon)")
        }
    }

    @Test func deltaAgreesWithGoogleAndIsNeverLarger() {
        for row in rows(goldenEpsilons) {
            let delta = RenyiAccountant([sampled(row[0], row[1], Int(row[2]))]).delta(epsilon: 2).delta
            #expect(delta <= row[6] * (1 + 1e-9) + 1e-300, "\(row), found \(delta)")
            #expect(delta >= row[6] * 0.95 || row[4] > 12, "\(row), found \(delta)")
        }
    }

    @Test func publishedValues() {
        for (event, delta, expected) in [
            (sampled(0.01, 0.7, 120), 1e-5, 3.2392), (sampled(0.001, 0.8, 1000), 1e-6, 1.4619),
            (sampled(0.04, 1.5, 2250), 1e-5, 7.3291),
        ] {
            #expect(abs(PrivacyAccountant.rdp.epsilon(of: [event], delta: delta).epsilon - expected) < 5e-5)
        }
    }

    @Test func divergencesAgreeWithIntegrationToFortyDigits() {
        for row in rows(goldenDivergences) {
            let found = SampledGaussianDivergence(samplingRate: row[0], noiseMultiplier: row[1])
                .divergences(orders: [row[2]])[0]
            #expect(abs(found - row[3]) <= 1e-11 * row[3], "\(row), found \(found)")
        }
    }

    @Test func withoutSamplingItIsTheGaussianMechanism() {
        for (order, divergence) in zip(RenyiAccountant.defaultOrders, RenyiAccountant([sampled(1, 2, 3)]).divergences) {
            #expect(abs(divergence - 3 * order / 8) < 1e-12 * divergence)
        }
    }

    @Test(arguments: [0.0, 1e-12, 1e-6, 0.3, 0.999_999, 1 - 1e-15, 1])
    func extremesStayNumbersAndInOrder(rate: Double) {
        var previous = [Double](repeating: .infinity, count: RenyiAccountant.defaultOrders.count)
        for noise in [0, 1e-300, 1e-9, 0.9e-3, 1.1e-3, 0.01, 0.05, 0.3, 1, 30, 1e4, 1e9, 1e200, .infinity] {
            let accountant = RenyiAccountant([sampled(rate, noise, 7)])
            for (index, divergence) in accountant.divergences.enumerated() {
                #expect(divergence >= 0 && divergence <= previous[index] * (1 + 1e-9), "\(rate) \(noise)")
            }
            previous = accountant.divergences
            #expect(!accountant.epsilon(delta: 1e-5).epsilon.isNaN)
            #expect((0...1).contains(accountant.delta(epsilon: 1).delta))
        }
    }

    @Test func emptyAndNoiselessRuns() {
        #expect(RenyiAccountant([sampled(0.1, 1, 0)]).epsilon(delta: 0).epsilon == 0)
        #expect(RenyiAccountant([sampled(0, 0, 9)]).epsilon(delta: 1e-9).epsilon == 0)
        #expect(RenyiAccountant([sampled(0.1, 0, 1)]).epsilon(delta: 1e-5).epsilon == .infinity)
        #expect(RenyiAccountant([sampled(0.1, 0, 1)]).delta(epsilon: 5).delta == 1)
        #expect(RenyiAccountant([sampled(0.1, 1, 1)]).epsilon(delta: 0).epsilon == .infinity)
        #expect(RenyiAccountant([sampled(0.1, 1, 1)]).epsilon(delta: 1).epsilon == 0)
    }

    @Test func compositionAddsUp() {
        let whole = RenyiAccountant([sampled(0.02, 0.9, 50)])
        let parts = RenyiAccountant([sampled(0.02, 0.9, 20), sampled(0.02, 0.9, 30)])
        for (a, b) in zip(whole.divergences, parts.divergences) { #expect(abs(a - b) <= 1e-13 * a) }
        let other = RenyiAccountant([sampled(0.1, 2, 5)])
        let mixed = RenyiAccountant([sampled(0.1, 2, 5), sampled(0.02, 0.9, 50)])
        for (index, divergence) in mixed.divergences.enumerated() {
            #expect(abs(divergence - whole.divergences[index] - other.divergences[index]) <= 1e-13 * divergence)
        }
    }

    @Test func epsilonGrowsWithRateAndStepsAndFallsWithNoise() {
        func epsilon(_ rate: Double, _ noise: Double, _ steps: Int) -> Double {
            PrivacyAccountant.rdp.epsilon(of: [sampled(rate, noise, steps)], delta: 1e-6).epsilon
        }
        for (rate, noise, steps) in [(0.01, 1.0, 100), (0.2, 0.5, 10), (1e-4, 0.8, 50000)] {
            let base = epsilon(rate, noise, steps)
            #expect(epsilon(rate * 1.05, noise, steps) > base)
            #expect(epsilon(rate, noise * 0.95, steps) > base)
            #expect(epsilon(rate, noise, steps * 11 / 10) > base)
        }
    }

    @Test func deltaAndEpsilonAreInverse() {
        let accountant = RenyiAccountant([sampled(0.01, 1, 2000)])
        for delta in [1e-3, 1e-6, 1e-12] {
            let epsilon = accountant.epsilon(delta: delta).epsilon
            #expect(abs(accountant.delta(epsilon: epsilon).delta / delta - 1) < 1e-9)
        }
    }
}
