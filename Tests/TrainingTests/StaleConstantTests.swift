import Foundation
import Operators
import Testing

@testable import Training

/// What an exporter computed from a parameter that the model also reads by itself.
@Suite struct StaleConstantTests {
    /// x * mix + x * constant
    private func notes(_ constant: [Float], mix: [Float] = [0.25, 0.5, 0.75], name: String = "onnx::Mul_7") throws
        -> [String]
    {
        let nodes = [
            ("Mul", "/layer/Mul", ["x", "layer.mix"], ["a"]), ("Mul", "/layer/Mul_1", ["x", name], ["b"]),
            ("Add", "/layer/Add", ["a", "b"], ["y"]),
        ]
        let tensors = [
            ParameterModels.tensor("layer.mix", [1, mix.count], mix),
            ParameterModels.tensor(name, [1, constant.count], constant),
        ]
        return try TieRepair.repaired(ParameterModels.graph(tensors, nodes, producer: "pytorch")).notes
    }

    @Test func whatDoesNotFollowItsParameterIsTold() throws {
        let formulas: [(String, (Float) -> Float)] = [
            ("1 - 'layer.mix'", { 1 - $0 }), ("1 / 'layer.mix'", { 1 / $0 }), ("-exp('layer.mix')", { -exp($0) }),
        ]
        for (formula, value) in formulas {
            let found = try notes([0.25, 0.5, 0.75].map(value))
            #expect(found.count == 1)
            #expect(found.first?.contains("'onnx::Mul_7' = \(formula);") == true)
        }
    }

    @Test func otherNumbersAreNot() throws {
        #expect(try notes([0.75, 0.5, 0.26]).isEmpty)
        #expect(try notes([0.75, 0.5]).isEmpty)
        #expect(try notes([0.75, 0.5, 0.25], name: "layer.other").isEmpty)
        #expect(try notes([0.5, 0.5, 0.5], mix: [0.5, 0.5, 0.5]).isEmpty)
        #expect(try notes([0.5], mix: [2]).isEmpty)
        #expect(try notes([1 / 3], mix: [3]).count == 1)
    }
}
