import Execution
import Glibc
import Kernels

/// Measures how far single records move the clipped sums: on the sums themselves, not on the norms by which they were
/// clipped.
///
/// The guarantee covers every record that there could be, and every weight, so beside samples of the data there are records
/// made to be hard to clip (``CraftedRecords``), and weights on which they are harder still. And norms that are wrong
/// show only where gradients are scaled down, so all are measured with a C that is smaller than almost every gradient, too.
struct ContributionProbe {
    private let samples: [Int]
    private let crafted: DataSet
    private let generator: any RandomGenerator

    private static let largestCount = 64
    private static let craftedCount = 128
    /// The small C as a share of C.
    private static let smallShare = 0x1p-10
    private static let searchRounds = 40
    private static let recordsPerRound = 8

    /// - Parameter sampleCount: samples of the data that take part, the first ones.
    /// - Throws: `DataError` if there is not enough memory.
    init(_ data: DataSet, sampleCount: Int, generator: any RandomGenerator) throws {
        let count = min(sampleCount, Self.largestCount)
        samples = (0..<count).map { $0 * sampleCount / count }
        crafted = try CraftedRecords(data, generator).records(Self.craftedCount)
        self.generator = generator
    }

    /// Records that are measured with the weights as they are.
    var recordCount: Int { samples.count + crafted.sampleCount }

    /// The longest contribution of a record, in units of the C by which it was to be clipped. Weights are left as they were.
    /// - Throws: `DataError` if a value does not fit its input's type.
    func largestContribution(_ trainer: Trainer) throws -> Double {
        let engine = trainer.engine
        let norm = engine.clippingNorm
        defer { engine.clippingNorm = norm }
        let own = try samples.map { try length(of: $0, nil, engine) }.max() ?? 0
        engine.clippingNorm = norm * Self.smallShare
        let small = try samples.map { try length(of: $0, nil, engine) }.max() ?? 0
        let searched = try searchWeights(engine)
        return max(own, max(small, searched) / Self.smallShare) / trainer.clippingNorm
    }

    /// The longest contribution of a crafted record with these weights, and with weights moved at random where that made it
    /// longer.
    private func searchWeights(_ engine: GradientEngine) throws -> Double {
        let lengths = try (0..<crafted.sampleCount).map { try length(of: $0, crafted, engine) }
        let parameters = engine.parameters
        let own = parameters.names.map { Array(parameters[$0]) }
        func set(_ values: [[Float]]) {
            for (name, values) in zip(parameters.names, values) { _ = parameters[name].update(fromContentsOf: values) }
        }
        defer { set(own) }
        var (largest, best) = (lengths.max()!, own)
        var record = lengths.firstIndex(of: largest) ?? 0
        for _ in 0..<Self.searchRounds {
            set(best)
            // A quarter of the weights' scale, up to twice it.
            let scale = exp2(Double(generator.uniform(below: 4)) - 2)
            for (name, values) in zip(parameters.names, own) {
                let square = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(max(1, values.count))
                let deviation = scale * (square > 0 && square.isFinite ? square.squareRoot() : 1)
                generator.releaseOnGrid(
                    parameters[name], step: exp2(log2(deviation).rounded(.down) - 12), deviation: deviation)
            }
            let others = (1..<Self.recordsPerRound).map { _ in
                Int(generator.uniform(below: UInt64(crafted.sampleCount)))
            }
            let found = try ([record] + others).map { ($0, try length(of: $0, crafted, engine)) }.max { $0.1 < $1.1 }!
            guard found.1 > largest else { continue }
            (record, largest) = found
            best = parameters.names.map { Array(parameters[$0]) }
        }
        return largest
    }

    /// Norm of the clipped sum of one record.
    private func length(of sample: Int, _ data: DataSet?, _ engine: GradientEngine) throws -> Double {
        engine.reset()
        _ = try engine.accumulate([sample], of: data)
        return engine.parameters.names.reduce(0.0) { sum, name in
            engine.sum(of: name).reduce(sum) { $0 + Double($1) * Double($1) }
        }.squareRoot()
    }
}
