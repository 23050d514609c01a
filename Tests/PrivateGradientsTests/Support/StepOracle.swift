import PrivateGradients
import TensorGraph
import TestSupport

/// Per-sample losses and gradients by central differences of the forward pass in double precision: nothing of
/// Book-Keeping, of the gradient rules or of the kernels takes part.
struct StepOracle {
    let losses: [Double]
    /// Gradients by sample and parameter.
    let gradients: [[String: [Double]]]

    init(_ model: PrivateModel, data: [String: Constant], parameters: [String: Constant], batch: Int) throws {
        let forward = try model.forward(batch: batch)
        var builder = forward.builder
        builder.addOutput("loss", forward.loss)
        let evaluator = ReferenceEvaluator(builder.finish())
        let inputs = data.doubles
        let values = parameters.doubles
        losses = evaluator.run(inputs: inputs, parameters: values)["loss"]!
        var gradients = [[String: [Double]]](repeating: [:], count: batch)
        let step = 1e-5
        for (name, _) in model.parameters {
            let elements = values[name]!
            for element in elements.indices {
                var moved = values
                let ends = [step, -step].map { shift in
                    moved[name]![element] = elements[element] + shift
                    return evaluator.run(inputs: inputs, parameters: moved)["loss"]!
                }
                for sample in 0..<batch {
                    gradients[sample][name, default: []].append((ends[0][sample] - ends[1][sample]) / (2 * step))
                }
            }
        }
        self.gradients = gradients
    }

    private init(losses: [Double], gradients: [[String: [Double]]]) {
        self.losses = losses
        self.gradients = gradients
    }

    /// Losses and gradients of samples made of `count` rows each: sums over rows with their shares.
    func joined(_ count: Int, shares: [Float]) -> StepOracle {
        var losses = [Double](repeating: 0, count: self.losses.count / count)
        var gradients = losses.map { _ in self.gradients[0].mapValues { $0.map { _ in 0.0 } } }
        for (row, share) in shares.map(Double.init).enumerated() {
            losses[row / count] += share * self.losses[row]
            for (name, gradient) in self.gradients[row] {
                for (index, value) in gradient.enumerated() { gradients[row / count][name]![index] += share * value }
            }
        }
        return StepOracle(losses: losses, gradients: gradients)
    }

    /// ||G_i|| with respect to some parameters.
    func norm(_ sample: Int, _ names: [String]) -> Double {
        TestSupport.norm(names.flatMap { gradients[sample][$0]! })
    }

    func norms(_ names: [String]) -> [Double] { gradients.indices.map { norm($0, names) } }

    /// c_i by the table of the clipping functions.
    static func factor(_ function: ClippingFunction, norm: Double, threshold: Double) -> Double {
        switch function {
        case .abadi: min(1, threshold / norm)
        case .automatic(let gamma): threshold / (norm + gamma)
        case .normalized: norm == 0 ? 0 : threshold / norm
        case .global(let bound): norm <= bound ? threshold / bound : 0
        }
    }

    /// sum_i c_i G_i.
    func sum(_ name: String, factors: [Double]) -> [Double] {
        let count = gradients[0][name]!.count
        return (0..<count).map { element in
            gradients.indices.reduce(0) { $0 + factors[$1] * gradients[$1][name]![element] }
        }
    }
}
