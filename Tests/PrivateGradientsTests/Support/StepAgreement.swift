import PrivateGradients
import TestSupport
import Testing

/// Compares losses, norms, factors and sums with those of finite differences.
func expectAgreement(
    _ result: StepResult, _ step: PrivateStep, _ model: PrivateModel, _ clipping: ModelClipping, _ oracle: StepOracle
) throws {
    let place: Comment = "\(clipping.description)"
    let names = model.parameters.map(\.name)
    try #require(step.groups.map(Set.init) == clipping.groups.map(Set.init), place)
    #expect(step.unreached.isEmpty, place)
    #expect(relativeError(result.losses, oracle.losses) < 1e-5, place)
    #expect(relativeError(result.norms!, oracle.norms(names)) < 2e-5, place)
    let scale = oracle.gradients.flatMap { $0.values.joined() }.map(\.magnitude).max()!
    for (group, members) in clipping.groups.enumerated() {
        // A gradient that is zero but for rounding (that of a key's bias) has no direction to be scaled along, and
        // its norm counts as longer in two-pass clipping.
        let isRounding = zip(oracle.norms(members), oracle.norms(names)).contains { $0 < 1e-6 * $1 }
        if isRounding, clipping.options.function == .normalized || clipping.options.mode == .ghost { continue }
        let factors = oracle.norms(members).map {
            StepOracle.factor(clipping.options.function, norm: $0, threshold: clipping.thresholds[group])
        }
        #expect(relativeError(result.factors[group], factors) < 2e-5, place)
        for name in members {
            let sum = oracle.sum(name, factors: factors)
            #expect(
                relativeError(result.sums[name]!, sum, floor: 0.01 * scale * factors.max()!) < 5e-5,
                "\(place), sum of \(name)")
        }
    }
}
