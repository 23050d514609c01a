import DPONNX
import Foundation
import Testing

/// Training, from a model's file to the trained file.
@Suite struct PrivateTrainingTests {
    private let exported = ExportedModel("mlp")
    private let pool = ThreadPool(threads: 1)

    private struct Run {
        var trainer: Trainer
        var model: LoadedModel
        var data: DataSet
    }

    private func run(
        steps: Int, noise: Double, mode: ClippingMode = .bookKeeping, rule: UpdateRule = .sgd, batch: Int = 5,
        average: Double? = nil, seed: UInt64 = 7, sampler: BatchSampler? = nil, clippingNorm: Double = 1,
        style: ClippingStyle = .flat, adaptive: AdaptiveClipping? = nil
    ) throws -> Run {
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let mechanism = PrivacyMechanism(
            sampler: sampler ?? .poisson(rate: Double(batch) / Double(data.count)),
            clippingNorm: clippingNorm, noiseMultiplier: noise, steps: steps, datasetSize: data.count,
            adaptiveClipping: adaptive)
        let options = TrainingOptions(
            mechanism: mechanism, clipping: ClippingOptions(mode: mode, style: style), updateRule: rule,
            schedule: LearningRateSchedule(base: 0.5, totalSteps: steps), averageDecay: average)
        let trainer = try Trainer(
            trainable, loss: LossSpecification(), options: options, data: data, physicalBatchSize: 2,
            parameters: trainable.makeParameters(), generator: SeededRandomGenerator(seed: seed),
            pool: pool)
        return Run(trainer: trainer, model: model, data: data)
    }

    @Test func withoutNoiseTheLossFalls() throws {
        // Sampling rate 1: every step sees all five rows.
        let run = try run(steps: 60, noise: 0)
        let first = try #require(try run.trainer.step().loss)
        var last = first
        for _ in 1..<60 { last = try #require(try run.trainer.step().loss) }
        #expect(last < 0.5 * first)
    }

    @Test func oneStepMovesByTheClippedMean() throws {
        let run = try run(steps: 1, noise: 0)
        let before = run.trainer.weights()
        _ = try run.trainer.step()
        let clipped = try self.run(steps: 1, noise: 0).trainer.engine
        _ = try clipped.accumulate(Array(0..<5))
        for (old, new) in zip(before, run.trainer.weights()) {
            let sum = clipped.sum(of: old.name)
            for index in old.values.indices {
                #expect(abs(new.values[index] - (old.values[index] - 0.5 * sum[index] / 5)) < 1e-6)
            }
        }
    }

    /// Noise has standard deviation sigma C on the sum, hence lr sigma C / E[B] on a weight after one step of SGD.
    @Test func noiseHasTheStatedDeviation() throws {
        var squares = 0.0
        var count = 0
        for seed in 0..<60 {
            let noisy = try run(steps: 1, noise: 3, seed: UInt64(seed))
            _ = try noisy.trainer.step()
            let quiet = try run(steps: 1, noise: 0, seed: UInt64(seed))
            _ = try quiet.trainer.step()
            for (a, b) in zip(noisy.trainer.weights(), quiet.trainer.weights()) {
                for (x, y) in zip(a.values, b.values) {
                    squares += Double((x - y) * (x - y))
                    count += 1
                }
            }
        }
        let deviation = (squares / Double(count)).squareRoot()
        // The relative deviation of this estimate is 1 / sqrt(2 count), below 0.7 % for 60 runs of 155 weights.
        #expect(abs(deviation / (0.5 * 3 / 5) - 1) < 0.04)
    }

    /// What noise adds to the weights in one step, parameter by parameter, in units of its stated deviation.
    private func noise(steps: Int, seed: UInt64) throws -> [[Float]] {
        let noisy = try run(steps: steps, noise: 1e6, seed: seed)
        var moves: [[Float]] = []
        for _ in 0..<steps {
            let before = noisy.trainer.weights().flatMap(\.values)
            _ = try noisy.trainer.step()
            moves.append(
                zip(noisy.trainer.weights().flatMap(\.values), before).map { ($0 - $1) / Float(0.5 * 1e6 / 5) })
        }
        return moves
    }

    /// The gradients are a millionth of this noise: mean, variance, tails, and independence between steps, and between
    /// neighbours and places far apart.
    @Test func noiseIsNormalAndIndependent() throws {
        let steps = try noise(steps: 400, seed: 11).map { $0.map(Double.init) }
        let all = steps.joined()
        let count = Double(all.count)
        #expect(abs(all.reduce(0, +) / count) < 4.5 / count.squareRoot())
        let variance = all.reduce(0) { $0 + $1 * $1 } / count
        #expect(abs(variance / 1.002 - 1) < 4.5 * (2 / count).squareRoot() + 2e-3)
        // P(|Z| > 3) = 0.0026998.
        let tail = 0.0026998 * count
        #expect(abs(Double(all.count { abs($0) > 3 }) - tail) < 4.5 * tail.squareRoot())
        func correlation(_ pairs: [(Double, Double)]) -> Double {
            pairs.reduce(0) { $0 + $1.0 * $1.1 } / Double(pairs.count).squareRoot()
        }
        let width = steps[0].count
        #expect(abs(correlation(zip(steps, steps.dropFirst()).flatMap { Array(zip($0, $1)) })) < 4.5)
        for shift in [1, 2, width / 2, width - 10] {
            #expect(abs(correlation(steps.flatMap { Array(zip($0, $0.dropFirst(shift))) })) < 4.5)
        }
    }

    /// Without noise and with C infinite a step is that of ordinary training, bit for bit.
    @Test(
        arguments: [ClippingMode.bookKeeping, .bookKeepingGhost, .ghost, .instantiate],
        [ClippingStyle.flat, .layerWise, .parameterWise])
    func nothingToClipIsOrdinaryTraining(_ mode: ClippingMode, _ style: ClippingStyle) throws {
        func weights(_ mode: ClippingMode, _ style: ClippingStyle) throws -> [[Float]] {
            let run = try run(steps: 6, noise: 0, mode: mode, batch: 3, clippingNorm: .infinity, style: style)
            for _ in 0..<6 { _ = try run.trainer.step() }
            return run.trainer.weights().map(\.values)
        }
        #expect(try weights(mode, style) == weights(.nonPrivate, .flat))
    }

    /// The threshold moves by the exact count where there is no noise, and gradients are clipped to it.
    @Test func theClippingNormFollowsTheNorms() throws {
        let adaptive = AdaptiveClipping(quantile: 0.4, rate: 0.5, countNoise: 3)
        let run = try run(steps: 60, noise: 0, clippingNorm: 100, adaptive: adaptive)
        let engine = try self.run(steps: 1, noise: 0).trainer.engine
        let norms = try engine.accumulate(Array(0..<5)).map { Double($0.norm!) }.sorted()
        _ = try run.trainer.step()
        // All five are below 100: b = 1.
        #expect(abs(run.trainer.clippingNorm - 100 * exp(-0.5 * (1 - 0.4))) < 1e-9)
        for _ in 1..<60 { _ = try run.trainer.step() }
        #expect(run.trainer.clippingNorm < 2 * norms[4])
    }

    /// Both the gradients' noise and the count's have their stated deviations.
    @Test func adaptiveNoiseHasTheStatedDeviation() throws {
        let adaptive = AdaptiveClipping(quantile: 0.4, rate: 0.01, countNoise: 2)
        var (squares, count, moves) = (0.0, 0, [Double]())
        for seed in 0..<150 as Range<UInt64> {
            let noisy = try run(steps: 1, noise: 3, seed: seed, adaptive: adaptive)
            let quiet = try run(steps: 1, noise: 0, seed: seed, adaptive: adaptive)
            for trainer in [noisy.trainer, quiet.trainer] { _ = try trainer.step() }
            for (a, b) in zip(noisy.trainer.weights(), quiet.trainer.weights()) {
                for (x, y) in zip(a.values, b.values) { squares += Double((x - y) * (x - y)) }
                count += a.values.count
            }
            moves.append(log(noisy.trainer.clippingNorm / quiet.trainer.clippingNorm) / (0.01 / 5))
        }
        // z_g = (1/9 - 1/16)^(-1/2).
        let own = 1 / (1.0 / 9 - 1.0 / 16).squareRoot()
        #expect(abs((squares / Double(count)).squareRoot() / (0.5 * own / 5) - 1) < 0.03)
        let deviation = (moves.reduce(0) { $0 + $1 * $1 } / 150).squareRoot()
        // The relative deviation of this estimate is 1 / sqrt(300), about 6 %.
        #expect(abs(deviation / 2 - 1) < 0.25)
    }

    @Test func anEmptyBatchIsStillANoisyStep() throws {
        let run = try run(steps: 40, noise: 1, batch: 1)
        var sawEmpty = false
        for _ in 0..<40 {
            let before = run.trainer.weights()
            let report = try run.trainer.step()
            let moved = zip(before, run.trainer.weights()).contains { $0.values != $1.values }
            #expect(moved)
            sawEmpty = sawEmpty || report.sampleCount == 0
        }
        // At rate 1/5 five rows are all left out with probability 0.33.
        #expect(sawEmpty)
    }

    @Test(arguments: [BatchSampler.full, .truncatedPoisson(rate: 0.8, largestBatch: 3)])
    func batchesAreDrawnAsTheSamplerSays(sampler: BatchSampler) throws {
        let run = try run(steps: 40, noise: 1, sampler: sampler)
        let sizes = try (0..<40).map { _ in try run.trainer.step().sampleCount }
        if sampler == .full {
            #expect(sizes.allSatisfy { $0 == 5 })
        } else {
            // Of five rows at rate 0.8 more than three are drawn with probability 0.74.
            #expect(sizes.max() == 3 && sizes.count { $0 == 3 } > 20)
        }
    }

    @Test func aSeedRepeatsARun() throws {
        func weights(_ seed: UInt64) throws -> [[Float]] {
            let run = try run(steps: 5, noise: 1, rule: .adam(), batch: 3, average: 0.9, seed: seed)
            for _ in 0..<5 { _ = try run.trainer.step() }
            return run.trainer.weights().map(\.values)
        }
        #expect(try weights(1) == weights(1))
        #expect(try weights(1) != weights(2))
    }

    @Test func theTrainedFileDiffersInItsWeightsAlone() throws {
        let run = try run(steps: 2, noise: 1)
        for _ in 0..<2 { _ = try run.trainer.step() }
        let statement = PrivacyStatement(
            mechanism: run.trainer.options.mechanism, clippingFunction: "abadi", clippingStyle: "flat",
            accountant: .rdp, delta: 1e-5)
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).onnx").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try run.model.save(run.trainer.weights(), statement: statement, to: path)

        let trained = try LoadedModel(path: path)
        #expect(try trained.privacyStatement() == statement)
        #expect(statement.recomputedBound == statement.bound)
        #expect(trained.file.graph.nodes.map(\.name) == run.model.file.graph.nodes.map(\.name))
        let weights = Dictionary(uniqueKeysWithValues: run.trainer.weights().map { ($0.name, $0.values) })
        for tensor in trained.file.graph.initializers {
            let original = run.model.file.graph.initializers.first { $0.name == tensor.name }!
            #expect(tensor.dimensions == original.dimensions && tensor.elementType == original.elementType)
            if let expected = weights[tensor.name] {
                #expect(try tensor.floats() == expected)
                #expect(try tensor.floats() != original.floats())
            }
        }
    }

    @Test func anEarlierStatementIsKept() throws {
        let run = try run(steps: 1, noise: 1)
        let statement = PrivacyStatement(
            mechanism: run.trainer.options.mechanism, clippingFunction: "abadi", clippingStyle: "flat",
            accountant: .rdp, delta: 1e-5)
        let folder = FileManager.default.temporaryDirectory
        let (first, second) = (
            folder.appendingPathComponent("\(UUID()).onnx").path, folder.appendingPathComponent("\(UUID()).onnx").path
        )
        defer { for path in [first, second] { try? FileManager.default.removeItem(atPath: path) } }
        try run.model.save([], statement: statement, to: first)
        let again = try LoadedModel(path: first)
        #expect(again.earlierTrainingNote != nil)
        try again.save([], statement: statement, to: second)
        let metadata = try LoadedModel(path: second).file.metadata
        #expect(metadata["dponnx.privacy.epsilon"] == "\(statement.bound.epsilon)")
        #expect(metadata["dponnx.earlier.1.epsilon"] == "\(statement.bound.epsilon)")
        #expect(metadata.map(\.key).count == Set(metadata.map(\.key)).count)
    }
}
