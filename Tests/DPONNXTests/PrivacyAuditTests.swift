import Testing

@testable import DPONNX
@testable import Training

/// The audit passes the engine as it is, and finds out engines that are broken on purpose.
@Suite struct PrivacyAuditTests {
    private let delta = 1e-5

    /// - Parameters:
    ///   - noise: what is claimed.
    ///   - halved: whether only half of it is added.
    private func audit(
        _ name: String = "mlp", registry: OperatorRegistry = .standard, noise: Double, steps: Int,
        sampler: BatchSampler = .full, clipsAt norm: Double? = nil, halved: Bool = false,
        generator: any RandomGenerator = SecureRandomGenerator(), canaries: Int? = nil
    ) throws -> PrivacyAudit.Result {
        let exported = ExportedModel(name)
        let model = try LoadedModel(path: exported.modelPath, registry: registry)
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        // So small that every row is clipped.
        let clippingNorm = 0.01
        func mechanism(_ noise: Double) -> PrivacyMechanism {
            PrivacyMechanism(
                sampler: sampler, clippingNorm: clippingNorm, noiseMultiplier: noise, steps: steps, datasetSize: 1000)
        }
        var options = TrainingOptions(
            mechanism: mechanism(halved ? noise / 2 : noise), clipping: ClippingOptions(), updateRule: .sgd,
            schedule: LearningRateSchedule(base: 0.1, totalSteps: steps))
        if let norm { options.clipping.clippingNorm = norm }
        let parameters = try trainable.makeParameters()
        let trainer = try Trainer(
            trainable, loss: LossSpecification(), options: options, data: data, physicalBatchSize: 2,
            parameters: parameters, generator: generator, pool: ThreadPool(threads: 1))
        let audit = try PrivacyAudit(
            trainer, claim: mechanism(noise), accountant: .pld, delta: delta, confidence: 0.95, rowCount: data.count,
            canaries: canaries ?? parameters.names.reduce(0) { $0 + parameters[$1].count },
            generator: SecureRandomGenerator())
        for _ in 0..<steps { _ = try audit.step() }
        return try audit.result()
    }

    @Test(arguments: [BatchSampler.full, .poisson(rate: 0.1)])
    func aSoundEnginePasses(sampler: BatchSampler) throws {
        let result = try audit("tied", noise: 1, steps: 20, sampler: sampler)
        #expect(result.failures.isEmpty, "\(result)")
        #expect(result.epsilonLowerBound <= result.claimedEpsilon)
        #expect(result.largestContribution > 0.999 && result.largestContribution < 1 + 1e-5)
        // 20 steps of 108 numbers.
        #expect(abs(try #require(result.noiseDeviationShare) - 1) < 0.1)
    }

    /// The bound is of use: where hardly any noise is added nearly all guesses are right.
    @Test func littleNoiseIsFoundOut() throws {
        let result = try audit(noise: 0.1, steps: 1)
        #expect(result.epsilonLowerBound > 2 && result.epsilonLowerBound < result.claimedEpsilon, "\(result)")
        // With more canaries than weights some share one.
        let crowded = try audit(noise: 0.1, steps: 1, canaries: 400)
        #expect(crowded.failures.isEmpty && crowded.epsilonLowerBound > 1, "\(crowded)")
    }

    @Test func gradientsThatAreNotClipped() throws {
        let result = try audit(noise: 8, steps: 4, clipsAt: 1e9)
        #expect(result.epsilonLowerBound > result.claimedEpsilon, "\(result)")
        #expect(result.largestContribution > 10)
    }

    @Test func normsThatMissALayer() throws {
        let result = try audit(registry: FaultyProduct.registry(.leftOut), noise: 8, steps: 4)
        #expect(result.largestContribution > 1.1, "\(result)")
        #expect(result.failures.contains { $0.contains("clipping norm") })
    }

    @Test func aTiedWeightCountedOnce() throws {
        let result = try audit("tied", registry: FaultyProduct.registry(.tieOverlooked), noise: 8, steps: 4)
        #expect(result.largestContribution > 1.002, "\(result)")
        #expect(result.failures.contains { $0.contains("clipping norm") })
    }

    @Test func halfTheNoise() throws {
        let result = try audit("vit", noise: 1, steps: 1, halved: true)
        #expect(abs(try #require(result.noiseDeviationShare) - 0.5) < 0.02, "\(result)")
        #expect(result.failures.contains { $0.contains("weaker") })
    }

    @Test func noiseThatIsReused() throws {
        let result = try audit(noise: 1, steps: 2, generator: RepeatingGenerator())
        #expect(result.failures.contains { $0.contains("not independent") }, "\(result)")
        // Across parameters only, in a single step.
        let once = try audit("vit", noise: 1, steps: 1, generator: RepeatingGenerator())
        #expect(once.failures.contains { $0.contains("not independent") }, "\(once)")
    }
}

/// Gives the same bits in every step and for every parameter.
private final class RepeatingGenerator: RandomGenerator {
    let isPrivate = false
    private var seeded = SeededRandomGenerator(seed: 4)

    func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        seeded = SeededRandomGenerator(seed: 4)
        seeded.fill(bytes)
    }

    func next() -> UInt64 { seeded.next() }

    func stream(_ index: UInt64) -> any RandomGenerator { RepeatingGenerator() }
}
