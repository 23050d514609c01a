import Execution
import PrivateGradients
import TensorGraph

/// Copies rows of a data set into a plan's inputs, padding an incomplete physical batch.
struct BatchFeeder {
    let data: DataSet
    /// Graph inputs and the arrays that feed them.
    private let sources: [(input: String, key: String, type: ElementType)]
    let batchSize: Int

    init(_ plan: Plan, data: DataSet, batchSize: Int) {
        self.data = data
        self.batchSize = batchSize
        // A graph has targets only if its loss was built for data that have them.
        sources = plan.graph.inputs.filter { $0.name != PrivateStep.weights }.map { name, value in
            (name, name == LossSpecification.targets ? data.targetKey! : name, plan.graph.type(of: value).elementType)
        }
    }

    /// Writes up to `batchSize` rows; the rest repeats a row and has weight zero.
    /// - Parameter other: what the rows are taken from in place of `data`, with the same keys and shapes of samples.
    /// - Throws: `DataError` if a value does not fit its input's type.
    func feed(_ rows: [Int], of other: DataSet? = nil, to plan: Plan) throws {
        let data = other ?? data
        precondition(rows.count <= batchSize && data.count > 0)
        let padded = rows + Array(repeating: rows.first ?? 0, count: batchSize - rows.count)
        for source in sources {
            let memory = plan.inputMemory(source.input)!
            switch source.type {
            case .float32, .float64:
                data.gather(rows: padded, key: source.key, into: memory.bindMemory(to: Float.self))
            case .int64: try data.gather(rows: padded, key: source.key, into: memory.bindMemory(to: Int64.self))
            case .bool: try data.gather(rows: padded, key: source.key, into: memory.bindMemory(to: UInt8.self))
            }
        }
        if let weights = plan.inputMemory(PrivateStep.weights)?.bindMemory(to: Float.self) {
            for index in weights.indices { weights[index] = index < rows.count ? 1 : 0 }
        }
    }
}
