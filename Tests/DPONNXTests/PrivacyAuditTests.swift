import Testing

@testable import DPONNX
@testable import Training

/// The audit passes the engine as it is, and finds out engines that are broken on purpose.
@Suite struct PrivacyAuditTests {
    private let delta = 1e-5

    /// - Parameters:
    ///   - noise: what is claimed.
    ///   - halved: whether only half of it is added.
    ///   - adds: another mechanism than is claimed.
    ///   - users: by which rows are grouped.
    private func audit(
        _ name: String = "mlp", registry: OperatorRegistry = .standard, noise: Double, steps: Int,
        sampler: BatchSampler = .full, clippingNorm: Double = 1, clipsAt norm: Double? = nil, halved: Bool = false,
        generator: any RandomGenerator = SecureRandomGenerator(), canaries: Int? = nil, physicalBatchSize: Int = 2,
        users: [Int64]? = nil,
        adaptive: AdaptiveClipping? = nil, adds: PrivacyMechanism? = nil, bands: Int? = nil
    ) throws -> PrivacyAudit.Result {
        let exported = ExportedModel(name)
        let model = try LoadedModel(path: exported.modelPath, registry: registry)
        var data = try exported.data(for: model)
        if let users {
            data = try DataSet(
                arrays: data.keys.map { data[$0] }, targetKey: data.targetKey,
                groups: RowGroups(by: NamedArray(name: "user", shape: [users.count], values: users)))
        }
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        func mechanism(_ noise: Double) -> PrivacyMechanism {
            PrivacyMechanism(
                sampler: sampler, clippingNorm: clippingNorm, noiseMultiplier: noise, steps: steps, datasetSize: 1000,
                adaptiveClipping: adaptive, bands: bands)
        }
        var options = TrainingOptions(
            mechanism: adds ?? mechanism(halved ? noise / 2 : noise), clipping: ClippingOptions(), updateRule: .sgd,
            schedule: LearningRateSchedule(base: 0.1, totalSteps: steps))
        if let norm { options.clipping.clippingNorm = norm }
        let parameters = try trainable.makeParameters()
        let trainer = try Trainer(
            trainable, loss: LossSpecification(), options: options, data: data, physicalBatchSize: physicalBatchSize,
            parameters: parameters, generator: generator, pool: ThreadPool(threads: 1))
        let audit = try PrivacyAudit(
            trainer, claim: mechanism(noise), accountant: .pld, delta: delta, confidence: 0.95,
            rowCount: data.sampleCount,
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

    @Test(arguments: ["mlp", "tied", "lstm", "vit"]) func groupsPass(name: String) throws {
        for batch in [2, 4] {
            let result = try audit(
                name, noise: 1, steps: 3, sampler: .poisson(rate: 0.5), physicalBatchSize: batch,
                users: [7, 2, 7, 3, 7])
            #expect(result.failures.isEmpty, "\(name): \(result)")
            #expect(result.largestContribution > 0.999 && result.largestContribution < 1 + 1e-5)
            #expect(result.probedRecords == 3 + 128)
        }
    }

    /// With a threshold that moves in every step.
    @Test func adaptiveClippingPasses() throws {
        let adaptive = AdaptiveClipping(quantile: 0.3, rate: 1, countNoise: 40)
        let result = try audit("vit", noise: 1, steps: 12, sampler: .poisson(rate: 0.3), adaptive: adaptive)
        #expect(result.failures.isEmpty, "\(result)")
        #expect(abs(try #require(result.noiseDeviationShare) - 1.0001) < 0.04)
        #expect((0.2...2).contains(try #require(result.countDeviationShare)))
    }

    /// Noise of single steps is known only to those who see all of them.
    @Test func correlatedNoisePasses() throws {
        let sampler = BatchSampler.cyclicPoisson(rate: 0.1, subsets: 5)
        let result = try audit("vit", noise: 1, steps: 23, sampler: sampler, bands: 4)
        #expect(result.failures.isEmpty, "\(result)")
        #expect(abs(try #require(result.noiseDeviationShare) - 1) < 0.02)
        #expect(result.epsilonLowerBound > 0 && result.epsilonLowerBound <= result.claimedEpsilon)
        let halved = try audit("vit", noise: 1, steps: 23, sampler: sampler, halved: true, bands: 4)
        #expect(abs(try #require(halved.noiseDeviationShare) - 0.5) < 0.02)
        #expect(halved.failures.contains { $0.contains("weaker") })
    }

    /// As well as canaries can be told apart where hardly any noise is added, for every sampler, seen through the strategy.
    @Test(arguments: [1, 2, 6]) func correlatedCanariesAreFound(subsets: Int) throws {
        let result = try audit(
            noise: 0.1, steps: 12, sampler: .cyclicPoisson(rate: 1 / Double(subsets), subsets: subsets),
            bands: min(subsets, 4))
        #expect(result.epsilonLowerBound > 2 && result.failures.isEmpty, "\(result)")
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
        let result = try audit(noise: 8, steps: 4, clippingNorm: 0.01, clipsAt: 1e9)
        #expect(result.epsilonLowerBound > result.claimedEpsilon, "\(result)")
        #expect(result.largestContribution > 10)
    }

    @Test func normsThatMissALayer() throws {
        let result = try audit(registry: FaultyProduct.registry(.leftOut), noise: 8, steps: 4)
        #expect(result.largestContribution > 2, "\(result)")
        #expect(result.failures.contains { $0.contains("clipping norm") })
    }

    @Test func aTiedWeightCountedOnce() throws {
        let result = try audit("tied", registry: FaultyProduct.registry(.tieOverlooked), noise: 8, steps: 4)
        #expect(result.largestContribution > 1.03, "\(result)")
        #expect(result.failures.contains { $0.contains("clipping norm") })
    }

    @Test func normsOfGroupsByRow() throws {
        let result = try audit(
            registry: FaultyProduct.registry(.rowsApart), noise: 8, steps: 4, physicalBatchSize: 4,
            users: [7, 2, 7, 3, 7])
        #expect(result.largestContribution > 1.5, "\(result)")
        #expect(result.failures.contains { $0.contains("clipping norm") })
    }

    @Test func countsWithoutNoise() throws {
        let adaptive = AdaptiveClipping(quantile: 0.3, countNoise: 40)
        // The gradients' noise is as claimed, but counts are released with hardly any.
        let gradients = try #require(adaptive.gradientNoiseMultiplier(together: 1))
        let bare = AdaptiveClipping(quantile: 0.3, countNoise: 0.01)
        let broken = PrivacyMechanism(
            sampler: .full, clippingNorm: 1,
            noiseMultiplier: 1 / (1 / (gradients * gradients) + 1 / (4 * 1e-4)).squareRoot(), steps: 8,
            datasetSize: 1000, adaptiveClipping: bare)
        let result = try audit("vit", noise: 1, steps: 8, adaptive: adaptive, adds: broken)
        #expect(try #require(result.countDeviationShare) < 1e-3)
        #expect(result.failures.contains { $0.contains("counts") }, "\(result)")
    }

    @Test func halfTheNoise() throws {
        // 16 steps of some 1300 numbers: 0.02 are eight deviations of chance.
        let result = try audit("vit", noise: 1, steps: 16, halved: true)
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
