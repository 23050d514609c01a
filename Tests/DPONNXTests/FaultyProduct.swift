import DPONNX

/// A matrix product whose per-sample norms are wrong, as an operator of a user's own could have it; all else is right.
struct FaultyProduct: ExecutableOperation {
    enum Fault: Hashable {
        /// The layer has no part in the norm.
        case leftOut
        /// Where a weight is used twice, its norm is that of two weights.
        case tieOverlooked
        /// Where a sample has several rows, its norm is that of rows that are orthogonal.
        case rowsApart
    }

    let base: MatrixProduct
    let fault: Fault

    var description: String { "faulty \(base)" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        try base.outputTypes(for: inputs)
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        try base.batchFactors(inputs, outputs: outputs)
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        try base.inputGradient(index, of: node, outputGradients: outputGradients, in: &builder)
    }

    func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        FaultySite(
            base: try base.site(index, of: node, outputGradients: outputGradients, in: &builder), fault: fault)
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        base.kernel(inputs: inputs, outputs: outputs, threads: threads)
    }

    /// The standard operators, but for products with that fault.
    static func registry(_ fault: Fault) -> OperatorRegistry {
        var registry = OperatorRegistry.standard
        registry.register([
            StandardOperator("Gemm", since: 13) { node throws(GraphError) in
                let base = MatrixProduct(transposesRight: try node.flag("transB"))
                let product = try node.builder.emit(
                    FaultyProduct(base: base, fault: fault), try node.input(0), try node.input(1))
                return [try node.builder.add(product, try node.input(2))]
            },
            StandardOperator("MatMul", since: 13) { node throws(GraphError) in
                [
                    try node.builder.emit(
                        FaultyProduct(base: MatrixProduct(), fault: fault), try node.input(0), try node.input(1))
                ]
            },
        ])
        return registry
    }
}

private struct FaultySite: Site {
    let base: any Site
    let fault: FaultyProduct.Fault

    /// Of single rows, where `base` joins so many.
    var rows: (base: any Site, perSample: Int)?

    var gradientShape: [Int] { base.gradientShape }
    var ruleName: String { base.ruleName }
    /// Such that the ghost norm is preferred.
    var cost: SiteCost { SiteCost(ghost: 0, instantiate: base.cost.instantiate, elements: base.cost.elements) }

    private func zeros(in builder: inout GraphBuilder) -> ValueID {
        builder.addConstant(Constant(TensorType(.float64, [builder.batchSize])) { _ in })
    }

    func ghostNorms(in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        if fault == .leftOut { return zeros(in: &builder) }
        guard fault == .rowsApart, let rows else { return try base.ghostNorms(in: &builder) }
        let gradients = try rows.base.perSampleGradients(in: &builder)
        let samples = builder.shape(of: gradients)[0] / rows.perSample
        return try builder.emit(
            SquaredNorms(), try builder.view(gradients, [samples, rows.perSample] + gradientShape))
    }

    func joiningSamples(_ count: Int, in builder: inout GraphBuilder) throws(GraphError) -> any Site {
        FaultySite(
            base: try base.joiningSamples(count, in: &builder), fault: fault, rows: (base: base, perSample: count))
    }

    func innerProducts(with other: any Site, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        fault == .tieOverlooked
            ? zeros(in: &builder) : try base.innerProducts(with: (other as? FaultySite)?.base ?? other, in: &builder)
    }

    func perSampleGradients(in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try base.perSampleGradients(in: &builder)
    }

    func contraction(factors: ValueID, in builder: inout GraphBuilder) throws(GraphError) -> ValueID {
        try base.contraction(factors: factors, in: &builder)
    }

    func pulledBack(through operation: any Operation, inputShape: [Int], in builder: inout GraphBuilder)
        throws(GraphError) -> (any Site)?
    {
        try base.pulledBack(through: operation, inputShape: inputShape, in: &builder).map {
            FaultySite(base: $0, fault: fault)
        }
    }
}
