public import Kernels
public import TensorGraph

/// Adds entries around a tensor; negative counts crop it.
///
/// With `mode` nil the new entries are the second input, a scalar; otherwise they are the tensor's own and there is one
/// input.
public struct Padding: ExecutableOperation {
    public let mode: PadMode?
    public let before: [Int]
    public let after: [Int]

    public init(mode: PadMode?, before: [Int], after: [Int]) {
        self.mode = mode
        self.before = before
        self.after = after
    }

    public var description: String { "pad \(mode.map { "\($0) " } ?? "")by \(before) and \(after)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard before.count == shape.count, after.count == shape.count else {
            throw .invalid("pads \(before) and \(after) are not one per axis of \(inputs[0])")
        }
        for axis in shape.indices {
            let total = shape[axis].addingReportingOverflow(before[axis])
            let size = total.partialValue.addingReportingOverflow(after[axis])
            guard !total.overflow, !size.overflow, size.partialValue >= 0 else {
                throw .invalid("pads \(before[axis]) and \(after[axis]) leave nothing of axis \(axis) of \(inputs[0])")
            }
            if mode != nil, shape[axis] == 0, before[axis] > 0 || after[axis] > 0 {
                throw .invalid("axis \(axis) of \(inputs[0]) has no entries to pad with")
            }
        }
        if mode == nil, inputs[1].count != 1 || inputs[1].elementType != inputs[0].elementType {
            throw .invalid("cannot pad \(inputs[0]) with \(inputs[1])")
        }
        return [inputs[0].with(shape: Layout.paddedShape(shape, before: before, after: after))]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        if inputs.count > 1, let factor = inputs[1].factor {
            throw BatchMixing(axis: factor.axis, "it pads with a number of one sample")
        }
        guard let factor = inputs[0].factor else { return [nil] }
        guard before[factor.axis] == 0, after[factor.axis] == 0 else {
            throw BatchMixing(axis: factor.axis, "it pads the batch")
        }
        return [factor]
    }

    /// Zero pads have no gradient of their own; a trainable pad value is not supported.
    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0 else { throw .unsupported("the value it pads with depends on a parameter; use a constant") }
        guard let gradient = outputGradients[0] else { return nil }
        let shape = builder.shape(of: node.inputs[0])
        return try builder.emit(PaddingAdjoint(padding: self, shape: shape), gradient)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (shape, mode, before, after) = (inputs[0].shape, mode, before, after)
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel { arguments in
                let x = arguments.input(0, as: Element.self)
                if let mode {
                    Layout.pad(
                        mode, x, shape: shape, before: before, after: after, into: arguments.output(0),
                        pool: arguments.pool)
                } else {
                    Layout.padConstant(
                        x, shape: shape, before: before, after: after,
                        value: arguments.input(1, as: Element.self).pointee, into: arguments.output(0),
                        pool: arguments.pool)
                }
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}

/// The adjoint of `Padding` with respect to its tensor of `shape`. Backward only.
public struct PaddingAdjoint: BackwardOperation {
    public let padding: Padding
    public let shape: [Int]

    public init(padding: Padding, shape: [Int]) {
        self.padding = padding
        self.shape = shape
    }

    public var description: String { "adjoint of \(padding)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32,
            inputs[0].shape == Layout.paddedShape(shape, before: padding.before, after: padding.after)
        else { throw .invalid("\(inputs[0]) is not a padded tensor of shape \(shape)") }
        return [inputs[0].with(shape: shape)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (shape, padding) = (shape, padding)
        return Kernel { arguments in
            if let mode = padding.mode {
                Layout.padAdjoint(
                    mode, arguments.input(0), shape: shape, before: padding.before, after: padding.after,
                    into: arguments.output(0), pool: arguments.pool)
            } else {
                Layout.padConstantAdjoint(
                    arguments.input(0), shape: shape, before: padding.before, after: padding.after,
                    into: arguments.output(0), pool: arguments.pool)
            }
        }
    }
}
