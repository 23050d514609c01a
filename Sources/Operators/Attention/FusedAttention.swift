import Kernels
import TensorGraph

/// Scaled dot-product attention in one node, which stands for several of an expanded graph (see `fuseAttention`).
///
/// Inputs: queries, keys and values, or one tensor of which they are disjoint parts that cover it, then the masks. How
/// heads lie in them, and in the output, is part of the operation.
struct FusedAttention: ExecutableOperation {
    let attention: TiledAttention
    /// Whether queries, keys and values lie in one tensor.
    let isJoined: Bool
    let outputShape: [Int]

    var description: String { "attention\(attention.visibleKeys == nil ? "" : ", keys skipped")" }

    /// Number of inputs that are not masks.
    fileprivate var operandCount: Int { isJoined ? 1 : 3 }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.count == operandCount + attention.masks.count,
            inputs.prefix(operandCount).allSatisfy({ $0.elementType == .float32 })
        else { throw .invalid("attention does not take \(inputs)") }
        return [TensorType(.float32, outputShape)]
    }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        throw BatchMixing(axis: nil, "fused attention only takes the place of nodes whose samples are known")
    }

    func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0], index < operandCount else { return nil }
        return try builder.emitAll(FusedAttentionGradient(forward: self), node.inputs + [gradient])[index]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let scratch = attention.forwardScratchCount(workers: threads) * MemoryLayout<Float>.size
        return Kernel(scratchBytes: scratch, operationCount: attention.forwardOperationCount) { [self] arguments in
            let operands = operands(arguments)
            attention.forward(
                query: operands[0], key: operands[1], value: operands[2], masks: masks(arguments),
                into: arguments.output(0), scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }

    fileprivate func operands(_ arguments: KernelArguments) -> [UnsafePointer<Float>] {
        (0..<3).map { arguments.input(isJoined ? 0 : $0) }
    }

    fileprivate func masks(_ arguments: KernelArguments) -> [UnsafeRawPointer] {
        Array(arguments.inputs[operandCount..<operandCount + attention.masks.count])
    }
}

/// Gradients of the operands of `FusedAttention` from its inputs and the gradient of its output.
struct FusedAttentionGradient: BackwardOperation {
    let forward: FusedAttention

    var description: String { "attention gradient" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.last == TensorType(.float32, forward.outputShape) else {
            throw .invalid("\(inputs.last!) is not the gradient of attention's output")
        }
        return Array(inputs.prefix(forward.operandCount))
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let attention = forward.attention
        let scratch = attention.gradientScratchCount(workers: threads) * MemoryLayout<Float>.size
        return Kernel(scratchBytes: scratch, operationCount: attention.gradientOperationCount) { [forward] arguments in
            let operands = forward.operands(arguments)
            let results = (0..<3).map { arguments.output(forward.isJoined ? 0 : $0, as: Float.self) }
            attention.gradient(
                query: operands[0], key: operands[1], value: operands[2], masks: forward.masks(arguments),
                outputGradient: arguments.input(inputs.count - 1), intoQuery: results[0], key: results[1],
                value: results[2], scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}
