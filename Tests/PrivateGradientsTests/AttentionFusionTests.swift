import Kernels
import Operators
import PrivateGradients
import TensorGraph
import Testing

/// Which attentions are computed by one node; that they compute the right gradients is tested with all other models.
@Suite struct AttentionFusionTests {
    private static func operations(_ model: PrivateModel) throws -> [String] {
        let forward = try model.forward(batch: 3)
        return try PrivateStep(forward.builder, loss: forward.loss, options: ClippingOptions()).graph.nodes.map {
            "\($0.operation)"
        }
    }

    @Test(arguments: PrivateModel.attentions + [PrivateModel.attention])
    func attentionIsOneNode(_ model: PrivateModel) throws {
        let operations = try Self.operations(model)
        #expect(operations.count { $0.hasPrefix("attention gradient") } == 1)
        #expect(!operations.contains { $0.hasPrefix("softmax") })
    }

    /// Nothing is moved in front of the node or behind it where the three parts of one projection are read in place.
    @Test(arguments: [PrivateModel.dynamoAttention, .packedAttention])
    func partsAreReadWhereTheyLie(_ model: PrivateModel) throws {
        let operations = try Self.operations(model)
        #expect(!operations.contains { $0.hasPrefix("transpose") || $0.hasPrefix("slice") || $0.hasPrefix("place") })
    }

    @Test func keysBehindEveryQueryAreSkipped() throws {
        #expect(try Self.operations(.dynamoAttention).contains("attention, keys skipped"))
        #expect(try Self.operations(.packedAttention).contains("attention"))
    }

    /// Scores with a bias that trains, and probabilities that something else reads, stay as they are.
    @Test func whatElseReadsOrTrainsKeepsAttentionApart() throws {
        let trainedBias = PrivateModel(
            name: "", inputs: [.floats("x") { [$0, 3, 2] }, .labels(classes: 2)],
            parameters: [("bias", [3, 3]), ("w", [2, 2])], layers: []
        ) { builder, values throws(GraphError) in
            let x = try builder.matmul(values["x"]!, values["w"]!)
            let scores = try builder.add(try builder.matmul(x, x, transposingRight: true), values["bias"]!)
            let mixed = try builder.matmul(try builder.emit(Softmax(.softmax, axis: 2), scores), x)
            return try builder.classLoss(try builder.mean(mixed, axes: [1]), values["y"])
        }
        let readProbabilities = PrivateModel(
            name: "", inputs: [.floats("x") { [$0, 3, 2] }, .labels(classes: 2)],
            parameters: [("w", [2, 2])], layers: []
        ) { builder, values throws(GraphError) in
            let x = try builder.matmul(values["x"]!, values["w"]!)
            let probabilities = try builder.emit(
                Softmax(.softmax, axis: 2), try builder.matmul(x, x, transposingRight: true))
            let mixed = try builder.add(
                try builder.mean(try builder.matmul(probabilities, x), axes: [1]),
                try builder.mean(try builder.slice(probabilities, axis: 2, 0..<2), axes: [1]))
            return try builder.classLoss(mixed, values["y"])
        }
        for model in [trainedBias, readProbabilities] {
            #expect(try Self.operations(model).contains { $0.hasPrefix("softmax") })
        }
    }
}
