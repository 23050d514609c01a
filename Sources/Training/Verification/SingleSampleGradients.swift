import Execution
import Kernels
import PrivateGradients

/// Gradients of samples one by one, by the ordinary backward pass: no per-sample rule takes part in them.
final class SingleSampleGradients {
    struct Sample {
        let loss: Float
        /// Norm over all parameters, added up in double precision.
        let norm: Double
        fileprivate let gradients: [String: [Float]]

        func gradient(of parameter: String) -> [Float] { gradients[parameter]! }
    }

    let parameters: ParameterMemory
    private let engine: GradientEngine

    init(
        _ model: TrainableModel, loss: LossSpecification, data: DataSet, parameters: ParameterMemory, pool: ThreadPool
    ) throws {
        self.parameters = parameters
        engine = try GradientEngine(
            model, loss: loss, clipping: ClippingOptions(mode: .nonPrivate), data: data,
            batchSize: model.sizes.batchSize(wished: 1), parameters: parameters, pool: pool)
    }

    func gradient(of row: Int) throws -> Sample {
        engine.reset()
        let report = try engine.accumulate([row])[0]
        var square = 0.0
        var gradients: [String: [Float]] = [:]
        for name in parameters.names {
            let gradient = Array(engine.sum(of: name))
            square = gradient.reduce(square) { $0 + Double($1) * Double($1) }
            gradients[name] = gradient
        }
        return Sample(loss: report.loss, norm: square.squareRoot(), gradients: gradients)
    }

    /// Sum of the rows' losses with the parameters as they are now.
    func loss(of rows: [Int]) throws -> Double {
        engine.reset()
        return try engine.accumulate(rows).reduce(0) { $0 + Double($1.loss) }
    }
}
