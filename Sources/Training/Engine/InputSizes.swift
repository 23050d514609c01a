public import Operators
public import TensorGraph

/// The sizes of a model's inputs: what the model fixes, what the data say, what the user says.
public struct InputSizes: Sendable {
    /// Shape of one sample of every input, without the batch axis.
    public let sampleShapes: [String: [Int]]
    public let batchAxes: [String: Int]
    /// The batch size that the exporter baked into the model; nil if the model takes any.
    public let fixedBatchSize: Int?
    /// Whether a dimension got the default size because nobody gave it.
    public let assumedDimensions: Bool
    /// A larger batch cannot be meant: its rows could not even be listed.
    private static let largestBatch = 1 << 24

    /// - Parameters:
    ///   - sampleShapes: shapes of one sample as the data have them; inputs not named get their sizes from the model
    ///     and `dimensions`.
    ///   - dimensions: sizes of symbolic dimensions by name (`--dim`).
    ///   - defaultSize: size of a dimension that nobody gives, or nil to refuse.
    /// - Throws: `GraphError` naming the input whose sizes contradict each other or are not known.
    public init(
        _ model: ImportedGraph, sampleShapes data: [String: [Int]], batchAxes: [String: Int] = [:],
        dimensions: [String: Int] = [:], defaultSize: Int? = nil
    ) throws(GraphError) {
        var symbols = dimensions
        var assumed = false
        var shapes: [String: [Int]] = [:]
        var fixed: (size: Int, input: String)?
        for name in batchAxes.keys where !model.inputs.contains(where: { $0.name == name }) {
            throw GraphError(.invalid, "--batch-axis names no input of the model", at: "input '\(name)'")
        }
        for input in model.inputs {
            let axis = batchAxes[input.name] ?? 0
            let place = "input '\(input.name)'"
            guard let declared = input.dimensions else {
                guard let sample = data[input.name] else {
                    throw GraphError(.invalid, "the model does not say its shape; give data for it", at: place)
                }
                shapes[input.name] = sample
                continue
            }
            guard declared.indices.contains(axis) else {
                throw GraphError(
                    .invalid, "has rank \(declared.count), so axis \(axis) cannot hold the batch; see --batch-axis",
                    at: place)
            }
            if case .fixed(let size) = declared[axis] {
                if let fixed, fixed.size != size {
                    throw GraphError(
                        .invalid,
                        "fixes the batch size at \(size), but input '\(fixed.input)' at \(fixed.size); export with a dynamic batch axis",
                        at: place)
                }
                fixed = (size, input.name)
            }
            var rest = declared
            rest.remove(at: axis)
            shapes[input.name] = try Self.sampleShape(rest, data[input.name], &symbols, defaultSize, &assumed, place)
        }
        if let fixed, fixed.size < 1 {
            throw GraphError(.invalid, "has a batch axis of size \(fixed.size)", at: "input '\(fixed.input)'")
        }
        for (name, shape) in shapes {
            do { try CheckedSize.check([fixed?.size ?? 1] + shape) } catch { throw error.at("input '\(name)'") }
        }
        if let fixed, fixed.size > Self.largestBatch {
            throw GraphError(
                .unsupported, "fixes the batch size at \(fixed.size), more than \(Self.largestBatch)",
                at: "input '\(fixed.input)'")
        }
        self.sampleShapes = shapes
        self.batchAxes = batchAxes
        fixedBatchSize = fixed?.size
        assumedDimensions = assumed
    }

    private static func sampleShape(
        _ declared: [Dimension], _ data: [Int]?, _ symbols: inout [String: Int], _ defaultSize: Int?,
        _ assumed: inout Bool,
        _ place: String
    ) throws(GraphError) -> [Int] {
        if let data, data.count != declared.count {
            throw GraphError(
                .invalid, "takes samples of \(declared.count) axes, but the data have samples of shape \(data)",
                at: place)
        }
        var shape: [Int] = []
        for (axis, dimension) in declared.enumerated() {
            var size: Int?
            switch dimension {
            case .fixed(let fixed): size = fixed
            case .symbol(let name): size = symbols[name]
            case .unknown: break
            }
            if let data {
                if let size, size != data[axis] {
                    throw GraphError(
                        .invalid, "takes \(size) entries on axis \(axis) of a sample, but the data have \(data[axis])",
                        at: place)
                }
                size = data[axis]
            }
            assumed = assumed || size == nil
            guard let size = size ?? defaultSize else {
                let name = if case .symbol(let name) = dimension { "'\(name)'" } else { "\(axis)" }
                throw GraphError(
                    .invalid, "the size of its dimension \(name) is not known; give --dim NAME=SIZE", at: place)
            }
            if case .symbol(let name) = dimension { symbols[name] = size }
            shape.append(size)
        }
        return shape
    }

    /// The sizes of a run of `batchSize` samples.
    public func sizes(batchSize: Int) -> RunSizes {
        precondition(fixedBatchSize == nil || fixedBatchSize == batchSize)
        var shapes: [String: [Int]] = [:]
        for (name, sample) in sampleShapes {
            var shape = sample
            shape.insert(batchSize, at: batchAxes[name] ?? 0)
            shapes[name] = shape
        }
        return RunSizes(batchSize: batchSize, inputShapes: shapes, batchAxes: batchAxes)
    }

    /// The sizes to compare a run with, to see which numbers come from the batch size; nil if it is fixed.
    public func referenceSizes(for batchSize: Int) -> RunSizes? {
        fixedBatchSize == nil ? sizes(batchSize: batchSize + 1) : nil
    }

    /// The physical batch size nearest to the wish. A model that takes any batch runs at least two samples at once, so
    /// that the places of batch and features in its tensors can be told apart.
    public func batchSize(wished: Int) -> Int { fixedBatchSize ?? max(wished, 2) }
}
