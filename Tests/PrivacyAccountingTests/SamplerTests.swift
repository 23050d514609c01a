import Glibc
import Testing

@testable import PrivacyAccounting

@Suite struct TruncatedPoissonTests {
    private func event(_ size: Int, _ rate: Double, _ largest: Int, _ noise: Double, _ count: Int) -> PrivacyEvent {
        BatchSampler.truncatedPoisson(rate: rate, largestBatch: largest)
            .event(datasetSize: size, noiseMultiplier: noise, count: count)
    }

    /// All outcomes of up to twelve draws, one by one.
    @Test func probabilityIsThatOfAllOutcomes() {
        for (size, rate, largest) in [(13, 0.3, 4), (9, 0.7, 3), (6, 0.01, 5), (5, 0.5, 5), (4, 0.5, 3)] {
            var expected = 0.0
            for outcome in 0..<(1 << (size - 1)) where outcome.nonzeroBitCount >= largest {
                let drawn = Double(outcome.nonzeroBitCount)
                expected += pow(rate, drawn) * pow(1 - rate, Double(size - 1) - drawn)
            }
            let found = TruncatedPoissonSampling(datasetSize: size, rate: rate, largestBatch: largest).probability
            #expect(found >= expected && found <= expected * (1 + 1e-5), "\(size) \(rate) \(largest)")
        }
        let certain = TruncatedPoissonSampling(datasetSize: 100_000, rate: 0.5, largestBatch: 100).probability
        #expect(certain > 1 - 1e-9 && certain <= 1)
        #expect(TruncatedPoissonSampling(datasetSize: 10, rate: 1, largestBatch: 9).probability == 1)
    }

    /// 1.3338 by dp-accounting's analysis, whose second pair is slightly wider; 1.3261 without truncation.
    @Test func epsilonAgreesWithGoogle() {
        let truncated = event(50_000, 0.01, 600, 1, 500)
        let found = PrivacyLossAccountant([truncated]).epsilon(delta: 1e-5)
        #expect(found.lower < 1.3338 && found.upper > 1.3336 && found.upper < 1.3338 * (1 + 6e-4), "\(found)")
        let plain = PrivacyLossAccountant([sampled(0.01, 1, 500)]).epsilon(delta: 1e-5)
        #expect(abs(plain.upper - 1.3261) < 6e-4)
        #expect(RenyiAccountant([truncated]).epsilon(delta: 1e-5).epsilon >= found.lower)
    }

    @Test func withoutTruncationItIsPoissonSampling() {
        for accountant in PrivacyAccountant.allCases {
            let plain = accountant.epsilon(of: [sampled(0.02, 1, 300)], delta: 1e-6)
            #expect(accountant.epsilon(of: [event(500, 0.02, 500, 1, 300)], delta: 1e-6) == plain)
        }
    }

    @Test func alwaysTruncatedItIsHalfTheNoise() {
        // A batch of one out of many: practically every draw is cut.
        for accountant in PrivacyAccountant.allCases {
            let cut = accountant.epsilon(of: [event(100_000, 0.01, 1, 2, 100)], delta: 1e-6).epsilon
            let half = accountant.epsilon(of: [sampled(0.01, 1, 100)], delta: 1e-6).epsilon
            #expect(abs(cut / half - 1) < 1e-3)
        }
    }

    @Test func smallerLimitsCostMore() {
        var previous = 0.0
        for largest in [80, 60, 50, 40] {
            let found = PrivacyAccountant.pld.epsilon(of: [event(1000, 0.05, largest, 1, 100)], delta: 1e-5).epsilon
            #expect(found > previous)
            previous = found
        }
    }

    @Test func noiseIsCalibratedToIt() {
        let sampler = BatchSampler.truncatedPoisson(rate: 0.05, largestBatch: 60)
        let noise = PrivacyAccountant.pld.noiseMultiplier(
            epsilon: 2, delta: 1e-5, sampler: sampler, datasetSize: 1000, steps: 100)
        let spent = sampler.event(datasetSize: 1000, noiseMultiplier: noise, count: 100)
        let epsilon = PrivacyAccountant.pld.epsilon(of: [spent], delta: 1e-5).epsilon
        #expect(epsilon <= 2 && epsilon > 2 * (1 - 1e-3))
    }
}

@Suite struct FullBatchTests {
    @Test func itIsTheGaussianMechanism() {
        let event = BatchSampler.full.event(datasetSize: 9, noiseMultiplier: 10, count: 100)
        let found = PrivacyLossAccountant([event]).epsilon(delta: 1e-5)
        #expect(abs(found.upper - 4.37718) < 5e-6 && found.lower == found.upper)
    }

    @Test(arguments: [
        BatchSampler.full, .poisson(rate: 0.125), .truncatedPoisson(rate: 0.125, largestBatch: 40),
    ])
    func statementsRoundTrip(sampler: BatchSampler) throws {
        let mechanism = PrivacyMechanism(
            sampler: sampler, clippingNorm: 0.5, noiseMultiplier: 1.5, steps: 20, datasetSize: 240)
        let statement = PrivacyStatement(
            mechanism: mechanism, clippingFunction: "abadi", clippingStyle: "flat", accountant: .pld, delta: 1e-5)
        #expect(try PrivacyStatement(metadata: statement.metadata()) == statement)
        #expect(mechanism.expectedBatchSize == 240 * sampler.samplingRate)
        #expect(sampler.presumesDatasetSize == (sampler != .poisson(rate: 0.125)))
    }
}
