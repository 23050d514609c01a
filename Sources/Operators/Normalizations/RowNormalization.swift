import Kernels
public import TensorGraph

/// xhat = (x - mean) / sqrt(variance + epsilon) over all axes from `axis` on (layer normalisation, Ba et al. 2016), or
/// x / sqrt(mean square + epsilon) where not `isCentered` (RMS normalisation, Zhang and Sennrich 2019).
///
/// Outputs: xhat, of the shape of x, and 1 / sqrt(...), with ones for the normalised axes.
public struct RowNormalization: ExecutableOperation {
    public let axis: Int
    public let isCentered: Bool
    public let epsilon: Float

    public init(axis: Int, isCentered: Bool, epsilon: Float) {
        self.axis = axis
        self.isCentered = isCentered
        self.epsilon = epsilon
    }

    public var description: String { "\(isCentered ? "" : "RMS ")normalise from axis \(axis), epsilon \(epsilon)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32, (0...inputs[0].rank).contains(axis) else {
            throw .invalid("cannot normalise \(inputs[0]) from axis \(axis)")
        }
        let ones = [Int](repeating: 1, count: inputs[0].rank - axis)
        return [inputs[0], inputs[0].with(shape: inputs[0].shape[..<axis] + ones)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let factor = try BatchRules.along(Array(axis..<inputs[0].type.rank), inputs[0], "normalises")
        return [factor, factor]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard outputGradients[1] == nil else {
            throw GraphError.unsupported("the loss depends on the reciprocal deviation that it returns").at(
                "\(node.origin)")
        }
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(
            RowNormalizationGradient(axis: axis, isCentered: isCentered), gradient, node.outputs[0], node.outputs[1])
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard axis < self.axis, let input = try builder.collapsed(node.inputs[0], axis: axis) else { return nil }
        return try builder.emitAll(self, [input])[0]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let rows = inputs[0].shape[..<axis].elementCount
        let count = inputs[0].shape[axis...].elementCount
        return Kernel(operationCount: 7 * Double(inputs[0].count)) { [epsilon, isCentered] arguments in
            Rows.normalize(
                arguments.input(0), into: arguments.output(0), rstd: arguments.output(1), rows: rows, n: count,
                epsilon: epsilon, centered: isCentered, pool: arguments.pool)
        }
    }

    public var overwritableInputs: [Int] { [0] }
}

/// Gradient of the input of `RowNormalization` from the gradient of xhat, xhat and the reciprocal deviations.
public struct RowNormalizationGradient: BackwardOperation {
    public let axis: Int
    public let isCentered: Bool

    public init(axis: Int, isCentered: Bool) {
        self.axis = axis
        self.isCentered = isCentered
    }

    public var description: String { "\(isCentered ? "" : "RMS ")normalisation gradient from axis \(axis)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0] == inputs[1], inputs[2].count == inputs[0].shape[..<axis].elementCount else {
            throw .invalid("\(inputs[0]) is not the gradient of a normalised \(inputs[1])")
        }
        return [inputs[0]]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let rows = inputs[0].shape[..<axis].elementCount
        let count = inputs[0].shape[axis...].elementCount
        return Kernel(operationCount: 8 * Double(inputs[0].count)) { [isCentered] arguments in
            Rows.normalizeGradient(
                gradient: arguments.input(0), xhat: arguments.input(1), rstd: arguments.input(2),
                into: arguments.output(0), rows: rows, n: count, centered: isCentered, pool: arguments.pool)
        }
    }

    public var overwritableInputs: [Int] { [0, 1] }
}
