import Execution
import PrivateGradients
import TensorGraph

/// Copies samples of a data set into a plan's inputs, padding an incomplete physical batch.
struct BatchFeeder {
    let data: DataSet
    /// Graph inputs and the arrays that feed them.
    private let sources: [(input: String, key: String, type: ElementType)]
    let shape: BatchShape

    init(_ plan: Plan, data: DataSet, shape: BatchShape) {
        self.data = data
        self.shape = shape
        // A graph has targets only if its loss was built for data that have them.
        sources = plan.graph.inputs.filter { !PrivateStep.ownInputs.contains($0.name) }.map {
            name, value in
            (name, name == LossSpecification.targets ? data.targetKey! : name, plan.graph.type(of: value).elementType)
        }
    }

    /// Writes samples, given by their rows, as many as the shape holds or fewer; the rest repeats a row and has weight zero.
    /// - Parameter other: what the rows are taken from in place of `data`, with the same keys and shapes of samples.
    /// - Throws: `DataError` if a value does not fit its input's type.
    func feed(_ samples: [[Int]], of other: DataSet? = nil, to plan: Plan) throws {
        let data = other ?? data
        precondition(samples.count <= shape.samples && samples.allSatisfy { $0.count <= shape.rowsPerSample })
        precondition(data.count > 0)
        var rows: [Int] = []
        var shares: [Float] = []
        rows.reserveCapacity(shape.rows)
        for sample in samples {
            let padding = shape.rowsPerSample - sample.count
            rows += sample + Array(repeating: sample[0], count: padding)
            shares += Array(repeating: 1 / Float(sample.count), count: sample.count)
            shares += Array(repeating: 0, count: padding)
        }
        shares += Array(repeating: 0, count: shape.rows - rows.count)
        rows += Array(repeating: rows.first ?? 0, count: shape.rows - rows.count)
        try feed(rows: rows, of: data, to: plan)
        if let weights = plan.inputMemory(PrivateStep.weights)?.bindMemory(to: Float.self) {
            for index in weights.indices { weights[index] = index < samples.count ? 1 : 0 }
        }
        if let weights = plan.inputMemory(PrivateStep.rowWeights)?.bindMemory(to: Float.self) {
            _ = weights.update(fromContentsOf: shares)
        }
    }

    private func feed(rows: [Int], of data: DataSet, to plan: Plan) throws {
        for source in sources {
            let memory = plan.inputMemory(source.input)!
            switch source.type {
            case .float32, .float64:
                data.gather(rows: rows, key: source.key, into: memory.bindMemory(to: Float.self))
            case .int64: try data.gather(rows: rows, key: source.key, into: memory.bindMemory(to: Int64.self))
            case .bool: try data.gather(rows: rows, key: source.key, into: memory.bindMemory(to: UInt8.self))
            }
        }
    }
}
