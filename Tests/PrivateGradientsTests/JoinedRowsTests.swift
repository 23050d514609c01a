import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Samples made of several rows: their norms are those of the gradient of their rows' weighted loss.
@Suite struct JoinedRowsTests {
    private static let rows = 6
    private static let rowsPerSample = 2
    /// The second sample has a single row and one that does not count.
    private static let shares: [Float] = [0.5, 0.5, 1, 0, 0.25, 0.75]

    @Test(arguments: PrivateModel.all)
    func everyModeFunctionAndStyle(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.rows, seed: 111)
        let parameters = model.initialValues(seed: 112)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.rows)
            .joined(Self.rowsPerSample, shares: Self.shares)
        let clippingNorm = oracle.norms(model.parameters.map(\.name)).sorted()[1] * 0.99
        for function in [.abadi, .automatic(gamma: 0.01)] as [ClippingFunction] {
            for clipping in ModelClipping.all(model, function: function, clippingNorm: clippingNorm) {
                let runner = try StepRunner(
                    model, clipping.options, parameters: parameters, batch: Self.rows,
                    rowsPerSample: Self.rowsPerSample)
                let result = runner.run(data, shares: Self.shares)
                try expectAgreement(result, runner.step, model, clipping, oracle)
            }
        }
        let runner = try StepRunner(
            model, ClippingOptions(mode: .nonPrivate), parameters: parameters, batch: Self.rows,
            rowsPerSample: Self.rowsPerSample)
        let result = runner.run(data, weights: [1, 0, 1], shares: Self.shares)
        for (name, _) in model.parameters {
            let sum = oracle.sum(name, factors: [1, 0, 1])
            #expect(relativeError(result.sums[name]!, sum, floor: 0.01) < 5e-5, "sum of \(name)")
        }
    }

    /// One row that is not finite leaves out its sample, and no other.
    @Test(arguments: PrivateModel.all, [Float.nan, .infinity])
    func samplesWithARowThatIsNotFinite(_ model: PrivateModel, _ value: Float) throws {
        let data = model.data(batch: Self.rows, seed: 113)
        let parameters = model.initialValues(seed: 114)
        for clipping in ModelClipping.all(model, clippingNorm: 0.5) {
            let runner = try StepRunner(
                model, clipping.options, parameters: parameters, batch: Self.rows, rowsPerSample: Self.rowsPerSample)
            let without = runner.run(data, weights: [0, 1, 1], shares: Self.shares)
            var poisoned = data
            for input in model.inputs {
                let isFloat = data[input.name]!.type.elementType == .float32
                guard isFloat else { continue }
                poisoned[input.name] = data[input.name]!.replacing(1, of: input.factor, with: value)
                let result = runner.run(poisoned, shares: Self.shares)
                let place: Comment = "\(input.name), \(clipping.description)"
                #expect(result.factors == without.factors && result.factors.allSatisfy { $0[0] == 0 }, place)
                #expect(result.sums == without.sums && result.sumNorm.isFinite, place)
            }
        }
    }
}
