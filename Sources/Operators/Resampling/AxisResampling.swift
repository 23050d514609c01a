import Kernels
public import TensorGraph

/// Each entry of an axis as a weighted sum of a few entries of the input's: out[.., j, ..] = sum_k w_jk x[.., i_jk, ..].
///
/// The map is linear and the same for all lines along the axis, so its adjoint is the map with rows and columns
/// exchanged.
public struct AxisResampling: ExecutableOperation {
    public let axis: Int
    public let map: SparseRows

    public init(axis: Int, _ map: SparseRows) {
        self.axis = axis
        self.map = map
    }

    public var description: String { "resample axis \(axis) from \(map.columns) to \(map.count)" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        guard inputs[0].elementType == .float32, inputs[0].shape.indices.contains(axis),
            inputs[0].shape[axis] == map.columns
        else { throw .invalid("cannot resample axis \(axis) of \(inputs[0]) from \(map.columns) entries") }
        var shape = inputs[0].shape
        shape[axis] = map.count
        return [TensorType(.float32, shape)]
    }

    public func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] {
        [try BatchRules.along([axis], inputs[0], "interpolates")]
    }

    public func inputGradient(
        _ index: Int, of node: Node, outputGradients: [ValueID?], in builder: inout GraphBuilder
    ) throws(GraphError) -> ValueID? {
        guard let gradient = outputGradients[0] else { return nil }
        return try builder.emit(AxisResampling(axis: axis, map.transposed), gradient)
    }

    public func collapsed(_ axis: Int, of node: Node, in builder: inout GraphBuilder) throws(GraphError) -> ValueID? {
        guard axis != self.axis, let own = try builder.collapsed(node.inputs[0], axis: axis) else { return nil }
        return try builder.emit(self, own)
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let shape = inputs[0].shape
        let (outer, inner) = (shape[..<axis].elementCount, shape[(axis + 1)...].elementCount)
        let map = map
        let work = 2 * Double(outer * inner * map.weights.count)
        return Kernel(operationCount: work) { arguments in
            let x: UnsafePointer<Float> = arguments.input(0)
            let out: UnsafeMutablePointer<Float> = arguments.output(0)
            arguments.pool.forRanges(outer * map.count, grain: max(1, 4096 / max(1, inner))) { range, _ in
                for line in range {
                    let (block, row) = line.quotientAndRemainder(dividingBy: map.count)
                    let source = x + block * map.columns * inner
                    let target = out + line * inner
                    target.update(repeating: 0, count: inner)
                    for k in map.starts[row]..<map.starts[row + 1] {
                        let (weight, from) = (map.weights[k], source + map.indices[k] * inner)
                        for i in 0..<inner { target[i] += weight * from[i] }
                    }
                }
            }
        }
    }
}

/// A matrix by the entries of its rows that are not zero.
public struct SparseRows: Hashable, Sendable {
    public let columns: Int
    /// Row r has entries `starts[r]..<starts[r + 1]` of `indices` and `weights`.
    public let starts: [Int]
    /// Columns.
    public let indices: [Int]
    public let weights: [Float]

    public var count: Int { starts.count - 1 }

    /// - Parameter rows: for each row its entries; those of the same column add up.
    public init(columns: Int, rows: [[(column: Int, weight: Float)]]) {
        self.columns = columns
        starts = rows.reduce(into: [0]) { $0.append($0.last! + $1.count) }
        indices = rows.flatMap { $0.map(\.column) }
        weights = rows.flatMap { $0.map(\.weight) }
        precondition(indices.allSatisfy { 0..<columns ~= $0 }, "a column is outside of the matrix")
    }

    public var transposed: SparseRows {
        var rows = [[(column: Int, weight: Float)]](repeating: [], count: columns)
        for row in 0..<count {
            for k in starts[row]..<starts[row + 1] { rows[indices[k]].append((row, weights[k])) }
        }
        return SparseRows(columns: count, rows: rows)
    }
}
