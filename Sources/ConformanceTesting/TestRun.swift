import Execution
import Kernels
import Operators
import TensorGraph

/// Runs a model forward at the sizes of its inputs. Nothing in it has a batch.
struct TestRun {
    private let graph: ImportedGraph
    private let registry: OperatorRegistry
    private let pool: ThreadPool

    init(_ graph: ImportedGraph, _ registry: OperatorRegistry, _ pool: ThreadPool) {
        self.graph = graph
        self.registry = registry
        self.pool = pool
    }

    /// Tries the inputs as inputs, then lists of integers as initializers, then everything as initializers: axes, shapes
    /// and pads must be known before a graph runs.
    func outputs(for inputs: [String: Constant]) throws -> [String: Constant] {
        let lists = inputs.filter { $1.type.elementType == .int64 && $1.type.rank <= 1 }
        do {
            return try outputs(for: inputs, knowing: [:])
        } catch let error as GraphError where error.kind == .unsupported {}
        do {
            return try outputs(for: inputs, knowing: lists)
        } catch let error as GraphError where error.kind == .unsupported {}
        return try outputs(for: inputs, knowing: inputs)
    }

    private func outputs(for inputs: [String: Constant], knowing known: [String: Constant]) throws -> [String: Constant]
    {
        var graph = graph
        for port in graph.inputs {
            guard let constant = known[port.name] else { continue }
            graph.initializers.append(
                ImportedGraph.Initializer(name: port.name, dataType: port.dataType, shape: constant.type.shape) {
                    constant
                })
        }
        graph.inputs.removeAll { known[$0.name] != nil }
        let fed = graph.inputs.map(\.name)
        let sizes = RunSizes(batchSize: 1, inputShapes: inputs.mapValues(\.type.shape), batchFreeInputs: Set(fed))
        // Nodes in training mode drop elements, as the tests have it; with a seed, since a run is to be repeatable.
        let specializer = Specializer(graph, registry: registry, trainable: [], dropout: .drawn(seed: 1))
        var specialized = try specializer.specialize(sizes, reference: nil)
        for output in specialized.outputs { specialized.builder.addOutput(output.name, output.value) }
        let plan = try Plan(specialized.builder.finish(), parameters: ParameterMemory([]), pool: pool)
        for name in fed {
            let input = inputs[name]!
            plan.inputMemory(name)!.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: input.bytes[..<input.type.byteCount]))
        }
        plan.run()
        return Dictionary(
            plan.graph.outputs.map { ($0.name, plan.output($0.name)!) }, uniquingKeysWith: { first, _ in first })
    }
}
