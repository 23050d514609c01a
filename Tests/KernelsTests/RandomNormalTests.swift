import CVectorKernels
import Glibc
import Testing

@testable import Kernels

/// Standard normals, to single precision.
private func normals(_ count: Int, from generator: any RandomGenerator) -> [Float] {
    var result = [Float](repeating: 0, count: count)
    result.withUnsafeMutableBufferPointer { generator.releaseOnGrid($0, step: 0x1p-32, deviation: 1) }
    return result
}

private func correlation(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
    zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / Double(a.count)
}

@Suite struct RandomNormalTests {
    static let count = 4_000_000

    /// Seeded and secure; for the latter every bound below fails with probability below 1e-9.
    @Test(arguments: [false, true])
    func momentsAreThoseOfANormal(secure: Bool) {
        let generator: any RandomGenerator = secure ? SecureRandomGenerator() : SeededRandomGenerator(seed: 21)
        let sample = normals(Self.count, from: generator)
        var moments = [Double](repeating: 0, count: 5)
        for value in sample {
            var power = 1.0
            for order in 1...4 {
                power *= Double(value)
                moments[order] += power / Double(Self.count)
            }
        }
        // Standard errors from the normal's moments up to the eighth: 1, sqrt 2, sqrt 15, sqrt 96.
        let unit = 6.3 / Double(Self.count).squareRoot()
        #expect(abs(moments[1]) < unit)
        #expect(abs(moments[2] - 1) < unit * 2.0.squareRoot())
        #expect(abs(moments[3]) < unit * 15.0.squareRoot())
        #expect(abs(moments[4] - 3) < unit * 96.0.squareRoot() * 1.1)
    }

    @Test(arguments: [false, true])
    func distributionIsNormal(secure: Bool) {
        let generator: any RandomGenerator = secure ? SecureRandomGenerator() : SeededRandomGenerator(seed: 22)
        let sample = normals(1_000_000, from: generator).sorted()
        var distance = 0.0
        for (index, value) in sample.enumerated() {
            let probability = 0.5 * erfc(-Double(value) / 2.0.squareRoot())
            distance = max(distance, abs(probability - Double(index) / 1e6), abs(probability - Double(index + 1) / 1e6))
        }
        // Dvoretzky, Kiefer and Wolfowitz with Massart's constant: 2 exp(-2 n d^2) = 1e-9.
        #expect(distance < (log(2e9) / 2e6).squareRoot())
    }

    @Test func tailsHoldTheirShare() {
        let sample = normals(40_000_000, from: SeededRandomGenerator(seed: 23))
        for threshold in [3.0, 4, 5] {
            let expected = Double(sample.count) * erfc(threshold / 2.0.squareRoot())
            let found = Double(sample.count { abs(Double($0)) > threshold })
            #expect(abs(found - expected) < 6.2 * expected.squareRoot() + 6, "\(threshold): \(found) for \(expected)")
        }
        #expect(sample.allSatisfy { abs($0) < 9.5 })
    }

    @Test func transformIsThatOfBoxAndMuller() {
        // Planes of words: radius, angle. Oracle: the same formula in extended precision where there is one.
        let generator = SeededRandomGenerator(seed: 24)
        let pairs = 10_007
        var words = (0..<2 * pairs).map { _ in generator.next() }
        (words[0], words[1], words[2]) = (0, .max, 77)
        let angles: [UInt64] = [0, 1 << 61, 1 << 62, 1 << 63, 3 << 62, .max, (1 << 52) - 1, 1 << 51]
        for (index, angle) in angles.enumerated() { words[pairs + index] = angle }
        var found = [Double](repeating: 0, count: 2 * pairs)
        vk_normals(words, pairs, &found)
        for index in 0..<pairs {
            // Near 1 the logarithm needs the distance from 1, which a double of the ratio has lost.
            let word = words[index]
            let u = (Double(word) + 0.5) * 0x1p-64
            let radius = (-2 * (word >> 63 == 1 ? log1p(-(Double(~word) + 0.5) * 0x1p-64) : log(u))).squareRoot()
            // The quarter is counted from -pi/4, so that the remainder is centred.
            let turn = words[pairs + index]
            let offset = Double(turn & 0x000f_ffff_ffff_ffff) - (0x1p51 - 0.5)
            let angle = (Double(turn >> 62) + offset * 0x1p-52) * Double.pi / 2
            // A double u is a multiple of 2^-53, which moves a small radius.
            let tolerance = 4e-15 * max(radius, 1) + 2e-16 / max(radius, 1e-8)
            #expect(abs(found[index] - radius * cos(angle)) < tolerance)
            #expect(abs(found[pairs + index] - radius * sin(angle)) < tolerance)
        }
        #expect((found[0] * found[0] + found[pairs] * found[pairs]).squareRoot() > 9.4)
        #expect(abs(found[1]) < 2e-8 && abs(found[pairs + 1]) < 2e-8)
    }

    @Test func everyInstructionSetGivesTheSameBits() {
        let generator = SeededRandomGenerator(seed: 25)
        for pairs in [1, 7, 8, 512, 1029] {
            let words = (0..<2 * pairs).map { _ in generator.next() }
            var fast = [Double](repeating: 0, count: 2 * pairs)
            var plain = fast
            vk_normals(words, pairs, &fast)
            vk_normals_generic(words, pairs, &plain)
            #expect(fast.map(\.bitPattern) == plain.map(\.bitPattern))
        }
    }

    @Test func successiveAndPairedValuesAreIndependent() {
        let sample = normals(2_000_000, from: SeededRandomGenerator(seed: 26))
        for lag in [1, 2, 1023, 1024, 1025, 2048] {
            let limit = 6.3 / Double(sample.count - lag).squareRoot()
            #expect(abs(correlation(sample.dropFirst(lag), sample.dropLast(lag))) < limit, "lag \(lag)")
            // Squares show what a shared radius would leave.
            let squares = sample.map { $0 * $0 - 1 }
            #expect(abs(correlation(squares.dropFirst(lag), squares.dropLast(lag))) < 2.2 * limit, "lag \(lag)")
        }
    }

    @Test func streamsAreIndependent() {
        let parent = SeededRandomGenerator(seed: 27)
        let a = normals(1_000_000, from: parent.stream(0))
        let b = normals(1_000_000, from: parent.stream(1))
        #expect(abs(correlation(a[...], b[...])) < 6.3e-3)
        let c = normals(1_000_000, from: SecureRandomGenerator())
        let d = normals(1_000_000, from: SecureRandomGenerator())
        #expect(abs(correlation(c[...], d[...])) < 6.3e-3)
    }
}

/// Noise on a grid: what is below the grid's step must not show in what is released.
@Suite struct GridReleaseTests {
    private func release(_ sums: [Float], step: Double, deviation: Double, seed: UInt64) -> [Float] {
        var result = sums
        result.withUnsafeMutableBufferPointer {
            SeededRandomGenerator(seed: seed).releaseOnGrid($0, step: step, deviation: deviation)
        }
        return result
    }

    @Test(arguments: [0, 1, 2, 3, 1023, 1024, 1025, 10_001])
    func everyLengthIsReleasedAndNothingBeyond(count: Int) {
        var buffer = [Float](repeating: 1000, count: count + 2)
        buffer.withUnsafeMutableBufferPointer {
            SeededRandomGenerator(seed: 28).releaseOnGrid(
                .init(rebasing: $0[1..<count + 1]), step: 0x1p-20, deviation: 2)
        }
        #expect(buffer.first == 1000 && buffer.last == 1000)
        #expect(buffer[1..<count + 1].allSatisfy { $0 != 1000 && abs($0 - 1000) < 20 })
    }

    /// Every released number is a multiple of the step, and sums that round to the same multiple give the same bits.
    @Test(arguments: [0x1p-12, 0x1p-20, 0x1p-3])
    func bitsCarryNoTraceOfTheSumBelowTheStep(step: Double) {
        let generator = SeededRandomGenerator(seed: 31)
        func fraction() -> Float { Float(generator.next() >> 40) * 0x1p-24 - 0.5 }
        let multiples = (0..<20_000).map { _ in Float(Int(generator.next() % 2001) - 1000) }
        let rounded = multiples.map { $0 * Float(step) }
        let shifted = multiples.map { ($0 + 0.98 * fraction()) * Float(step) }
        #expect(rounded != shifted)
        let released = release(rounded, step: step, deviation: 1.5, seed: 32)
        #expect(released == release(shifted, step: step, deviation: 1.5, seed: 32))
        for value in released { #expect((Double(value) / step).rounded() == Double(value) / step) }
    }

    /// The noise is one and the same integer whatever the sum is: nothing of it depends on what it is added to.
    @Test func noiseDoesNotDependOnTheSum() {
        let count = 20_000
        let step = 0x1p-10
        let alone = release([Float](repeating: 0, count: count), step: step, deviation: 3, seed: 33)
        let sums = (0..<count).map { Float($0 % 401 - 200) * Float(step) }
        let together = release(sums, step: step, deviation: 3, seed: 33)
        for index in 0..<count { #expect(together[index] - sums[index] == alone[index]) }
    }

    /// On a coarse grid the masses of the integers are those of a rounded normal.
    @Test func integersHaveTheMassesOfARoundedNormal() {
        let count = 4_000_000
        let noise = release([Float](repeating: 0, count: count), step: 1, deviation: 1.3, seed: 34)
        for integer in -4...4 {
            let found = noise.count { $0 == Float(integer) }
            func below(_ x: Double) -> Double { 0.5 * erfc(-x / 1.3 / 2.0.squareRoot()) }
            let expected = Double(count) * (below(Double(integer) + 0.5) - below(Double(integer) - 0.5))
            #expect(abs(Double(found) - expected) < 6.3 * expected.squareRoot(), "\(integer): \(found) for \(expected)")
        }
    }

    /// Correlated noise is exactly the recurrence over what was kept, from the normals of the same seed.
    @Test func correlatedNoiseIsTheRecurrenceOverWhatWasKept() {
        let (count, step, deviation) = (3001, 0x1p-6, 7.0)
        let (diagonal, coefficients) = (0.75, [0.5, -0.25])
        let history = (0..<2).map { _ in UnsafeMutablePointer<Int32>.allocate(capacity: count) }
        defer { for place in history { place.deallocate() } }
        for place in history { place.initialize(repeating: 0, count: count) }
        let generator = SeededRandomGenerator(seed: 35)
        let again = SeededRandomGenerator(seed: 35)
        var earlier = history.map { Array(UnsafeBufferPointer(start: $0, count: count)) }
        for round in 0..<4 {
            var sums = (0..<count).map { Float($0 % 13) * Float(step) }
            let before = sums
            let (last, oldest) = ((round + 1) % 2, round % 2)
            sums.withUnsafeMutableBufferPointer {
                generator.releaseOnGrid(
                    $0, step: step, deviation: deviation, diagonal: diagonal, coefficients: coefficients,
                    history: [history[last], history[oldest]], kept: history[oldest])
            }
            // The same normals, rounded to a grid so fine that they are hardly rounded.
            var normals = [Float](repeating: 0, count: count)
            normals.withUnsafeMutableBufferPointer { again.releaseOnGrid($0, step: 0x1p-24, deviation: 1) }
            var (largest, differs) = (0.0, 0)
            for index in 0..<count {
                let kept = history[oldest][index]
                let rest =
                    coefficients[0] * Double(earlier[last][index])
                    + coefficients[1] * Double(earlier[oldest][index])
                let exact = (Double(normals[index]) * deviation / step - rest) / diagonal
                largest = max(largest, abs(Double(kept) - exact))
                if (sums[index] - before[index]) / Float(step) != Float(kept) { differs += 1 }
            }
            #expect(largest < 0.5 + 1e-3 && differs == 0, "round \(round): \(largest)")
            earlier = history.map { Array(UnsafeBufferPointer(start: $0, count: count)) }
        }
    }
}
