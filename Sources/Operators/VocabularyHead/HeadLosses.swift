import Kernels
import TensorGraph

/// A linear layer over a vocabulary and softmax-cross-entropy in one node, whose logits are never in memory as a whole;
/// it takes the place of the two in an expanded graph (see `computeHeadInBlocks`).
///
/// Inputs: x [B, T, width], weights, a bias [classes] if there is one, and targets [B, T] int64. Outputs: losses [B, T],
/// 0 where the target is ignored and NaN where it is no class, and the logarithms of the sums of exponentials [B, T].
struct HeadLosses: ExecutableOperation {
    /// Whether weights are [classes, width] rather than [width, classes], but for axes of one entry in front.
    let isClassMajor: Bool
    let hasBias: Bool
    /// Rows of the batch that make up a sample, of which norms are told.
    let rowsPerSample: Int
    let block: VocabularyHead.Block
    /// What the gradient of the node consists of.
    let gradients: HeadGradients.Selection

    var description: String { "vocabulary head in blocks" }

    /// Number of inputs.
    var inputCount: Int { hasBias ? 4 : 3 }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.count == inputCount, inputs.dropLast().allSatisfy({ $0.elementType == .float32 }),
            inputs[0].rank == 3, inputs[1].rank >= 2, inputs[1].shape.dropLast(2).elementCount == 1,
            inputs[1].shape[inputs[1].rank - (isClassMajor ? 1 : 2)] == inputs[0].shape[2],
            !hasBias || inputs[2].shape == [Self.classes(inputs[1], isClassMajor)],
            inputs.last == TensorType(.int64, Array(inputs[0].shape.prefix(2)))
        else { throw .invalid("a vocabulary head does not take \(inputs)") }
        let rows = TensorType(.float32, Array(inputs[0].shape.prefix(2)))
        return [rows, rows]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let rows = BatchFactor(axis: 0)
        guard inputs[1..<inputCount - 1].allSatisfy({ $0.factor == nil }),
            [inputs[0], inputs[inputCount - 1]].allSatisfy({ $0.factor == rows })
        else { throw BatchMixing(axis: nil, "its positions are not those of one sample after the other") }
        return [rows, rows]
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let weights = outputGradients[0] else { return nil }
        return try values(of: node, weights).gradients(in: &builder).x
    }

    /// Every sample's gradient of the bias is a row of classes; the weights have a site of their own.
    func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        guard let weights = outputGradients[0] else {
            throw GraphError.invalid("no gradient reaches the head").at("\(node.origin)")
        }
        let values = values(of: node, weights)
        if index == 1 { return HeadSite(values, in: builder) }
        return PerSampleSite(
            gradients: try values.gradients(in: &builder).bias!, shape: builder.shape(of: node.inputs[2]),
            rule: "broadcast")
    }

    private func values(of node: Node, _ rowWeights: ValueID) -> HeadValues {
        HeadValues(forward: self, inputs: node.inputs, logSums: node.outputs[1], rowWeights: rowWeights)
    }

    static func classes(_ weights: TensorType, _ isClassMajor: Bool) -> Int {
        weights.shape[weights.rank - (isClassMajor ? 2 : 1)]
    }

    /// The head with as many rows to a sample as norms are told of.
    func head(_ inputs: [TensorType]) -> VocabularyHead {
        let shape = inputs[0].shape
        return VocabularyHead(
            rows: shape[0] * shape[1], rowsPerSample: shape[1] * rowsPerSample, width: shape[2],
            classes: Self.classes(inputs[1], isClassMajor), isClassMajor: isClassMajor, block: block)
    }

    /// Multiply-adds of the logits.
    func multiplyAdds(_ inputs: [TensorType]) -> Double {
        Double(inputs[0].count) * Double(Self.classes(inputs[1], isClassMajor))
    }

    func operands(_ arguments: KernelArguments) -> VocabularyHead.Operands {
        VocabularyHead.Operands(
            x: arguments.input(0), weights: arguments.input(1), bias: hasBias ? arguments.input(2) : nil,
            targets: arguments.input(inputCount - 1))
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let head = head(inputs)
        return Kernel(scratchBytes: 4 * head.lossScratchCount, operationCount: 2 * multiplyAdds(inputs)) { arguments in
            head.losses(
                operands(arguments), into: arguments.output(0), logSums: arguments.output(1),
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}
