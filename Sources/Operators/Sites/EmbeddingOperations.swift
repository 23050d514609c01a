import Kernels
public import TensorGraph

/// Sizes of an embedding site: indices [B,T], g [B,T,D].
private struct EmbeddingSizes {
    let batch: Int
    let positions: Int
    let width: Int

    init(_ indices: TensorType, _ g: TensorType) throws(GraphError) {
        guard indices.elementType == .int64, g.elementType == .float32, indices.rank == 2, g.rank == 3,
            indices.shape[...] == g.shape[..<2]
        else { throw .invalid("\(indices) and \(g) are not the indices and the output gradient of an embedding") }
        (batch, positions, width) = (g.shape[0], g.shape[1], g.shape[2])
    }

    init(checked g: TensorType) { (batch, positions, width) = (g.shape[0], g.shape[1], g.shape[2]) }

    var count: Double { Double(batch * positions) * Double(width) }
}

/// The sum over distinct rows v of ||sum_{t: index_t = v} g_t||^2 for indices [B,T] and g [B,T,D]: [B], float64.
public struct EmbeddingNorms: BackwardOperation {
    /// Number of rows of the table.
    public let rows: Int

    public init(rows: Int) { self.rows = rows }

    public var description: String { "embedding norms, \(rows) rows" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        [TensorType(.float64, [try EmbeddingSizes(inputs[0], inputs[1]).batch])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = EmbeddingSizes(checked: inputs[1])
        return Kernel(operationCount: 2 * size.count) { [rows] arguments in
            let norms = arguments.output(0, as: Double.self)
            norms.update(repeating: 0, count: size.batch)
            embeddingNorms(
                indices: arguments.input(0), g: arguments.input(1), batch: size.batch, positions: size.positions,
                rows: rows,
                width: size.width,
                into: norms, pool: arguments.pool)
        }
    }
}

/// Every sample's own table gradient from indices [B,T] and g [B,T,D]: [B,rows,D].
public struct EmbeddingPerSampleGradients: BackwardOperation {
    public let rows: Int

    public init(rows: Int) { self.rows = rows }

    public var description: String { "embedding per-sample gradients, \(rows) rows" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try EmbeddingSizes(inputs[0], inputs[1])
        return [TensorType(.float32, [size.batch, rows, size.width])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = EmbeddingSizes(checked: inputs[1])
        return Kernel(operationCount: size.count) { [rows] arguments in
            embeddingPerSampleGradient(
                indices: arguments.input(0), g: arguments.input(1), batch: size.batch, positions: size.positions,
                rows: rows,
                width: size.width,
                into: arguments.output(0), pool: arguments.pool)
        }
    }
}

/// sum_i c_i G_i of a table from indices [B,T], g [B,T,D] and factors c [B]: [rows,D]. A sample whose factor is zero is
/// not read.
public struct EmbeddingContraction: BackwardOperation, AccumulatingOperation {
    public let rows: Int

    public init(rows: Int) { self.rows = rows }

    public var description: String { "embedding contraction, \(rows) rows" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try EmbeddingSizes(inputs[0], inputs[1])
        guard inputs[2] == TensorType(.float32, [size.batch]) else {
            throw .invalid("\(inputs[2]) does not hold one factor for each of \(size.batch) samples")
        }
        return [TensorType(.float32, [rows, size.width])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = EmbeddingSizes(checked: inputs[1])
        return Kernel(operationCount: 2 * size.count) { [rows] arguments in
            embeddingWeightedScatter(
                indices: arguments.input(0), g: arguments.input(1), factors: arguments.input(2), batch: size.batch,
                positions: size.positions,
                rows: rows, width: size.width, into: arguments.output(0), accumulate: arguments.accumulates,
                pool: arguments.pool)
        }
    }
}

/// <G_i of the reads, G_i of the output projection> for one table [rows,D] used as both: indices [B,T], g [B,T,D], input
/// of the projection h [B,S,D], gradient of the logits [B,S,rows]. [B], float64.
public struct EmbeddingHeadCross: BackwardOperation {
    public init() {}

    public var description: String { "embedding-head inner products" }

    public func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] {
        let size = try EmbeddingSizes(inputs[0], inputs[1])
        let head = try LinearSizes(inputs[2], inputs[3])
        guard head.batch == size.batch, head.d == size.width else {
            throw .invalid("\(inputs[1]) and \(inputs[2]) do not belong to the same table")
        }
        return [TensorType(.float64, [size.batch])]
    }

    public func kernel(inputs: [TensorType], outputs: [TensorType], threads: Int) -> Kernel {
        let size = EmbeddingSizes(checked: inputs[1])
        let (positions, rows) = (inputs[3].shape[1], inputs[3].shape[2])
        let scratch = embeddingHeadCrossScratchCount(
            positions: size.positions, headPositions: positions, width: size.width, workers: threads)
        return Kernel(scratchBytes: 4 * scratch, operationCount: 2 * size.count * Double(positions)) { arguments in
            let products = arguments.output(0, as: Double.self)
            products.update(repeating: 0, count: size.batch)
            embeddingHeadCross(
                indices: arguments.input(0), g: arguments.input(1), positions: size.positions, h: arguments.input(2),
                headG: arguments.input(3), headPositions: positions, batch: size.batch, rows: rows, width: size.width,
                scale: 1,
                into: products, scratch: arguments.floatScratch, pool: arguments.pool)
        }
    }
}
