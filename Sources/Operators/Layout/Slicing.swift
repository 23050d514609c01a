import Kernels
public import TensorGraph

/// Entries `starts[k]`, `starts[k] + steps[k]`, ... (`counts[k]` of them) along every axis k; steps may be negative.
public struct Slicing: ExecutableOperation, ElementMove {
    public let starts: [Int]
    public let steps: [Int]
    public let counts: [Int]

    public init(starts: [Int], steps: [Int], counts: [Int]) {
        self.starts = starts
        self.steps = steps
        self.counts = counts
    }

    public var description: String { "slice from \(starts) by \(steps) to \(counts)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard starts.count == shape.count, steps.count == shape.count, counts.count == shape.count else {
            throw .invalid("a slice of \(inputs[0]) names another number of axes")
        }
        for axis in shape.indices where counts[axis] > 0 {
            let last = starts[axis] + (counts[axis] - 1) * steps[axis]
            guard 0..<shape[axis] ~= starts[axis], 0..<shape[axis] ~= last else {
                throw .invalid("a slice leaves \(inputs[0]) on axis \(axis)")
            }
        }
        return [inputs[0].with(shape: counts)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        guard let factor = inputs[0].factor else { return [nil] }
        guard let part = part(of: factor, batchSize: inputs[0].batchSize, size: inputs[0].type.shape[factor.axis])
        else {
            throw BatchMixing(axis: factor.axis, "it takes some samples of the batch, or reorders them")
        }
        return [part]
    }

    /// Where the samples lie in what is taken of them, if it is the same of every sample: whole batches of several that
    /// lie one behind the other, or every n-th entry of as many as each sample has.
    private func part(of factor: BatchFactor, batchSize: Int, size: Int) -> BatchFactor? {
        let (start, step, count) = (starts[factor.axis], steps[factor.axis], counts[factor.axis])
        var part = factor
        if step == 1 {
            let batch = batchSize * factor.inner
            guard count > 0, start % batch == 0, count % batch == 0 else { return nil }
            part.outer = count / batch
        } else {
            guard step > 1, start < step, factor.inner % step == 0, count == size / step else { return nil }
            part.inner = factor.inner / step
        }
        return part
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        let shape = builder.shape(of: node.inputs[0])
        return try builder.emit(SlicePlacement(starts: starts, steps: steps, shape: shape), gradient)
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard let input = try builder.collapsed(node.inputs[0], axis: axis) else { return nil }
        var (starts, counts) = (starts, counts)
        (starts[axis], counts[axis]) = (0, 1)
        return try builder.emit(Slicing(starts: starts, steps: steps, counts: counts), input)
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool { !steps.contains(0) }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (shape, starts, steps, counts) = (inputs[0].shape, starts, steps, counts)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                Layout.slice(
                    arguments.input(0, as: Element.self), shape: shape, starts: starts, steps: steps,
                    into: arguments.output(0), outShape: counts, pool: arguments.pool)
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}

/// The adjoint of `Slicing`: a float tensor placed into zeros of `shape`. Backward only.
public struct SlicePlacement: BackwardOperation {
    public let starts: [Int]
    public let steps: [Int]
    public let shape: [Int]

    public init(starts: [Int], steps: [Int], shape: [Int]) {
        self.starts = starts
        self.steps = steps
        self.shape = shape
    }

    public var description: String { "place at \(starts) by \(steps) in \(shape)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let slicing = Slicing(starts: starts, steps: steps, counts: inputs[0].shape)
        guard inputs[0].elementType == .float32 else { throw .invalid("cannot place \(inputs[0]): it is no float") }
        _ = try slicing.outputTypes(for: [inputs[0].with(shape: shape)])
        return [inputs[0].with(shape: shape)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (counts, starts, steps, shape) = (inputs[0].shape, starts, steps, shape)
        return Kernel { arguments in
            Layout.sliceAdjoint(
                arguments.input(0), outShape: counts, into: arguments.output(0), shape: shape, starts: starts,
                steps: steps, pool: arguments.pool)
        }
    }
}
