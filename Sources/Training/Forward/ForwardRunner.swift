public import Execution
public import Kernels
import Operators
public import TensorGraph

/// Runs a model forward over a data set and joins the outputs of its physical batches.
public struct ForwardRunner {
    /// An output over all samples, in the model's own layout.
    public typealias Output = (name: String, value: Constant)

    private let model: TrainableModel
    private let parameters: ParameterMemory
    private let pool: ThreadPool

    public init(_ model: TrainableModel, parameters: ParameterMemory, pool: ThreadPool) {
        self.model = model
        self.parameters = parameters
        self.pool = pool
    }

    /// All outputs for all rows of `data`.
    ///
    /// A model that mixes samples is run in one batch of all rows, as its results depend on who is in the batch; any
    /// other in physical batches of `batchSize`.
    /// - Throws: `GraphError` naming the node that cannot be computed, `DataError` for values that fit no input,
    ///   `ExecutionError` if memory is refused.
    public func run(_ data: DataSet, batchSize wished: Int) throws -> [Output] {
        let batchSize = model.sizes.batchSize(wished: min(wished, data.count))
        let graph = try forwardGraph(batchSize: batchSize)
        if graph.outputs.contains(where: { graph[$0.value].batch == .mixed }) {
            return try runAtOnce(data)
        }
        let plan = try Plan(graph, parameters: parameters, pool: pool)
        let feeder = BatchFeeder(plan, data: data, shape: BatchShape(samples: batchSize, rowsPerSample: 1))
        var joined = graph.outputs.map { JoinedOutput(graph, $0.value, batchSize: batchSize, samples: data.count) }
        for start in stride(from: 0, to: data.count, by: batchSize) {
            let rows = Array(start..<min(start + batchSize, data.count))
            try feeder.feed(rows.map { [$0] }, to: plan)
            plan.run()
            for (index, output) in graph.outputs.enumerated() {
                joined[index].append(plan.outputMemory(output.name)!, samples: rows.count)
            }
        }
        return zip(graph.outputs, joined).map { ($0.name, $1.value) }
    }

    private func runAtOnce(_ data: DataSet) throws -> [Output] {
        if let fixed = model.sizes.fixedBatchSize, fixed != data.count {
            throw GraphError(
                .invalid,
                "mixes samples and fixes the batch size at \(fixed), so it runs on exactly \(fixed) rows, not on \(data.count)",
                at: "the model")
        }
        let plan = try Plan(forwardGraph(batchSize: data.count), parameters: parameters, pool: pool)
        let feeder = BatchFeeder(plan, data: data, shape: BatchShape(samples: data.count, rowsPerSample: 1))
        try feeder.feed((0..<data.count).map { [$0] }, to: plan)
        plan.run()
        return plan.graph.outputs.map { ($0.name, plan.output($0.name)!) }
    }

    private func forwardGraph(batchSize: Int) throws -> Graph {
        var specialized = try model.specialized(batchSize: batchSize)
        for output in specialized.outputs { specialized.builder.addOutput(output.name, output.value) }
        return specialized.builder.finish()
    }
}

/// One output under construction: the samples of each batch put where they belong among all samples.
private struct JoinedOutput {
    private let type: TensorType
    /// Nil for an output that is the same for every sample.
    private let factor: BatchFactor?
    private let batchType: TensorType
    private let memory: UnsafeMutableRawBufferPointer
    private let batchSize: Int
    private let samples: Int
    private var written = 0
    let value: Constant

    init(_ graph: Graph, _ output: ValueID, batchSize: Int, samples: Int) {
        batchType = graph.type(of: output)
        factor = graph[output].batch.factor
        self.batchSize = batchSize
        self.samples = samples
        var shape = batchType.shape
        if let factor {
            // A model that takes one sample at a time may leave the batch axis out.
            if shape.isEmpty { shape = [1] }
            shape[factor.axis] = shape[factor.axis] / batchSize * samples
        }
        type = batchType.with(shape: shape)
        var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        value = Constant(type) { memory = $0 }
        self.memory = memory
    }

    /// Takes over the first `samples` samples of a batch.
    mutating func append(_ source: UnsafeRawBufferPointer, samples count: Int) {
        guard let factor else {
            memory.copyMemory(from: source)
            return
        }
        let run = factor.trailing(in: batchType.shape) * batchType.elementType.size
        for index in 0..<factor.leading(in: batchType.shape) {
            let from = UnsafeRawBufferPointer(rebasing: source[(index * batchSize * run)...].prefix(count * run))
            let start = (index * samples + written) * run
            UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + count * run]).copyMemory(from: from)
        }
        written += count
    }
}
