import TensorGraph
import TestSupport
import Testing

@Suite struct BatchFactorTests {
    @Test(arguments: [[6], [2, 6], [6, 4, 3], [12, 5], [2, 12, 3], [24]])
    func memoryIsCutAsTheFactorSays(_ shape: [Int]) {
        for batch in [2, 3] {
            for factor in SampleLabels.factors(of: shape, batch: batch) {
                let labels = SampleLabels(shape, factor, batch: batch)
                let (leading, trailing) = (factor.leading(in: shape), factor.trailing(in: shape))
                #expect(factor.batchSize(in: shape) == batch)
                #expect(leading * batch * trailing == shape.elementCount)
                #expect(labels.samples.indices.allSatisfy { labels.samples[$0] == $0 / trailing % batch })
            }
        }
    }

    @Test func descriptions() {
        #expect("\(BatchFactor(axis: 1))" == "axis 1")
        #expect("\(BatchFactor(axis: 0, outer: 2, inner: 3))" == "axis 0 as (2, B, 3)")
    }

    @Test func constantsThatRepeatThemselves() throws {
        let factor = BatchFactor(axis: 0, outer: 2, inner: 2)  // entries (o, b, i) of 12
        let uniform = Constant([1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4] as [Float])
        let different = Constant([1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 5] as [Float])
        func elementwise(_ constant: Constant?) throws -> BatchFactor? {
            try BatchRules.elementwise(
                [BatchOperand([12], factor, batch: 3), BatchOperand([12], nil, batch: 3, constant: constant)],
                outputRank: 1)
        }
        #expect(try elementwise(uniform) == factor)
        for constant in [different, nil] {
            let mixing = #expect(throws: BatchMixing.self) { try elementwise(constant) }
            #expect(mixing?.reason == "an operand differs by the position of a sample in the batch")
        }
    }
}
