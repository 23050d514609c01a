import TensorGraph
import TestSupport
import Testing

@testable import Operators

extension OperatorCase {
    /// Where the samples lie in each input: on axis 0 of the inputs `first`, nowhere in the others.
    func batched(_ first: Int...) -> [BatchFactor?] {
        inputs.indices.map { first.contains($0) ? BatchFactor(axis: 0) : nil }
    }

    /// Requires that no samples meet, and that the results are those of every sample alone.
    ///
    /// - Parameters:
    ///   - batch: where the samples lie in each input; in the outputs they must lie on axis 0.
    ///   - outputs: how many of them are compared; all by default.
    func checkSamplesStayApart(_ batch: [BatchFactor?], batchSize: Int, outputs count: Int? = nil) throws {
        let first = BatchFactor(axis: 0)
        var whole = try expand(batchSize: batchSize, batch: batch, evaluator: ConstantFolding.evaluator)
        #expect(whole.builder.mixingNodes.isEmpty)
        let count = count ?? whole.outputs.count
        for (index, output) in whole.outputs.prefix(count).enumerated() {
            #expect(whole.builder.graph[output].batch == .factor(first))
            whole.builder.addOutput("\(index)", output)
        }
        let expected = evaluate(whole.builder.finish(), inputs: named(inputs))
        for sample in 0..<batchSize {
            var one = self
            one.inputs = zip(inputs, batch).map { input, factor in
                factor.map { input!.sample(sample, of: $0) } ?? input
            }
            var alone = try one.expand(evaluator: ConstantFolding.evaluator)
            for (index, output) in alone.outputs.prefix(count).enumerated() {
                alone.builder.addOutput("\(index)", output)
            }
            let results = evaluate(alone.builder.finish(), inputs: named(one.inputs))
            for (name, result) in results {
                let own = expected[name]!.sample(sample, of: first)
                #expect(relativeError(result.doubles, own.doubles) < 1e-6, "output \(name) of sample \(sample)")
            }
        }
    }

    /// Requires that samples that lie so are found to meet in the first output.
    func checkSamplesMeet(_ batch: [BatchFactor?], batchSize: Int) throws {
        let whole = try expand(batchSize: batchSize, batch: batch, evaluator: ConstantFolding.evaluator)
        #expect(whole.builder.graph[whole.outputs[0]].batch == .mixed, "\(name)")
    }

    private func named(_ inputs: [Constant?]) -> [String: Constant] {
        Dictionary(
            uniqueKeysWithValues: inputs.enumerated().compactMap { index, input in
                constants.contains(index) ? nil : input.map { ("\(index)", $0) }
            })
    }
}
