import Glibc
import Testing

@testable import DPONNX
@testable import Training

/// Banded matrix factorisation in training: what is added to the sums, and which rows are drawn.
@Suite struct CorrelatedNoiseTests {
    /// Every step's noise, in units of its claimed standard deviation under independent noise.
    private func noise(bands: Int?, sigma: Double, steps: Int, generator: any RandomGenerator = SecureRandomGenerator())
        throws -> [[Double]]
    {
        let exported = ExportedModel("vit")
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let trainable = try model.trainable(names, for: data, InputOptions())
        let mechanism = PrivacyMechanism(
            sampler: bands.map { .cyclicPoisson(rate: 0.01, subsets: $0) } ?? .poisson(rate: 0.01), clippingNorm: 0.5,
            noiseMultiplier: sigma, steps: steps, datasetSize: 100, bands: bands)
        let trainer = try Trainer(
            trainable, loss: LossSpecification(),
            options: TrainingOptions(
                mechanism: mechanism, clipping: ClippingOptions(), updateRule: .sgd,
                schedule: LearningRateSchedule(base: 1e-6, totalSteps: steps)),
            data: data, physicalBatchSize: 2, parameters: trainable.makeParameters(), generator: generator,
            pool: ThreadPool(threads: 2))
        let observer = NoiseRecorder(rows: data.count)
        trainer.observer = observer
        for _ in 0..<steps { _ = try trainer.step() }
        return observer.noise.map { row in row.map { $0 / mechanism.noiseStandardDeviation } }
    }

    private func mean(_ one: [Double], _ other: [Double]) -> Double {
        zip(one, other).reduce(0) { $0 + $1.0 * $1.1 } / Double(one.count)
    }

    /// C times the noise is independent noise of the accounted strength, which C^-1 alone gives.
    @Test(arguments: [1, 3, 5]) func theStrategyTimesTheNoiseIsIndependentNoise(bands: Int) throws {
        let steps = 7
        let noise = try noise(bands: bands, sigma: 1.5, steps: steps)
        let strategy = BandedStrategy(bands: bands, steps: steps)
        let count = noise[0].count
        try #require(count > 1000)
        let white = (0..<steps).map { row in
            (0..<count).map { place in
                (0...row).reduce(0) { $0 + strategy.entry(row: row, lag: $1) * noise[row - $1][place] }
            }
        }
        // Six deviations of chance: a covariance has 1 / sqrt(n), a variance sqrt(2 / n).
        let limit = 6 / Double(count).squareRoot()
        for row in 0..<steps {
            for other in 0...row {
                let found = mean(white[row], white[other])
                #expect(abs(found - (row == other ? 1 : 0)) < limit * (row == other ? 2.0.squareRoot() : 1))
            }
            // Neighbouring weights have nothing in common.
            #expect(abs(mean(Array(noise[row].dropLast()), Array(noise[row].dropFirst()))) < 1.5 * limit)
        }
        // Steps do, negatively, so that sums over steps have less noise.
        if bands > 1 { #expect(mean(noise[3], noise[2]) < -0.1) }
    }

    @Test func whatStepsAddUpToHasAsMuchNoiseAsTheStrategySays() throws {
        let steps = 24
        func error(_ noise: [[Double]]) -> Double {
            var sums = [Double](repeating: 0, count: noise[0].count)
            var total = 0.0
            for row in noise {
                for (place, value) in row.enumerated() { sums[place] += value }
                total += mean(sums, sums)
            }
            return total / Double(noise.count)
        }
        let independent = try error(noise(bands: nil, sigma: 1, steps: steps))
        #expect(abs(independent / (Double(steps + 1) / 2) - 1) < 0.1)
        let correlated = try error(noise(bands: 6, sigma: 1, steps: steps))
        let expected = BandedStrategy(bands: 6, steps: steps).meanSquaredError()
        #expect(correlated < 0.6 * independent)
        #expect(correlated < 1.1 * expected && correlated > 0.7 * expected, "\(correlated) \(expected)")
    }

    /// Rows of a part come back after as many steps as there are bands, at that many times the rate, and independently.
    @Test func aRowIsDrawnInStepsOfOnePartOnly() {
        let (rows, subsets, rounds) = (2000, 4, 1200)
        var drawing = BatchDrawing(.cyclicPoisson(rate: 0.1, subsets: subsets), SecureRandomGenerator())
        var counts = [[Int]](repeating: [Int](repeating: 0, count: subsets), count: rows)
        var (together, before) = (0, Set<Int>())
        for round in 0..<rounds {
            let batch = drawing.next(of: rows)
            #expect(batch == batch.sorted() && Set(batch).count == batch.count)
            for row in batch { counts[row][round % subsets] += 1 }
            if round % subsets == 0 {
                together += before.intersection(batch).count
                before = Set(batch)
            }
        }
        var members = [Int](repeating: 0, count: subsets)
        var squares = 0.0
        let turns = Double(rounds / subsets)
        for row in counts {
            #expect(row.count { $0 > 0 } == 1)
            members[row.firstIndex { $0 > 0 }!] += 1
            squares += pow(Double(row.max()!) - 0.4 * turns, 2) / (0.24 * turns)
        }
        // Parts are chosen by each row for itself, so their sizes vary as a binomial does.
        #expect(members.allSatisfy { abs(Double($0) - 500) < 6 * 375.0.squareRoot() } && Set(members).count > 1)
        // Every row's count is binomial: chi-square with one degree of freedom per row.
        #expect(abs(squares / Double(rows) - 1) < 6 * (2 / Double(rows)).squareRoot())
        // Two turns share rows by chance only.
        let expected = 0.16 * Double(members[0]) * (turns - 1)
        #expect(abs(Double(together) - expected) < 6 * expected.squareRoot())
    }
}

private final class NoiseRecorder: StepObserver {
    let dataRowCount: Int
    let recordCount = 0
    private(set) var noise: [[Double]] = []
    private var before: [Double] = []

    init(rows: Int) { dataRowCount = rows }

    private func sums(_ engine: GradientEngine) -> [Double] {
        engine.parameters.names.flatMap { engine.sum(of: $0).map(Double.init) }
    }

    let countOfRecords: Float = 0

    func willRelease(_ engine: GradientEngine, records: [Int], clippingNorm: Double) { before = sums(engine) }

    func didRelease(count: Float, exact: Float) {}

    func didRelease(_ engine: GradientEngine) { noise.append(zip(sums(engine), before).map { $0 - $1 }) }
}
