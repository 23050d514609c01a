import Execution
import Kernels
import PrivateGradients

/// Gradients of samples one by one, by the ordinary backward pass of one row at a time: no per-sample rule takes part in
/// them, nor does the joining of rows.
final class SingleSampleGradients {
    struct Sample {
        let loss: Float
        /// Norm over all parameters, added up in double precision.
        let norm: Double
        fileprivate let gradients: [String: [Double]]

        func gradient(of parameter: String) -> [Double] { gradients[parameter]! }
    }

    let parameters: ParameterMemory
    private let data: DataSet
    private let engine: GradientEngine

    init(
        _ model: TrainableModel, loss: LossSpecification, data: DataSet, parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        self.parameters = parameters
        self.data = data
        engine = try GradientEngine(
            model, loss: loss, clipping: ClippingOptions(mode: .nonPrivate), data: data.ungrouped,
            batchSize: model.sizes.batchSize(wished: 1), parameters: parameters, pool: pool)
    }

    func gradient(of sample: Int) throws -> Sample {
        let rows = data.rows(ofSample: sample)
        var loss: Float = 0
        var gradients = Dictionary(
            uniqueKeysWithValues: parameters.names.map { ($0, [Double](repeating: 0, count: parameters[$0].count)) })
        for row in rows {
            engine.reset()
            loss += try engine.accumulate([row])[0].loss / Float(rows.count)
            for name in parameters.names {
                let own = engine.sum(of: name)
                for index in own.indices { gradients[name]![index] += Double(own[index]) / Double(rows.count) }
            }
        }
        let square = gradients.values.joined().reduce(0) { $0 + $1 * $1 }
        return Sample(loss: loss, norm: square.squareRoot(), gradients: gradients)
    }

    /// Sum of the samples' losses with the parameters as they are now.
    func loss(of samples: [Int]) throws -> Double {
        let rows = samples.map(data.rows(ofSample:))
        let shares = rows.flatMap { rows in rows.map { _ in 1 / Double(rows.count) } }
        engine.reset()
        return zip(try engine.accumulate(rows.flatMap { $0 }), shares).reduce(0) { $0 + Double($1.0.loss) * $1.1 }
    }
}
