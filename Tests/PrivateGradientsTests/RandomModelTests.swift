import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Private steps of random models, whose layers share parameters at random, against finite differences.
@Suite struct RandomModelTests {
    private static let batch = 3

    @Test(arguments: 0..<40 as Range<UInt64>)
    func normsFactorsAndSums(_ seed: UInt64) throws {
        let model = PrivateModel.random(seed: seed)
        let data = model.data(batch: Self.batch, seed: seed + 1000)
        let parameters = model.initialValues(seed: seed + 2000)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.batch)
        let names = model.parameters.map(\.name)
        let clippingNorm = oracle.norms(names).sorted()[1] * 0.99
        for clipping in ModelClipping.all(model, clippingNorm: clippingNorm) {
            let place: Comment = "\(clipping.description), \(model.name)"
            let runner = try StepRunner(model, clipping.options, parameters: parameters, batch: Self.batch)
            let result = runner.run(data)
            // The layers of a random model are not known.
            let groups = runner.step.groups
            #expect(groups.flatMap { $0 }.sorted() == names.sorted(), place)
            #expect(
                clipping.options.style == .layerWise || groups.map(Set.init) == clipping.groups.map(Set.init), place)
            #expect(relativeError(result.norms!, oracle.norms(names)) < 2e-5, place)
            for (group, members) in groups.enumerated() {
                let threshold =
                    clipping.options.style == .grouped
                    ? clipping.thresholds[group] : clippingNorm / Double(groups.count).squareRoot()
                let factors = oracle.norms(members).map {
                    StepOracle.factor(clipping.options.function, norm: $0, threshold: threshold)
                }
                #expect(relativeError(result.factors[group], factors) < 2e-5, place)
                for name in members {
                    let sum = oracle.sum(name, factors: factors)
                    #expect(relativeError(result.sums[name]!, sum, floor: 0.01 * clippingNorm) < 1e-4, place)
                }
            }
        }
    }
}
