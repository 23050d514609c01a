import Operators
import TensorGraph
import TestSupport
import Testing

/// A use of a parameter: one operation, the data it meets, and where the samples lie.
struct SiteCase: Sendable, CustomTestStringConvertible {
    var name: String
    var operation: any Operation
    var parameterShape: [Int]
    var parameterIndex = 1
    /// Shape of the data and its factor with `batch` samples.
    var dataShape: @Sendable (_ batch: Int) -> [Int]
    var factor: BatchFactor
    /// Integers below this bound instead of floats.
    var indexBound: Int?
    /// Data and parameter between 0.5 and 1.5 instead of between -1 and 1.
    var isPositive = false
    /// A first operand that is computed from the data.
    var condition: (@Sendable (inout GraphBuilder, _ data: ValueID) throws(GraphError) -> ValueID)?

    var testDescription: String { name }

    /// Emits the operation and returns its output.
    private func emit(_ data: ValueID, _ parameter: ValueID, in builder: inout GraphBuilder) throws(GraphError)
        -> ValueID
    {
        var operands = [data]
        if let condition { operands = [try condition(&builder, data), data] }
        operands.insert(parameter, at: parameterIndex)
        return try builder.emitAll(operation, operands)[0]
    }

    private func floats(_ shape: [Int], _ numbers: inout Numbers) -> Constant {
        let values = numbers.floats(shape)
        return isPositive ? Constant(values.floatValues.map { $0 / 2 + 1 }, shape: shape) : values
    }

    private func data(_ batch: Int, _ numbers: inout Numbers) -> Constant {
        if let indexBound { return numbers.integers(dataShape(batch), below: indexBound) }
        return floats(dataShape(batch), &numbers)
    }

    /// Per-sample gradients by the definition: central differences of <g_i, f(x_i, w)> in double precision, with one
    /// sample at a time.
    private func definition(
        data: Constant, parameter: Constant, gradient: Constant, outputFactor: BatchFactor, batch: Int
    ) throws -> [[Double]] {
        try (0..<batch).map { sample in
            let one = data.sample(sample, of: factor)
            let g = gradient.sample(sample, of: outputFactor).doubles
            var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
            let x = builder.addInput("x", one.type, batch: nil)
            let w = builder.addParameter("w", parameter.type)
            builder.addOutput("y", try emit(x, w, in: &builder))
            let evaluator = ReferenceEvaluator(builder.finish())
            let values = parameter.doubles
            let step = 1e-5
            return values.indices.map { component in
                let ends = [step, -step].map { shift in
                    var moved = values
                    moved[component] += shift
                    return dot(evaluator.run(inputs: ["x": one.doubles], parameters: ["w": moved])["y"]!, g)
                }
                return (ends[0] - ends[1]) / (2 * step)
            }
        }
    }

    /// A graph with the site of this use; `extend` adds outputs.
    func siteGraph(
        batch: Int, _ extend: (inout GraphBuilder, any Site) throws(GraphError) -> Void
    ) throws -> (graph: Graph, outputType: TensorType, outputFactor: BatchFactor) {
        var builder = GraphBuilder(batchSize: batch, evaluator: { _, _, _ in nil })
        let type = TensorType(indexBound == nil ? .float32 : .int64, dataShape(batch))
        let x = builder.addInput("x", type, batch: factor)
        let w = builder.addParameter("w", TensorType(.float32, parameterShape))
        let y = try emit(x, w, in: &builder)
        let outputFactor = try #require(builder.graph[y].batch.factor)
        let outputType = builder.type(of: y)
        let g = builder.addInput("g", outputType, batch: outputFactor)
        builder.followsBatch = false
        let node = try #require(builder.graph.producer(of: y))
        let site = try node.operation.site(parameterIndex, of: node, outputGradients: [g], in: &builder)
        try extend(&builder, site)
        return (builder.finish(), outputType, outputFactor)
    }

    /// Every rule of the site against the definition, with one sample that holds NaN left out of the contraction.
    func check(batch: Int, seed: UInt64) throws {
        var numbers = Numbers(seed: seed)
        var hasGhost = false
        var hasDiscarded = false
        let (graph, outputType, outputFactor) = try siteGraph(batch: batch) { builder, site throws(GraphError) in
            let factors = builder.addInput("c", TensorType(.float32, [batch]), batch: nil)
            let perSample = try site.perSampleGradients(in: &builder)
            builder.addOutput("perSample", perSample)
            builder.addOutput("squares", try builder.emit(SquaredNorms(), perSample))
            builder.addOutput("contraction", try site.contraction(factors: factors, in: &builder))
            if let norms = try site.ghostNorms(in: &builder) {
                builder.addOutput("ghost", norms)
                hasGhost = true
            }
            if let norms = try site.discardedNorms(in: &builder) {
                builder.addOutput("discarded", norms)
                hasDiscarded = true
            }
        }
        var x = data(batch, &numbers)
        let w = floats(parameterShape, &numbers)
        var g = numbers.floats(outputType.shape)
        let expected = try definition(
            data: x, parameter: w, gradient: g, outputFactor: outputFactor, batch: batch)
        let weights = (0..<batch).map { batch > 1 && $0 == batch - 1 ? 0 : Float($0) * 0.5 + 0.25 }
        if batch > 1 {
            if indexBound == nil { x = x.replacing(batch - 1, of: factor, with: .nan) }
            g = g.replacing(batch - 1, of: outputFactor, with: .nan)
        }
        let results = evaluate(graph, inputs: ["x": x, "g": g, "c": Constant(weights)], parameters: ["w": w])
        let kept = batch > 1 ? batch - 1 : 1
        let count = parameterShape.elementCount
        let perSample = try #require(results["perSample"])
        #expect(perSample.type.shape == [batch] + parameterShape)
        #expect(agree(Array(perSample.doubles.prefix(kept * count)), expected.prefix(kept).flatMap { $0 }))
        let squares = expected.prefix(kept).map { dot($0, $0) }
        for name in ["squares"] + (hasGhost ? ["ghost"] : []) + (hasDiscarded ? ["discarded"] : []) {
            let norms = try #require(results[name])
            #expect(norms.type == TensorType(.float64, [batch]))
            #expect(agree(Array(norms.doubles.prefix(kept)), squares), "\(name)")
            if batch > 1 { #expect(!norms.doubles[batch - 1].isFinite, "\(name) of a sample that holds NaN") }
        }
        let contraction = try #require(results["contraction"])
        #expect(contraction.type.shape == parameterShape)
        let sum = (0..<count).map { component in
            (0..<kept).reduce(0) { $0 + Double(weights[$1]) * expected[$1][component] }
        }
        #expect(agree(contraction.doubles, sum))
    }
}
