import Testing

@testable import PrivacyAccounting

/// Correlated noise: the strategy, its cost and what it is good for.
@Suite struct BandedStrategyTests {
    /// C, row by row.
    private func matrix(_ strategy: BandedStrategy) -> [[Double]] {
        (0..<strategy.steps).map { row in
            (0..<strategy.steps).map { $0 > row ? 0 : strategy.entry(row: row, lag: row - $0) }
        }
    }

    /// A C^-1, column by column of the identity.
    private func errorOf(_ strategy: BandedStrategy, momentum: Double) -> Double {
        let (c, steps) = (matrix(strategy), strategy.steps)
        var total = 0.0
        for column in 0..<steps {
            var solution = [Double](repeating: 0, count: steps)
            for row in 0..<steps {
                let known = (0..<row).reduce(0) { $0 + c[row][$1] * solution[$1] }
                solution[row] = ((row == column ? 1 : 0) - known) / c[row][row]
            }
            var (velocity, sum) = (0.0, 0.0)
            for row in 0..<steps {
                velocity = momentum * velocity + solution[row]
                sum += velocity
                total += sum * sum
            }
        }
        return total / Double(steps)
    }

    @Test(arguments: [(1, 1), (1, 7), (3, 2), (4, 4), (4, 30), (16, 40)])
    func everyColumnHasNormOneAndRowsBeyondTheBandsAreEmpty(bands: Int, steps: Int) {
        let c = matrix(BandedStrategy(bands: bands, steps: steps))
        for column in 0..<steps {
            let square = c.reduce(0) { $0 + $1[column] * $1[column] }
            #expect(abs(square - 1) < 1e-12)
            for row in 0..<steps where row < column || row - column >= bands { #expect(c[row][column] == 0) }
        }
    }

    /// Against dense matrices and another optimiser.
    @Test func errorsAreTheLeastPossible() {
        for (bands, steps, momentum, least) in goldenBandedErrors {
            let workload = BandedStrategy.Workload(momentum: momentum)
            let strategy = BandedStrategy(bands: bands, steps: steps, workload: workload)
            let error = strategy.meanSquaredError(workload)
            #expect(abs(error / least - 1) < 1e-4, "\(bands) \(steps) \(momentum): \(error), \(least)")
            // With its last columns at norm 1 it is lower still.
            let dense = errorOf(strategy, momentum: momentum)
            #expect(dense <= error * (1 + 1e-9) && dense > 0.5 * error)
        }
    }

    /// dp-accounting's privacy loss distributions, refined until they no longer change.
    @Test func epsilonIsThatOfEveryBthStepAtBTimesTheRate() {
        for (rate, bands, noise, steps, delta, epsilon) in goldenBandedEpsilons {
            let mechanism = PrivacyMechanism(
                sampler: .cyclicPoisson(rate: rate, subsets: bands), clippingNorm: 1, noiseMultiplier: noise,
                steps: steps, datasetSize: 1000, bands: bands)
            let found = PrivacyAccountant.pld.epsilon(of: [mechanism.event], delta: delta).epsilon
            #expect(abs(found / epsilon - 1) < 1e-3, "\(rate) \(bands) \(noise) \(steps): \(found), \(epsilon)")
        }
    }

    /// At the same epsilon what the steps add up to has less noise.
    @Test func lessNoiseIsLeftAtTheSameEpsilon() {
        func error(_ bands: Int) -> Double {
            let sigma = PrivacyAccountant.pld.noiseMultiplier(
                epsilon: 8, delta: 1e-6, sampler: .cyclicPoisson(rate: 0.02, subsets: bands), datasetSize: 1,
                steps: 500)
            return sigma * sigma * errorOf(BandedStrategy(bands: bands, steps: 500), momentum: 0)
        }
        let errors = [1, 4, 16].map(error)
        #expect(errors[1] < 0.7 * errors[0] && errors[2] < errors[1], "\(errors)")
    }

    @Test func restartsAddUpAndStatementsRoundTrip() throws {
        let whole = PrivacyMechanism(
            sampler: .cyclicPoisson(rate: 0.01, subsets: 8), clippingNorm: 0.5, noiseMultiplier: 1.25, steps: 100,
            datasetSize: 5000, bands: 8)
        let resumed = whole.restarted([61, 3])
        #expect(whole.currentSteps == 100 && resumed.currentSteps == 3)
        // 13 + 8 + 1 batches that a row may be in.
        let event = PrivacyEvent(.poissonSampledGaussian(samplingRate: 0.08, noiseMultiplier: 1.25), count: 22)
        #expect(resumed.event == event && resumed.event(steps: 1) == event)
        #expect(whole.event(steps: 8).count == 1 && whole.event(steps: 9).count == 2 && whole.event.count == 13)
        for mechanism in [whole, resumed] {
            let statement = PrivacyStatement(
                mechanism: mechanism, clippingFunction: "abadi", clippingStyle: "flat", accountant: .pld, delta: 1e-5)
            let read = try #require(try PrivacyStatement(metadata: statement.metadata()))
            #expect(read == statement && read.recomputedBound == statement.bound)
            for (key, value) in [("bands", "9"), ("bands", "0"), ("subsets", "x"), ("mechanism", "other")] {
                var changed = statement.metadata()
                changed[PrivacyStatement.keyPrefix + key] = value
                #expect(throws: PrivacyStatementError.self) { try PrivacyStatement(metadata: changed) }
            }
        }
        var changed = PrivacyStatement(
            mechanism: resumed, clippingFunction: "abadi", clippingStyle: "flat", accountant: .pld, delta: 1e-5
        ).metadata()
        changed[PrivacyStatement.keyPrefix + "restarts"] = "61 -3"
        #expect(throws: PrivacyStatementError.self) { try PrivacyStatement(metadata: changed) }
    }
}
