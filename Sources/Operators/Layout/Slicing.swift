public import TensorGraph

/// Entries `starts[k]`, `starts[k] + steps[k]`, ... (`counts[k]` of them) along every axis k; steps may be negative.
public struct Slicing: Operation {
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
        let axis = factor.axis
        guard starts[axis] == 0, steps[axis] == 1, counts[axis] == inputs[0].type.shape[axis] else {
            throw BatchMixing(axis: axis, "it takes some samples of the batch, or reorders them")
        }
        return [factor]
    }
}
