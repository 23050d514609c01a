import Kernels
import TensorGraph

/// What gradients of a vocabulary head are computed from.
struct HeadValues {
    let forward: HeadLosses
    /// Of the forward node.
    let inputs: [ValueID]
    let logSums: ValueID
    /// Gradients of the losses [B, T].
    let rowWeights: ValueID

    var all: [ValueID] { inputs + [logSums, rowWeights] }

    /// The outputs of the node that computes all gradients out of the same blocks.
    func gradients(in builder: inout GraphBuilder) throws(GraphError) -> (x: ValueID?, norms: ValueID?, bias: ValueID?)
    {
        var outputs = try builder.emitAll(HeadGradients(forward: forward), all)[...]
        let selection = forward.gradients
        return (
            selection.x ? outputs.removeFirst() : nil, selection.norms ? outputs.removeFirst() : nil,
            selection.bias ? outputs.removeFirst() : nil
        )
    }
}

/// Gradients of the inputs of `HeadLosses`, and norms of those of the weights.
///
/// Inputs: those of the forward node, its sums, and gradients of the losses [B, T]. Outputs, as far as selected: the
/// gradient of x, squared norms of the samples' gradients of the weights (float64), and each row of the batch's gradient
/// of the bias [B, classes].
struct HeadGradients: BackwardOperation {
    struct Selection: Hashable, Sendable {
        var x: Bool
        var norms: Bool
        var bias: Bool
    }

    let forward: HeadLosses

    var description: String { "vocabulary head gradients in blocks" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs.count == forward.inputCount + 2, inputs[forward.inputCount...].allSatisfy({ $0.rank == 2 }) else {
            throw .invalid("gradients of a vocabulary head do not follow from \(inputs)")
        }
        let batch = inputs[0].shape[0]
        var types: [TensorType] = []
        if forward.gradients.x { types.append(inputs[0]) }
        if forward.gradients.norms { types.append(TensorType(.float64, [batch / forward.rowsPerSample])) }
        if forward.gradients.bias {
            types.append(TensorType(.float32, [batch, HeadLosses.classes(inputs[1], forward.isClassMajor)]))
        }
        return types
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let head = forward.head(inputs)
        let selection = forward.gradients
        let scratch = head.gradientScratchCount(tellsNorms: selection.norms, workers: threads)
        var work = 2 * forward.multiplyAdds(inputs) * (selection.x ? 2 : 1)
        if selection.norms {
            work +=
                2 * Double(head.rows / head.rowsPerSample)
                * LinearSizes.gramMultiplyAdds(positions: head.rowsPerSample, d: head.width, p: head.classes)
        }
        let positions = inputs[0].shape[1]
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { [forward] arguments in
            var rest = arguments.outputs[...]
            let x = selection.x ? rest.removeFirst() : nil
            let norms = selection.norms ? rest.removeFirst() : nil
            let bias = selection.bias ? rest.removeFirst() : nil
            head.gradients(
                forward.operands(arguments), logSums: arguments.input(forward.inputCount),
                rowWeights: arguments.input(forward.inputCount + 1),
                into: VocabularyHead.GradientOutputs(
                    x: x?.assumingMemoryBound(to: Float.self),
                    squaredNorms: norms?.assumingMemoryBound(to: Double.self),
                    bias: bias?.assumingMemoryBound(to: Float.self), rowsPerBias: positions),
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}

/// sum_i c_i G_i of the weights of `HeadLosses`, from the inputs of `HeadGradients` and factors c.
struct HeadContraction: BackwardOperation, AccumulatingOperation {
    let forward: HeadLosses
    /// Whether the result is [classes, width] rather than [width, classes].
    let intoClassMajor: Bool

    var description: String { "vocabulary head contraction in blocks" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let head = forward.head(inputs)
        guard inputs.last == TensorType(.float32, [head.rows / head.rowsPerSample]) else {
            throw .invalid("\(inputs.last!) does not hold one factor for each sample")
        }
        return [TensorType(.float32, intoClassMajor ? [head.classes, head.width] : [head.width, head.classes])]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let head = forward.head(inputs)
        return Kernel(
            scratchBytes: 4 * head.contractionScratchCount, operationCount: 4 * forward.multiplyAdds(inputs)
        ) { [self] arguments in
            head.contraction(
                forward.operands(arguments), logSums: arguments.input(forward.inputCount),
                rowWeights: arguments.input(forward.inputCount + 1), factors: arguments.input(forward.inputCount + 2),
                into: arguments.output(0), intoClassMajor: intoClassMajor, accumulate: arguments.accumulates,
                scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}

/// <G_i of the reads, G_i of the head> of a table that is read and is the head's weights: inputs of `HeadGradients`,
/// indices [B, S] and the gradient of what was read [B, S, width]. [B], float64.
struct HeadInnerProducts: BackwardOperation {
    let forward: HeadLosses

    var description: String { "embedding-head inner products in blocks" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let head = forward.head(inputs)
        let (indices, g) = (inputs[inputs.count - 2], inputs[inputs.count - 1])
        let samples = head.rows / head.rowsPerSample
        guard indices.elementType == .int64, indices.rank == 2, indices.shape[0] == samples,
            g == TensorType(.float32, indices.shape + [head.width])
        else { throw .invalid("\(indices) and \(g) are not the reads of the head's table") }
        return [TensorType(.float64, [samples])]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let head = forward.head(inputs)
        let positions = inputs[inputs.count - 2].shape[1]
        let scratch = head.innerProductScratchCount(positions: positions, workers: threads)
        let work = 4 * Double(head.rows) * Double(positions) * Double(head.width)
        return Kernel(scratchBytes: 4 * scratch, operationCount: work) { [forward] arguments in
            let next = forward.inputCount
            head.innerProducts(
                forward.operands(arguments), logSums: arguments.input(next), rowWeights: arguments.input(next + 1),
                indices: arguments.input(next + 2), g: arguments.input(next + 3), positions: positions,
                into: arguments.output(0), scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}

/// Gradients of all logits at once [B, T, classes], from the inputs of `HeadGradients`.
struct HeadLogitGradients: BackwardOperation {
    let forward: HeadLosses

    var description: String { "logit gradients" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [inputs[0].with(shape: inputs[0].shape.dropLast() + [HeadLosses.classes(inputs[1], forward.isClassMajor)])]
    }

    func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let head = forward.head(inputs)
        return Kernel(operationCount: 2 * forward.multiplyAdds(inputs)) { [forward] arguments in
            head.allLogitGradients(
                forward.operands(arguments), logSums: arguments.input(forward.inputCount),
                rowWeights: arguments.input(forward.inputCount + 1), into: arguments.output(0), pool: arguments.pool)
        }
    }
}
