import DPONNX
import Testing

/// Data made for timing have to be data that a model can read: every shape right, every index inside its table.
@Suite struct SyntheticDataTests {
    private func make(_ exported: ExportedModel, count: Int) throws -> (TrainableModel, DataSet) {
        let model = try exported.load()
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        // The sizes of dynamic axes are those of the model's own data.
        let trainable = try model.trainable(names, for: exported.data(for: model), InputOptions())
        return (trainable, try SyntheticData.make(for: trainable, loss: LossSpecification(), count: count))
    }

    @Test(arguments: ExportedModel.all) func everyModelTrainsOnThem(_ exported: ExportedModel) throws {
        let (model, data) = try make(exported, count: 4)
        #expect(data.count == 4)
        let engine = try GradientEngine(
            model, loss: LossSpecification(), clipping: ClippingOptions(clippingNorm: 1), data: data,
            batchSize: model.sizes.batchSize(wished: 4), parameters: model.makeParameters(),
            pool: ThreadPool(threads: 1))
        let samples = try engine.accumulate(Array(0..<4))
        // An index outside its table reads NaN, and an ignored target leaves no gradient.
        #expect(samples.allSatisfy { $0.loss.isFinite && $0.loss > 0 && $0.norm! > 0 })
    }

    @Test func sameModelGivesTheSameData() throws {
        let (_, first) = try make(ExportedModel("bert"), count: 3)
        let (_, second) = try make(ExportedModel("bert"), count: 3)
        #expect(first.keys == second.keys)
        for key in first.keys {
            var a = [Double](repeating: 0, count: first[key].shape.reduce(1, *))
            var b = a
            a.withUnsafeMutableBufferPointer { first[key].gather(rows: [0, 1, 2], into: $0) }
            b.withUnsafeMutableBufferPointer { second[key].gather(rows: [0, 1, 2], into: $0) }
            #expect(a == b, "\(key)")
            // Masks are all ones.
            #expect(a.contains { $0 != a[0] } || a.allSatisfy { $0 == 1 }, "\(key)")
        }
    }
}
