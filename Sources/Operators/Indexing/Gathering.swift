import Kernels
public import TensorGraph

/// Entries of one axis picked by indices: data [outer, n, inner] and indices [I...] give [outer, I..., inner] (ONNX
/// Gather). Negative indices count from the end.
///
/// An index outside of the axis is no entry: floats read NaN there (the sample is then left out of private sums),
/// integers and bools 0.
public struct Gathering: ExecutableOperation, ElementMove {
    public let axis: Int
    /// An entry, at least 0, that gets no gradient (PyTorch's `padding_idx`).
    public let paddingRow: Int?

    public init(axis: Int, paddingRow: Int? = nil) {
        self.axis = axis
        self.paddingRow = paddingRow
    }

    public var description: String {
        "gather along \(axis)" + (paddingRow.map { ", no gradient for \($0)" } ?? "")
    }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let shape = inputs[0].shape
        guard shape.indices.contains(axis), inputs[1].elementType == .int64 else {
            throw .invalid("cannot gather along axis \(axis) of \(inputs[0]) by \(inputs[1])")
        }
        return [inputs[0].with(shape: shape[..<axis] + inputs[1].shape + shape[(axis + 1)...])]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        let (data, indices) = (inputs[0], inputs[1])
        guard var factor = data.factor else {
            guard var factor = indices.factor else { return [nil] }
            factor.axis += axis
            return [factor]
        }
        guard indices.factor == nil else {
            throw BatchMixing(axis: factor.axis, "it looks up every sample by the indices of every other")
        }
        if factor.axis == axis {
            guard let own = Self.ownSamples(data, indices, factor) else {
                throw BatchMixing(axis: axis, "it picks entries along the batch")
            }
            factor = own
            factor.axis += axis
        } else if factor.axis > axis {
            factor.axis += indices.type.rank - 1
        }
        return [factor]
    }

    private static func ownSamples(_ data: BatchOperand, _ indices: BatchOperand, _ factor: BatchFactor) -> BatchFactor?
    {
        guard let values = indices.constant?.int64Values else { return nil }
        let size = data.type.shape[factor.axis]
        let places = values.compactMap { wrappedIndex($0, size) }
            .map { SamplePosition.split($0, factor, batchSize: data.batchSize) }
        guard places.count == values.count else { return nil }
        return SamplePosition.factor(
            samples: places.map(\.sample), rest: places.map(\.rest), shape: indices.type.shape,
            batchSize: data.batchSize)
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard index == 0, let gradient = try elementGradient(outputGradients[0], of: node, in: &builder) else {
            return nil
        }
        let shape = builder.shape(of: node.inputs[0])
        return try builder.emit(GatheringAdjoint(axis: axis, shape: shape), gradient, node.inputs[1])
    }

    /// The output's gradient, zero where the padding row was read.
    private func elementGradient(_ gradient: ValueID?, of node: Node, in builder: inout GraphBuilder)
        throws(GraphError) -> ValueID?
    {
        guard let gradient, let paddingRow else { return gradient }
        let shape = builder.shape(of: node.inputs[0])
        let indices = builder.shape(of: node.inputs[1])
        let wrapped = try builder.emit(IndexWrapping(size: shape[axis]), node.inputs[1])
        let aligned = try builder.view(wrapped, indices + [Int](repeating: 1, count: shape.count - axis - 1))
        let padding = builder.addConstant(Constant([Int64(paddingRow)], shape: []))
        let isPadding = try builder.compare(.equal, aligned, padding)
        return try builder.select(isPadding, builder.scalar(0), gradient)
    }

    /// A trainable table read on axis 0 by the indices of each sample: an embedding.
    public func site(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> any Site {
        let shape = builder.shape(of: node.inputs[0])
        guard index == 0, axis == 0, let gradient = try elementGradient(outputGradients[0], of: node, in: &builder)
        else {
            throw .unsupported(
                "no per-sample rule for a parameter looked up along axis \(axis); freeze it with --frozen")
        }
        guard let output = builder.graph[node.output].batch.factor else {
            throw .unsupported("the samples of its output are not known")
        }
        let wrapped = try builder.emit(IndexWrapping(size: shape[0]), node.inputs[1])
        // The output's leading axes are those of the indices, so its factor is theirs.
        let indices = try builder.batchMajor(wrapped, output, featureAxes: 0)
        let gradients = try builder.batchMajor(gradient, output, featureAxes: shape.count - 1)
        let places = Array(builder.shape(of: indices).prefix(2))
        return EmbeddingSite(
            indices: try builder.view(indices, places), gradients: gradients, tableShape: shape, in: builder)
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        let indices = builder.shape(of: node.inputs[1])
        if (self.axis..<self.axis + indices.count).contains(axis) {
            guard let own = try builder.collapsed(node.inputs[1], axis: axis - self.axis) else { return nil }
            return try builder.emit(self, node.inputs[0], own)
        }
        let source = axis < self.axis ? axis : axis - indices.count + 1
        guard let own = try builder.collapsed(node.inputs[0], axis: source) else { return nil }
        return try builder.emit(self, own, node.inputs[1])
    }

    public func isInjective(inputs: [TensorType], constants: [Constant?]) -> Bool {
        guard paddingRow == nil, let indices = constants[1]?.int64Values else { return false }
        let entries = indices.compactMap { wrappedIndex($0, inputs[0].shape[axis]) }
        return entries.count == indices.count && Set(entries).count == entries.count
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = inputs[0].shape
        let (outer, n, inner) = (shape[..<axis].elementCount, shape[axis], shape[(axis + 1)...].elementCount)
        let count = inputs[1].count
        let missing = inputs[0].elementType.missingBits
        func prepared<Element: FixedWidthInteger & BitwiseCopyable & Sendable>(_: Element.Type) -> Kernel {
            Kernel(scratchBytes: count * MemoryLayout<Int64>.stride) { arguments in
                let indices: UnsafePointer<Int64> = arguments.input(1)
                let out: UnsafeMutablePointer<Element> = arguments.output(0)
                let rows = arguments.scratch.assumingMemoryBound(to: Int64.self)
                var outside: [Int] = []
                for k in 0..<count {
                    let row = wrappedIndex(indices[k], n)
                    rows[k] = Int64(row ?? 0)
                    if row == nil { outside.append(k) }
                }
                if n > 0 {
                    Layout.gather(
                        arguments.input(0), outer: outer, n: n, inner: inner, indices: rows, count: count, into: out,
                        pool: arguments.pool)
                }
                for k in outside {
                    for row in 0..<outer {
                        (out + (row * count + k) * inner)
                            .update(repeating: Element(truncatingIfNeeded: missing), count: inner)
                    }
                }
            }
        }
        return prepared(inputs[0].elementType.carrier)
    }
}

/// The adjoint of `Gathering` with respect to its data of `shape`: gradients [outer, I..., inner] added at indices
/// [I...]. An index outside of the axis adds nothing. Backward only.
public struct GatheringAdjoint: BackwardOperation {
    public let axis: Int
    public let shape: [Int]

    public init(axis: Int, shape: [Int]) {
        self.axis = axis
        self.shape = shape
    }

    public var description: String { "scatter-add along \(axis) into \(shape)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let gathered = try Gathering(axis: axis).outputTypes(for: [TensorType(.float32, shape), inputs[1]])
        guard gathered == [inputs[0]] else {
            throw .invalid("cannot add \(inputs[0]) at \(inputs[1]) along axis \(axis) of \(shape)")
        }
        return [TensorType(.float32, shape)]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let (outer, n, inner) = (shape[..<axis].elementCount, shape[axis], shape[(axis + 1)...].elementCount)
        let count = inputs[1].count
        return Kernel(scratchBytes: count * MemoryLayout<Int64>.stride) { arguments in
            let indices: UnsafePointer<Int64> = arguments.input(1)
            let gradient: UnsafePointer<Float> = arguments.input(0)
            let out: UnsafeMutablePointer<Float> = arguments.output(0)
            let rows = arguments.scratch.assumingMemoryBound(to: Int64.self)
            Layout.fill(out, with: 0, count: outer * n * inner, pool: arguments.pool)
            if Layout.normalizeIndices(indices, count: count, axisSize: n, into: rows) == nil {
                Layout.scatterAdd(
                    gradient, indices: rows, count: count, into: out, outer: outer, n: n, inner: inner,
                    pool: arguments.pool)
                return
            }
            for row in 0..<outer {
                for k in 0..<count {
                    guard let entry = wrappedIndex(indices[k], n) else { continue }
                    for i in 0..<inner {
                        out[(row * n + entry) * inner + i] += gradient[(row * count + k) * inner + i]
                    }
                }
            }
        }
    }
}
