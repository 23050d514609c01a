import Operators
import TensorGraph
import TestSupport
import Testing

/// A linear use of a parameter: one operation, the data it meets, and where the samples lie.
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

    var testDescription: String { name }

    func operands(_ data: ValueID, _ parameter: ValueID) -> [ValueID] {
        parameterIndex == 1 ? [data, parameter] : [parameter, data]
    }

    func data(_ batch: Int, _ numbers: inout Numbers) -> Constant {
        if let indexBound { return numbers.integers(dataShape(batch), below: indexBound) }
        return numbers.floats(dataShape(batch))
    }

    /// Per-sample gradients by the definition: the operation is linear in its parameter, so that component k is
    /// <g_i, f(x_i, e_k)>, computed with one sample at a time.
    func definition(data: Constant, gradient: Constant, outputFactor: BatchFactor, batch: Int) throws -> [[Double]] {
        let count = parameterShape.elementCount
        return try (0..<batch).map { sample in
            let one = data.sample(sample, of: factor)
            let g = gradient.sample(sample, of: outputFactor).doubles
            var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
            let x = builder.addInput("x", one.type, batch: nil)
            let w = builder.addParameter("w", TensorType(.float32, parameterShape))
            builder.addOutput("y", try builder.emitAll(operation, operands(x, w))[0])
            let graph = builder.finish()
            return (0..<count).map { component in
                var unit = [Float](repeating: 0, count: count)
                unit[component] = 1
                let y = evaluate(
                    graph, inputs: ["x": one], parameters: ["w": Constant(unit, shape: parameterShape)], threads: 1)[
                        "y"]!
                return dot(y.doubles, g)
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
        let y = try builder.emitAll(operation, operands(x, w))[0]
        let outputFactor = try #require(builder.graph[y].batch.factor)
        let outputType = builder.type(of: y)
        let g = builder.addInput("g", outputType, batch: outputFactor)
        builder.followsBatch = false
        let node = try #require(builder.graph.producer(of: y))
        let site = try operation.site(parameterIndex, of: node, outputGradients: [g], in: &builder)
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
        var g = numbers.floats(outputType.shape)
        let expected = try definition(data: x, gradient: g, outputFactor: outputFactor, batch: batch)
        let weights = (0..<batch).map { batch > 1 && $0 == batch - 1 ? 0 : Float($0) * 0.5 + 0.25 }
        if batch > 1 {
            if indexBound == nil { x = x.replacing(batch - 1, of: factor, with: .nan) }
            g = g.replacing(batch - 1, of: outputFactor, with: .nan)
        }
        let results = evaluate(graph, inputs: ["x": x, "g": g, "c": Constant(weights)])
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
