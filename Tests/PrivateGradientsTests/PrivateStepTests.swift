import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Private steps of whole models against per-sample gradients by finite differences.
@Suite struct PrivateStepTests {
    private static let batch = 4

    /// A threshold between the norms, so that some samples are clipped and some are not.
    private static func threshold(_ norms: [Double]) -> Double {
        let sorted = norms.sorted()
        return (sorted[1] + sorted[2]) / 2
    }

    @Test(arguments: PrivateModel.all)
    func everyModeFunctionAndStyle(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 11)
        let parameters = model.initialValues(seed: 12)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.batch)
        let names = model.parameters.map(\.name)
        let bound = Self.threshold(oracle.norms(names))
        for function in [.abadi, .automatic(gamma: 0.01), .normalized, .global(bound: bound)] as [ClippingFunction] {
            for clipping in ModelClipping.all(model, function: function, clippingNorm: 0.75 * bound) {
                let runner = try StepRunner(model, clipping.options, parameters: parameters, batch: Self.batch)
                try expectAgreement(runner.run(data), runner.step, model, clipping, oracle)
            }
        }
    }

    @Test(arguments: PrivateModel.all)
    func ordinaryGradientsAreSumsOverTheSamples(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 21)
        let parameters = model.initialValues(seed: 22)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.batch)
        let runner = try StepRunner(
            model, ClippingOptions(mode: .nonPrivate), parameters: parameters, batch: Self.batch)
        for weights in [[1, 1, 1, 1], [1, 0, 1, 0]] as [[Float]] {
            let result = runner.run(data, weights: weights)
            #expect(result.norms == nil)
            for (name, _) in model.parameters {
                let sum = oracle.sum(name, factors: weights.map(Double.init))
                #expect(relativeError(result.sums[name]!, sum, floor: 0.01) < 5e-5, "sum of \(name)")
            }
        }
    }

    /// A batch of one is another graph: its batch is not followed.
    @Test(arguments: PrivateModel.all)
    func batchesOfOneAddUpToTheBatch(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 31)
        let parameters = model.initialValues(seed: 32)
        for mode in ClippingMode.allCases {
            let options = ClippingOptions(mode: mode, clippingNorm: 0.5)
            let whole = try StepRunner(model, options, parameters: parameters, batch: Self.batch).run(data)
            let single = try StepRunner(model, options, parameters: parameters, batch: 1)
            let parts = (0..<Self.batch).map { single.run(model.sample($0, of: data)) }
            #expect(relativeError(parts.flatMap(\.losses), whole.losses) < 1e-5)
            if let norms = whole.norms { #expect(relativeError(parts.flatMap { $0.norms! }, norms) < 2e-5) }
            for (name, _) in model.parameters {
                let sum = whole.sums[name]!.indices.map { element in
                    parts.reduce(0) { $0 + $1.sums[name]![element] }
                }
                #expect(relativeError(sum, whole.sums[name]!, floor: 0.01) < 5e-5, "\(mode.rawValue), sum of \(name)")
            }
        }
    }
}
