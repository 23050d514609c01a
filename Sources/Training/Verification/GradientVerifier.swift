import Execution
public import Kernels
public import PrivateGradients

/// Checks private gradients on a user's own model and data, by computing the same numbers in other ways:
///
/// 1. Each sample alone, by an ordinary backward pass that knows nothing of samples: losses, norms, and the clipped sum
///    added up in double precision.
/// 2. Finite differences of the loss in float32, along the gradient of single parameters and along random directions.
/// 3. The same batch with one sample exchanged: what belongs to the other samples must stay as it is.
public struct GradientVerifier {
    /// Loss and norm of a sample, and clipped sums, against those of samples alone.
    private static let lossTolerance = 2e-4
    private static let sumTolerance = 1e-3
    /// Sums over other places of a batch may be rounded differently.
    private static let exchangeTolerance = 1e-5
    private static let mostExchanges = 3

    private let data: DataSet
    /// Samples, which are rows unless those are grouped.
    private let rows: [Int]
    private let engine: GradientEngine
    private let single: SingleSampleGradients

    /// - Parameter samples: how many samples of the data to use (rows or groups of them), from the first on.
    /// - Throws: what making a `GradientEngine` throws.
    public init(
        _ model: TrainableModel, loss: LossSpecification, clipping: ClippingOptions, data: DataSet, samples: Int,
        physicalBatchSize: Int? = nil, memoryLimit: Int, pool: ThreadPool
    ) throws {
        self.data = data
        rows = Array(0..<min(samples, data.sampleCount))
        let parameters = try model.makeParameters()
        let batch = try PhysicalBatch(
            wished: physicalBatchSize, expectedBatchSize: rows.count, memoryLimit: memoryLimit, model: model,
            loss: loss, clipping: clipping, data: data, pool: pool)
        engine = try GradientEngine(
            model, loss: loss, clipping: clipping, data: data, batchSize: batch.rows, saving: batch.saving,
            parameters: parameters, pool: pool)
        single = try SingleSampleGradients(model, loss: loss, data: data, parameters: parameters, pool: pool)
    }

    /// - Throws: `DataError` if a row's value does not fit its input's type.
    public func verify() throws -> VerificationReport {
        var report = VerificationReport()
        report.parameters = engine.parameters.names.count
        let batch = try run(rows)
        let alone = try rows.map { try single.gradient(of: $0) }
        let finite = rows.indices.filter { alone[$0].loss.isFinite && batch.samples[$0].loss.isFinite }
        report.samples = finite.count
        report.nonFinite = rows.count - finite.count
        report.comparisons = try compareWithSingles(batch, alone, finite)
        report.comparisons += try compareExchanged(batch, alone, finite)
        var differences = FiniteDifferences(single, rows: finite.map { rows[$0] })
        report.comparisons += try differences.compare { weighted($0, alone, finite) { _ in 1 } }
        report.differentiated = differences.parameterCount
        return report
    }

    // MARK: Samples alone

    private struct Batch {
        var samples: [GradientEngine.SampleReport]
        /// Clipped sums by parameter.
        var sums: [String: [Float]]
    }

    private func run(_ rows: [Int]) throws -> Batch {
        engine.reset()
        let samples = try engine.accumulate(rows)
        let sums = engine.parameters.names.map { ($0, Array(engine.sum(of: $0))) }
        return Batch(samples: samples, sums: Dictionary(uniqueKeysWithValues: sums))
    }

    private func compareWithSingles(
        _ batch: Batch, _ alone: [SingleSampleGradients.Sample], _ finite: [Int]
    ) throws -> [VerificationReport.Comparison] {
        var losses = VerificationReport.Comparison("loss", tolerance: Self.lossTolerance)
        var norms = VerificationReport.Comparison("norm", tolerance: Self.lossTolerance)
        let largestLoss = finite.map { abs(Double(alone[$0].loss)) }.max() ?? 0
        let largestNorm = finite.map { alone[$0].norm }.max() ?? 0
        for index in finite {
            let (sample, other) = (batch.samples[index], alone[index])
            losses.compare(
                Double(sample.loss), Double(other.loss), scale: max(largestLoss, 1e-3), at: "row \(rows[index])")
            if let norm = sample.norm {
                norms.compare(Double(norm), other.norm, scale: largestNorm, at: "row \(rows[index])")
            }
        }
        var sums = VerificationReport.Comparison("clipped sum", tolerance: Self.sumTolerance)
        compare(&sums) { name in
            (batch.sums[name]!.map(Double.init), clipped(name, alone, batch.samples, finite))
        }
        return [losses] + (norms.count > 0 ? [norms] : []) + [sums]
    }

    /// sum_i c_i G_i for one parameter of samples alone, with the batch's factors.
    private func clipped(
        _ name: String, _ alone: [SingleSampleGradients.Sample], _ samples: [GradientEngine.SampleReport],
        _ indices: [Int]
    ) -> [Double] {
        let group = engine.step.groups.firstIndex { $0.contains(name) } ?? 0
        return weighted(name, alone, indices) { Double(samples[$0].factors[group]) }
    }

    private func weighted(
        _ name: String, _ alone: [SingleSampleGradients.Sample], _ indices: [Int], _ weight: (Int) -> Double
    ) -> [Double] {
        var sum = [Double](repeating: 0, count: engine.parameters[name].count)
        for index in indices {
            let factor = weight(index)
            for (place, value) in alone[index].gradient(of: name).enumerated() { sum[place] += factor * Double(value) }
        }
        return sum
    }

    /// Differences count in proportion to the largest element of all expected sums.
    /// - Parameter sums: what was found for a parameter and what is expected.
    private func compare(
        _ comparison: inout VerificationReport.Comparison, sums: (String) -> (found: [Double], expected: [Double])
    ) {
        var differences: [(String, Double)] = []
        var scale = 0.0
        for name in engine.parameters.names {
            let (found, expected) = sums(name)
            scale = expected.reduce(scale) { max($0, abs($1)) }
            let difference = zip(found, expected).reduce(0.0) { largest, pair in
                let one = abs(pair.0 - pair.1)
                return one.isNaN || one > largest ? one : largest
            }
            differences.append((name, difference))
        }
        for (name, difference) in differences { comparison.compare(difference, 0, scale: scale, at: name) }
    }

    // MARK: One sample exchanged

    private func compareExchanged(
        _ batch: Batch, _ alone: [SingleSampleGradients.Sample], _ finite: [Int]
    ) throws -> [VerificationReport.Comparison] {
        var losses = VerificationReport.Comparison("loss of others", tolerance: Self.exchangeTolerance)
        var norms = VerificationReport.Comparison("norm of others", tolerance: Self.exchangeTolerance)
        var sums = VerificationReport.Comparison("gradient of others", tolerance: Self.sumTolerance)
        guard rows.count > 1 else { return [] }
        let largestNorm = finite.map { alone[$0].norm }.max() ?? 0
        for place in rows.indices.prefix(Self.mostExchanges) {
            let others = finite.filter { $0 != place }
            // A row that is not in the batch if there is one, else a second copy of another.
            let stranger =
                rows.count < data.sampleCount
                ? rows.count + place % (data.sampleCount - rows.count) : rows[(place + 1) % rows.count]
            var exchanged = rows
            exchanged[place] = stranger
            let after = try run(exchanged)
            for index in others {
                let (sample, same) = (batch.samples[index], after.samples[index])
                let what = "row \(rows[index]) when row \(rows[place]) becomes row \(stranger)"
                losses.compare(Double(same.loss), Double(sample.loss), scale: abs(Double(sample.loss)), at: what)
                if let norm = sample.norm, let other = same.norm {
                    norms.compare(Double(other), Double(norm), scale: largestNorm, at: what)
                }
            }
            let strange = try single.gradient(of: stranger)
            compare(&sums) { name in
                var rest = after.sums[name]!.map(Double.init)
                if strange.loss.isFinite {
                    let contribution = clipped(name, [strange], [after.samples[place]], [0])
                    for (position, value) in contribution.enumerated() { rest[position] -= value }
                }
                return (rest, clipped(name, alone, batch.samples, others))
            }
        }
        return [losses] + (norms.count > 0 ? [norms] : []) + [sums]
    }
}
