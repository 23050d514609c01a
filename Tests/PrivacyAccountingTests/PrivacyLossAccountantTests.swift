import Glibc
import Testing

@testable import PrivacyAccounting

@Suite struct PrivacyLossAccountantTests {
    private func bounds(_ row: [Double]) -> PrivacyLossAccountant.Bounds {
        PrivacyLossAccountant([sampled(row[0], row[1], Int(row[2]))]).epsilon(delta: row[3])
    }

    /// Of this thread.
    private func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }

    /// The golden values come from integrals without discretisation, good to 1e-6.
    @Test func boundsEncloseEpsilonClosely() {
        let table = rows(goldenLosses)
        #expect(table.count >= 200)
        for row in table {
            let start = processorSeconds()
            let found = bounds(row)
            #expect(processorSeconds() - start < 2, "\(row) takes long")
            #expect(found.lower <= row[4] * (1 + 1e-6), "\(row), found \(found)")
            #expect(found.upper >= row[4] * (1 - 1e-6), "\(row), found \(found)")
            #expect(found.upper - found.lower <= 4.1e-4 * found.upper, "\(row), found \(found)")
        }
    }

    /// Google's bounds are above epsilon by what their grid costs, here about 1e-4.
    @Test func upperBoundAgreesWithGoogle() {
        for row in rows(goldenLossBounds) {
            let found = bounds(row)
            #expect(abs(found.upper - row[4]) <= 6e-4 * row[4], "\(row), found \(found)")
            #expect(found.lower <= row[4] * (1 + 1e-7), "\(row), found \(found)")
        }
    }

    /// Epsilon is small beside single losses that matter, so that no grid is fine and wide enough for close bounds.
    @Test func rareLargeLossesAreBounded() {
        let known = bounds([1e-5, 0.9, 1e6, 1e-8])
        #expect(known.lower <= 0.0710963155 && known.upper >= 0.0710963154 && known.upper < 0.0715, "\(known)")
        // Its first finest grid shows nothing.
        let repeated = bounds([3e-5, 0.9, 1e6, 1e-10])
        #expect(repeated.upper < 0.2652 && repeated.lower > 0.2635, "\(repeated)")
    }

    @Test func withoutSamplingItIsExact() {
        for (noise, steps) in [(10.0, 100), (5, 25), (1, 1)] {
            let found = bounds([1, noise, Double(steps), 1e-5])
            #expect(abs(found.upper - 4.37718) < 5e-6 && found.lower == found.upper, "\(found)")
        }
    }

    @Test func deltaAndEpsilonAreInverse() {
        for (event, delta) in [
            (sampled(0.01, 1, 2000), 1e-3), (sampled(0.01, 1, 2000), 1e-12), (sampled(0.001, 0.6, 300), 1e-7),
            (sampled(0.2, 3, 50), 1e-20), (sampled(0.1, 0.8, 1), 1e-6),
        ] {
            let accountant = PrivacyLossAccountant([event])
            let epsilon = accountant.epsilon(delta: delta).upper
            let found = accountant.delta(epsilon: epsilon)
            // delta moves by up to 1e-2 where epsilon moves by the tolerance of 4e-4.
            #expect(found.lower <= delta && found.upper >= delta * 0.98, "\(event) \(delta) \(found)")
            #expect(found.upper <= delta * 1.01, "\(event) \(delta) \(found)")
        }
    }

    @Test func partsComposeToTheWhole() {
        let whole = PrivacyLossAccountant([sampled(0.02, 0.9, 60)]).epsilon(delta: 1e-6)
        let parts = PrivacyLossAccountant([sampled(0.02, 0.9, 20), sampled(0.5, 2, 0), sampled(0.02, 0.9, 40)])
        #expect(parts.epsilon(delta: 1e-6) == whole)
        // One kind of step in two disguises goes through two discretisations.
        let disguised = PrivacyLossAccountant([sampled(0.02, 0.9, 20), sampled(0.02, 0.900_000_1, 40)])
        let found = disguised.epsilon(delta: 1e-6)
        #expect(found.lower <= whole.upper && found.upper >= whole.lower * (1 - 1e-6), "\(found) \(whole)")
    }

    /// Steps with and without sampling together: sampling at rate 1 - 1e-12 is as good as none.
    @Test func sampledStepsComposeWithGaussianOnes() {
        let mixed = PrivacyLossAccountant([sampled(1, 4, 9), sampled(1 - 1e-12, 3, 7)]).epsilon(delta: 1e-5)
        let precision = 9.0 / 16 + 7.0 / 9
        let gaussian = GaussianApproximation(mu: precision.squareRoot()).epsilon(delta: 1e-5).epsilon
        #expect(mixed.lower <= gaussian * (1 + 1e-6) && mixed.upper >= gaussian * (1 - 1e-6), "\(mixed) \(gaussian)")
        #expect(mixed.upper - mixed.lower <= 4.1e-4 * mixed.upper)
    }

    @Test func boundsAreOrdered() {
        for row in rows(goldenEpsilons) where row[4] > 0 {
            let found = bounds(row)
            #expect(found.lower <= found.upper && found.upper <= row[4] * (1 + 1e-9), "\(row), found \(found)")
            if row[1] > 0.03 { #expect(found.upper - found.lower <= 5e-4 * found.upper, "\(row), found \(found)") }
        }
    }

    @Test func endsAreNumbers() {
        func epsilon(_ rate: Double, _ noise: Double, _ steps: Int, _ delta: Double) -> PrivacyLossAccountant.Bounds {
            PrivacyLossAccountant([sampled(rate, noise, steps)]).epsilon(delta: delta)
        }
        #expect(epsilon(0.1, 1, 0, 0).upper == 0)
        #expect(epsilon(0, 0, 9, 1e-9).upper == 0)
        #expect(epsilon(0.1, 0, 1, 1e-5).lower == .infinity)
        #expect(epsilon(0.1, 1, 1, 0).upper == .infinity)
        #expect(epsilon(0.1, 1, 5, 1).upper == 0)
        #expect(epsilon(1e-5, 1, 10, 1e-3).upper == 0)
        for noise in [1e-300, 1e-4, 2e-3, 0.05, 1e6, 1e150] {
            let found = epsilon(0.01, noise, 7, 1e-9)
            #expect(!found.upper.isNaN && found.lower <= found.upper, "\(noise) \(found)")
        }
    }
}

@Suite struct FourierTransformTests {
    @Test(arguments: [2, 8, 64]) func agreesWithTheDefinition(count: Int) {
        let first = (0..<count).map { Double(($0 * 37 + 11) % 17 - 8) }
        let second = (0..<count).map { Double(($0 * 53 + 5) % 13 - 6) }
        var (real, imaginary) = (first, second)
        FourierTransform(count: count).forward(&real, &imaginary)
        let bits = count.trailingZeroBitCount
        for frequency in 0..<count {
            var (a, b) = (0.0, 0.0)
            for m in 0..<count {
                let angle = -2 * Double.pi * Double(frequency * m % count) / Double(count)
                a += first[m] * cos(angle) - second[m] * sin(angle)
                b += first[m] * sin(angle) + second[m] * cos(angle)
            }
            func reversed(_ frequency: Int) -> Int {
                (0..<bits).reduce(0) { $0 | (frequency >> $1 & 1) << (bits - 1 - $1) }
            }
            let place = reversed(frequency)
            #expect(abs(real[place] - a) < 1e-11 && abs(imaginary[place] - b) < 1e-11)
            #expect(FourierTransform.opposite(of: place) == reversed((count - frequency) % count))
        }
        FourierTransform(count: count).backward(&real, &imaginary)
        for m in 0..<count {
            #expect(abs(real[m] - first[m]) < 1e-13 && abs(imaginary[m] - second[m]) < 1e-13)
        }
    }
}
