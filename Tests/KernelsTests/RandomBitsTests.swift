import Testing

@testable import Kernels

private func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue!) }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

private func drawn(_ count: Int, from generator: any RandomGenerator) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    result.withUnsafeMutableBytes { generator.fill($0) }
    return result
}

@Suite struct RandomBitsTests {
    /// NIST SP 800-38A, F.5.5: CTR-AES256.Encrypt, four blocks.
    @Test func keystreamEncryptsTheStandardsExample() {
        let key = bytes("603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4")
        let counter = bytes("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
        let plain = bytes(
            """
            6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
            30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710
            """)
        let expected = bytes(
            """
            601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
            2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6
            """)
        let keystream = key.withUnsafeBytes { key in
            counter.withUnsafeBytes { AESCounterKeystream(key: key, counter: $0) }
        }
        var stream = [UInt8](repeating: 0xff, count: 64)
        stream.withUnsafeMutableBytes { keystream.fill($0) }
        #expect(zip(plain, stream).map { $0 ^ $1 } == expected)
    }

    @Test func theStreamDoesNotDependOnTheSizesOfRequests() {
        let whole = drawn(50_000, from: SeededRandomGenerator(seed: 7))
        let generator = SeededRandomGenerator(seed: 7)
        var pieces: [UInt8] = []
        var size = 1
        while pieces.count < whole.count {
            if size % 5 == 0 {
                let word = generator.next()
                pieces += (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
            } else {
                pieces += drawn(min(size, whole.count - pieces.count), from: generator)
            }
            size = size * 3 % 20_011 + 1
        }
        #expect(Array(pieces.prefix(whole.count)) == whole)
    }

    @Test func aSeedRepeatsItselfAndIsNotPrivate() {
        let generator = SeededRandomGenerator(seed: 1)
        #expect(!generator.isPrivate)
        #expect(!generator.stream(0).isPrivate)
        #expect(drawn(1000, from: generator) == drawn(1000, from: SeededRandomGenerator(seed: 1)))
        #expect(drawn(32, from: SeededRandomGenerator(seed: 2)) != drawn(32, from: SeededRandomGenerator(seed: 1)))
        // A stream is that of its index, also after the parent has been drawn from.
        #expect(drawn(32, from: generator.stream(3)) == drawn(32, from: SeededRandomGenerator(seed: 1).stream(3)))
        let streams = [generator.stream(0), generator.stream(1), generator.stream(0).stream(1)]
        #expect(Set(streams.map { drawn(32, from: $0) } + [drawn(32, from: SeededRandomGenerator(seed: 1))]).count == 4)
    }

    @Test func secureGeneratorsDiffer() {
        let generator = SecureRandomGenerator()
        #expect(generator.isPrivate)
        #expect(generator.stream(0).isPrivate)
        let streams: [any RandomGenerator] = [
            generator, SecureRandomGenerator(), generator.stream(0), generator.stream(0),
        ]
        #expect(Set(streams.map { drawn(32, from: $0) }).count == 4)
    }

    @Test func everyBitIsFair() {
        let count = 1 << 20
        let data = drawn(count, from: SecureRandomGenerator())
        for bit in 0..<8 {
            // Hoeffding: a fair coin strays this far with probability below 1e-9.
            let ones = data.reduce(0) { $0 + Int($1 >> bit & 1) }
            #expect(abs(Double(ones) / Double(count) - 0.5) < (21.5 / 2 / Double(count)).squareRoot())
        }
    }
}

@Suite struct RandomDecisionTests {
    @Test func uniformIntegersFillTheirRangeEvenly() {
        let generator = SeededRandomGenerator(seed: 11)
        for bound in [1, 2, 3, 7, 10] as [UInt64] {
            var counts = [Int](repeating: 0, count: Int(bound))
            for _ in 0..<100_000 { counts[Int(generator.uniform(below: bound))] += 1 }
            for count in counts {
                #expect(abs(Double(count) / 100_000 - 1 / Double(bound)) < (21.5 / 200_000).squareRoot())
            }
        }
    }

    @Test func uniformIntegersHaveNoModuloBias() {
        // Without rejection the lower half of 0..<3 * 2^62 would come up in two of three draws, not one of two.
        let bound = 3 * (UInt64(1) << 62)
        let generator = SeededRandomGenerator(seed: 12)
        let low = (0..<100_000).count { _ in generator.uniform(below: bound) < bound / 2 }
        #expect(abs(Double(low) / 100_000 - 0.5) < (21.5 / 200_000).squareRoot())
        let multiples = (0..<100_000).count { _ in generator.uniform(below: bound) % 3 == 0 }
        #expect(abs(Double(multiples) / 100_000 - 1.0 / 3) < (21.5 / 200_000).squareRoot())
    }

    @Test(arguments: [0.0, 1e-6, 0.034, 0.5, 0.75, 0.999, 1])
    func poissonSamplesHaveTheirRate(rate: Double) {
        let count = 1_000_003
        for generator in [SeededRandomGenerator(seed: 13), SecureRandomGenerator()] as [any RandomGenerator] {
            let sample = generator.poissonSample(of: count, rate: rate)
            #expect(zip(sample, sample.dropFirst()).allSatisfy { $0 < $1 })
            #expect(sample.allSatisfy { (0..<count).contains($0) })
            // Bernstein, for a failure probability below 1e-9.
            let mean = Double(count) * rate
            let slack = (43 * mean * (1 - rate)).squareRoot() + 15
            #expect(abs(Double(sample.count) - mean) <= (rate == 0 || rate == 1 ? 0 : slack))
        }
    }

    @Test func theSizeOfAPoissonSampleVariesAsItShould() {
        let generator = SeededRandomGenerator(seed: 14)
        let sizes = (0..<4000).map { _ in Double(generator.poissonSample(of: 2000, rate: 0.1).count) }
        let mean = sizes.reduce(0, +) / 4000
        let variance = sizes.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000
        #expect(abs(mean - 200) < 6.2 * (180.0 / 4000).squareRoot())
        #expect(abs(variance / 180 - 1) < 6.2 * (2.0 / 4000).squareRoot())
    }

    @Test func inclusionsOfNeighboursAreIndependent() {
        let generator = SeededRandomGenerator(seed: 15)
        let (count, rate) = (1_000_000, 0.25)
        var included = [Bool](repeating: false, count: count)
        for index in generator.poissonSample(of: count, rate: rate) { included[index] = true }
        let both = (1..<count).count { included[$0 - 1] && included[$0] }
        // Pairs overlap, so split them in two independent halves for Hoeffding: twice the deviation.
        #expect(abs(Double(both) / Double(count) - rate * rate) < 2 * (22 / Double(count)).squareRoot())
    }

    @Test func bernoulliDecidesByExactlyTheProbability() {
        // Words just below, at and just above the threshold of 0.34; the 64 bits that follow decide at it.
        let scaled = 0.34 * 0x1p64
        let high = UInt64(scaled)
        #expect(ScriptedGenerator([high - 1]).bernoulli(0.34))
        #expect(!ScriptedGenerator([high + 1]).bernoulli(0.34))
        #expect(!ScriptedGenerator([high, 0]).bernoulli(0.34))
        // Below 2^-64 only the word 0 can be accepted, and the next word decides: 2^28 + 1 of its values are below.
        let tiny = 0x1p-100 + 0x1p-128
        #expect(ScriptedGenerator([0, 0]).bernoulli(tiny))
        #expect(ScriptedGenerator([0, 1 << 28]).bernoulli(tiny))
        #expect(!ScriptedGenerator([0, (1 << 28) + 1]).bernoulli(tiny))
        #expect(ScriptedGenerator([.max]).bernoulli(1))
        #expect(!ScriptedGenerator([0, 0]).bernoulli(0))
    }

    @Test func permutationsAreUniform() {
        let generator = SeededRandomGenerator(seed: 16)
        var counts: [[Int]: Int] = [:]
        for _ in 0..<240_000 { counts[generator.permutation(of: 4), default: 0] += 1 }
        #expect(counts.count == 24)
        for (_, count) in counts { #expect(abs(Double(count) - 10_000) < 6.5 * 10_000.0.squareRoot()) }
        #expect(generator.permutation(of: 0).isEmpty)
        #expect(generator.permutation(of: 1000).sorted() == Array(0..<1000))
    }
}

/// A generator that hands out given words, to test what is decided from them.
private final class ScriptedGenerator: RandomGenerator {
    private var words: [UInt64]

    init(_ words: [UInt64]) { self.words = words }

    var isPrivate: Bool { false }

    func next() -> UInt64 { words.removeFirst() }

    func fill(_ bytes: UnsafeMutableRawBufferPointer) { preconditionFailure("only whole words are scripted") }

    func stream(_ index: UInt64) -> any RandomGenerator { self }
}
