import DPONNX
import Testing

/// `verify` on models that are right, and on one whose operator is wrong in each way that it must find.
@Suite struct VerificationTests {
    private let pool = ThreadPool(threads: 1)

    @Test(arguments: ["mlp", "resnet_group", "vit_torchscript", "tied", "lstm"])
    func confirmsExportedModels(_ name: String) throws {
        let exported = ExportedModel(name)
        let model = try exported.load()
        let data = try exported.data(for: model)
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let report = try GradientVerifier(
            model.trainable(names, for: data, InputOptions()), loss: LossSpecification(), clipping: ClippingOptions(),
            data: data, samples: 4, memoryLimit: 1 << 30, pool: pool
        ).verify()
        #expect(report.passes, "\(report.comparisons.filter { !$0.passes })")
        #expect(report.comparisons.count == 8 && report.comparisons.allSatisfy { $0.count > 0 })
        #expect(report.samples == 4 && report.differentiated > 0)
    }

    @Test(
        arguments: [
            (nil, []), (ShiftFault.gradient, ["difference along the gradient"]), (.norm, ["norm"]),
            (.mixing, ["loss", "loss of others", "norm of others"]),
        ] as [(ShiftFault?, [String])])
    func findsFaults(_ fault: ShiftFault?, _ expected: [String]) throws {
        let report = try verified(fault)
        let failing = Set(report.comparisons.filter { !$0.passes }.map(\.name))
        #expect(failing.isSuperset(of: expected) && (fault != nil || failing.isEmpty), "\(failing)")
    }

    /// y = tanh(x a) + w, with the sum computed by a faulty operator.
    private func verified(_ fault: ShiftFault?) throws -> VerificationReport {
        func tensor(_ name: String, _ shape: [Int], _ values: [Float]) -> ImportedGraph.Initializer {
            ImportedGraph.Initializer(name: name, dataType: .float32, shape: shape) { Constant(values, shape: shape) }
        }
        func node(_ type: String, _ inputs: [String], _ output: String) -> ImportedNode {
            ImportedNode(name: type, operatorType: type, opsetVersion: 17, inputs: inputs, outputs: [output])
        }
        let graph = ImportedGraph(
            name: "shifted", inputs: [.init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(2)])],
            outputs: [.init(name: "y", dataType: .float32, dimensions: nil)],
            initializers: [tensor("a", [2, 2], [0.5, -0.3, 0.2, 0.7]), tensor("w", [2], [0.1, -0.2])],
            nodes: [node("MatMul", ["x", "a"], "m"), node("Tanh", ["m"], "t"), node("Shift", ["t", "w"], "y")])
        var registry = OperatorRegistry.standard
        registry.register([
            StandardOperator("Shift", since: 1) { (node: inout Expansion) throws(GraphError) in
                [try node.builder.emit(Shift(fault: fault), try node.input(0), try node.input(1))]
            }
        ])
        let data = try DataSet(
            arrays: [
                NamedArray(
                    name: "x", shape: [6, 2], values: [1, 2, -1, 0.5, 0.3, -0.7, 2, 1, -2, 1, 0.1, 0.2] as [Float]),
                NamedArray(name: "labels", shape: [6, 2], values: [Float](repeating: 0.25, count: 12)),
            ], targetKey: "labels")
        let sizes = try InputSizes(graph, sampleShapes: ["x": [2]], batchAxes: [:], dimensions: [:])
        let model = try TrainableModel(graph, registry: registry, trainable: ["a", "w"], sizes: sizes)
        return try GradientVerifier(
            model, loss: LossSpecification(.meanSquaredError), clipping: ClippingOptions(mode: .bookKeepingGhost),
            data: data, samples: 4, memoryLimit: 1 << 30, pool: pool
        ).verify()
    }
}

enum ShiftFault: Hashable, Sendable { case gradient, norm, mixing }

/// x + w for x [B, D] and w [D].
private struct Shift: ExecutableOperation {
    let fault: ShiftFault?

    var description: String { "shift" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { [inputs[0]] }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [inputs[0].factor]
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return fault == .gradient ? try builder.add(gradient, gradient) : gradient
    }

    func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        ShiftSite(gradients: outputGradients[0]!, shape: builder.shape(of: node.inputs[1]), halvesNorm: fault == .norm)
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let width = inputs[1].count
        let count = outputs[0].count
        let mixes = fault == .mixing
        return Kernel { arguments in
            let x: UnsafePointer<Float> = arguments.input(0)
            let w: UnsafePointer<Float> = arguments.input(1)
            let y: UnsafeMutablePointer<Float> = arguments.output(0)
            for index in 0..<count { y[index] = x[index] + w[index % width] + (mixes ? 0.1 * x[index % width] : 0) }
        }
    }
}

private struct ShiftSite: Site {
    let gradients: ValueID
    let shape: [Int]
    let halvesNorm: Bool

    private var site: PerSampleSite { PerSampleSite(gradients: gradients, shape: shape, rule: ruleName) }
    var gradientShape: [Int] { shape }
    var ruleName: String { "shift" }
    var cost: SiteCost { SiteCost(ghost: 0, instantiate: 1, elements: Double(shape.reduce(1, *))) }

    func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let values = halvesNorm ? try builder.multiply(gradients, builder.scalar(0.5)) : gradients
        return try PerSampleSite(gradients: values, shape: shape, rule: ruleName).squaredNorms(in: &builder)
    }

    func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID { gradients }

    func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try site.contraction(factors: factors, in: &builder)
    }
}
