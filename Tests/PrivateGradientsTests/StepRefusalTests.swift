import Kernels
import Operators
import PrivateGradients
import TensorGraph
import Testing

/// What a private step refuses, and what it reports of parameters without a gradient.
@Suite struct StepRefusalTests {
    private static let batch = 3

    /// y = x w, with everything else left to the test.
    private func builder() throws -> (GraphBuilder, x: ValueID, w: ValueID, y: ValueID) {
        var builder = GraphBuilder(batchSize: Self.batch, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [Self.batch, 4]), batch: BatchFactor(axis: 0))
        let w = builder.addParameter("w", TensorType(.float32, [4, 4]))
        let y = try builder.matmul(x, w)
        return (builder, x, w, y)
    }

    private func refusal(_ builder: GraphBuilder, _ loss: ValueID, _ options: ClippingOptions = ClippingOptions())
        -> GraphError?
    {
        do {
            _ = try PrivateStep(builder, loss: loss, options: options)
            return nil
        } catch {
            return error
        }
    }

    @Test func mixingIsNamedWhereItReachesTheLoss() throws {
        var (builder, x, _, y) = try builder()
        builder.origin = Origin(operatorType: "ReduceMean", name: "unused")
        _ = try builder.mean(x, axes: [0])
        builder.origin = Origin(operatorType: "ReduceMax", name: "norm/max")
        let greatest = try builder.emit(Reduction(.max, axes: [0], keepsAxes: true), y)
        builder.origin = Origin(operatorType: "Sub", name: "norm/sub")
        let loss = try builder.sum(try builder.subtract(y, greatest), axes: [1])
        let error = try #require(refusal(builder, loss))
        #expect(error.kind == .mixesSamples)
        #expect(error.description.hasPrefix("node 'norm/max' (ReduceMax): mixes the samples of a batch on axis 0:"))
    }

    @Test func mixingBesideTheLossIsNoHindrance() throws {
        var (builder, _, _, y) = try builder()
        _ = try builder.mean(y, axes: [0])
        let loss = try builder.sum(y, axes: [1])
        #expect(refusal(builder, loss) == nil)
    }

    @Test func everyParameterIsInOneGroup() throws {
        let forward = try PrivateModel.mlp.forward(batch: Self.batch)
        let names = PrivateModel.mlp.parameters.map(\.name)
        func error(_ groups: [[String]]) -> String? {
            let options = ClippingOptions(groups: groups.map { ClippingGroup(parameters: $0, norm: 1) })
            return refusal(forward.builder, forward.loss, options)?.description
        }
        #expect(error([names]) == nil)
        #expect(error([Array(names.dropFirst())]) == "parameter '\(names[0])': is in no clipping group")
        #expect(error([names, [names[1]]]) == "parameter '\(names[1])': is in two clipping groups")
    }

    @Test func lossesMustDependOnDataAndParameters() throws {
        var (builder, x, w, _) = try builder()
        let free = try builder.view(
            try builder.slice(try builder.sum(w, axes: [0]), axis: 0, 0..<Self.batch), [Self.batch])
        #expect(refusal(builder, free)?.message == "the loss does not depend on the data")
        let frozen = try builder.sum(x, axes: [1])
        #expect(refusal(builder, frozen)?.message.contains("no trainable parameter") == true)
    }

    @Test(arguments: ClippingMode.allCases)
    func unreachedParametersAreListed(_ mode: ClippingMode) throws {
        var (builder, x, _, y) = try builder()
        _ = builder.addParameter("never used", TensorType(.float32, [4]))
        let aside = builder.addParameter("on a side path", TensorType(.float32, [4]))
        let blocked = builder.addParameter("behind a step", TensorType(.float32, [4]))
        let whole = builder.addParameter("last", TensorType(.float32, [4]))
        _ = try builder.multiply(x, aside)
        let steps = try builder.unary(.floor, try builder.add(y, blocked))
        let product = try builder.multiply(try builder.add(y, steps), whole)
        let loss = try builder.sum(product, axes: [1])
        let step = try PrivateStep(builder, loss: loss, options: ClippingOptions(mode: mode))
        #expect(step.unreached == ["never used", "on a side path", "behind a step"])
        #expect(step.groups == [["w", "last"]])
        #expect(step.graph.output(named: PrivateStep.sum(of: "never used")) == nil)
        try step.graph.checkWellFormed()
    }

    @Test func rulesTellWhatWasDecided() throws {
        let forward = try PrivateModel.tiedEmbedding.forward(batch: 2)
        let step = try PrivateStep(
            forward.builder, loss: forward.loss, options: ClippingOptions(mode: .bookKeepingGhost))
        let table = try #require(step.rules.first { $0.parameters == ["table"] })
        #expect(table.site == "embedding + linear" && table.norm == "ghost" && table.siteCount == 2)
        let scale = try #require(step.rules.first { $0.parameters == ["scale"] })
        #expect(scale.site == "broadcast" && scale.norm == "instantiate, kept" && scale.siteCount == 1)
        #expect(step.rules.flatMap(\.parameters).sorted() == PrivateModel.tiedEmbedding.parameters.map(\.name).sorted())
    }

    /// Blocks in another order keep the cheap rule; where a row is in two blocks, the norms of both do not add up.
    @Test func blocksOfOneParameterAreOneTarget() throws {
        for (model, norm) in [(PrivateModel.reordered, "ghost"), (.reorderedOverlap, "instantiate, kept")] {
            let forward = try model.forward(batch: 2)
            let step = try PrivateStep(
                forward.builder, loss: forward.loss, options: ClippingOptions(mode: .bookKeepingGhost))
            #expect(step.rules.map(\.parameters) == [["w"]])
            #expect(step.rules.map(\.norm) == [norm], "\(model.name)")
        }
    }
}
