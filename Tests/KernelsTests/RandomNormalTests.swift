import CVectorKernels
import Glibc
import Testing

@testable import Kernels

private func normals(_ count: Int, from generator: any RandomGenerator, scale: Float = 1) -> [Float] {
    var result = [Float](repeating: .nan, count: count)
    result.withUnsafeMutableBufferPointer { generator.fillNormals($0, scale: scale) }
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
        // Planes of words: radius high, radius low, angle. Oracle: the same formula in double.
        let generator = SeededRandomGenerator(seed: 24)
        let pairs = 10_007
        var words = (0..<3 * pairs).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
        (words[0], words[pairs]) = (0, 0)
        (words[1], words[pairs + 1]) = (.max, .max)
        (words[2], words[pairs + 2]) = (0, 77)
        let angles: [UInt32] = [0, 1 << 29, 1 << 30, 1 << 31, 3 << 30, .max, (1 << 29) - 1]
        for (index, angle) in angles.enumerated() {
            words[2 * pairs + index] = angle
        }
        var found = [Float](repeating: 0, count: 2 * pairs)
        vk_normals(words, pairs, &found)
        for index in 0..<pairs {
            let u = (Double(words[index]) * 0x1p32 + Double(words[pairs + index]) + 0.5) * 0x1p-64
            let radius = (-2 * log(u)).squareRoot()
            // The quarter is counted from -pi/4, so that the remainder is centred.
            let word = words[2 * pairs + index]
            let quarter = Double(word >> 30)
            let offset = Double(Int32(bitPattern: word << 2) >> 2) + 0.5
            let angle = (quarter + offset * 0x1p-30) * Double.pi / 2
            // Near 1 a float u is a multiple of 2^-24, which moves a small radius.
            let tolerance = 1e-6 * radius + 2e-7 / max(radius, 5e-4)
            #expect(abs(Double(found[index]) - radius * cos(angle)) < tolerance)
            #expect(abs(Double(found[pairs + index]) - radius * sin(angle)) < tolerance)
        }
        let extreme = Double(found[0]) * Double(found[0]) + Double(found[pairs]) * Double(found[pairs])
        #expect(extreme.squareRoot() > 9.4)
        #expect(found[1] == 0 && found[pairs + 1] == 0)
    }

    @Test func everyInstructionSetGivesTheSameBits() {
        let generator = SeededRandomGenerator(seed: 25)
        for pairs in [1, 7, 8, 1024, 1029] {
            let words = (0..<3 * pairs).map { _ in UInt32(truncatingIfNeeded: generator.next()) }
            var fast = [Float](repeating: 0, count: 2 * pairs)
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

    @Test(arguments: [0, 1, 2, 3, 2047, 2048, 2049, 10_001])
    func everyLengthIsFilledAndNothingBeyond(count: Int) {
        var buffer = [Float](repeating: 1000, count: count + 2)
        buffer.withUnsafeMutableBufferPointer {
            SeededRandomGenerator(seed: 28).fillNormals(.init(rebasing: $0[1..<count + 1]), scale: 2)
        }
        #expect(buffer.first == 1000 && buffer.last == 1000)
        #expect(buffer[1..<count + 1].allSatisfy { abs($0) < 20 })
        #expect(Array(buffer[1..<count + 1]) == normals(count, from: SeededRandomGenerator(seed: 28)).map { 2 * $0 })
    }

    @Test func addingScalesAndKeepsWhatWasThere() {
        let noise = normals(5000, from: SeededRandomGenerator(seed: 29))
        var sum = (0..<5000).map { Float($0 % 17) }
        sum.withUnsafeMutableBufferPointer { SeededRandomGenerator(seed: 29).addNormals(to: $0, scale: 0.5) }
        for index in 0..<5000 { #expect(abs(sum[index] - Float(index % 17) - 0.5 * noise[index]) < 2e-6) }
        let before = sum
        let generator = SeededRandomGenerator(seed: 30)
        sum.withUnsafeMutableBufferPointer { generator.addNormals(to: $0, scale: 0) }
        #expect(sum == before)
        #expect(generator.next() == SeededRandomGenerator(seed: 30).next())
    }
}
