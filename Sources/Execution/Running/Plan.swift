public import Kernels
import Operators
public import TensorGraph

/// A graph made ready to run many times: prepared kernels over one arena whose size is known beforehand.
///
/// A plan belongs to one thread at a time; its kernels share the work among the pool's threads.
public final class Plan {
    public let graph: Graph
    /// Bytes of the arena: all inputs, activations, gradients and scratch memory of a run.
    public var peakBytes: Int { layout.arenaBytes }
    /// Floating-point operations of one run, as far as the operations declare them.
    public let operationCount: Double

    private let layout: BufferLayout
    private let arena: Arena
    private let base: UnsafeMutableRawPointer
    private let steps: [Step]
    private let parameters: ParameterMemory
    private let sums: [String: UnsafeMutableBufferPointer<Float>]
    private let sinks: SumSinks

    private struct Step {
        let node: Node
        let kernel: Kernel
        let arguments: KernelArguments
        /// Whether the step writes the first term of a sum.
        let startsSum: Bool

        func run(accumulating: Bool) {
            guard startsSum, !accumulating else { return kernel.run(arguments) }
            var arguments = arguments
            arguments.accumulates = false
            kernel.run(arguments)
        }
    }

    /// - Parameters:
    ///   - parameters: memory of every parameter that the graph reads; the plan reads it at each run.
    ///   - sums: memory for outputs that are sums, of the outputs' sizes, which outlives the plan. Those whose terms can
    ///     be added up there are `summedOutputs`; the others have memory in the arena.
    ///   - arena: memory shared with plans that run at other times; nil for an own one.
    /// - Throws: `ExecutionError` if an operation cannot be computed or memory is refused.
    public init(
        _ graph: Graph, parameters: ParameterMemory, sums: [String: UnsafeMutableBufferPointer<Float>] = [:],
        arena: Arena? = nil, pool: ThreadPool
    ) throws(ExecutionError) {
        self.graph = graph
        self.parameters = parameters
        self.sums = sums
        sinks = SumSinks(graph, outputs: Set(sums.keys))
        var kernels: [Kernel] = []
        for node in graph.nodes { kernels.append(try Self.kernel(node, graph, pool)) }
        layout = BufferLayout(graph, scratchBytes: kernels.map(\.scratchBytes), sinks: sinks)
        operationCount = kernels.reduce(0) { $0 + $1.operationCount }
        self.arena = arena ?? Arena()
        let base = try self.arena.reserve(layout.arenaBytes)
        self.base = base
        for (name, value) in graph.parameters where parameters.byteCount(of: name) != graph.type(of: value).byteCount {
            throw ExecutionError("parameter '\(name)' has no memory of the size that the graph expects")
        }

        let storage = layout.storage
        func pointer(_ value: ValueID) -> UnsafeMutableRawPointer {
            switch storage[value]! {
            case .arena(let offset): base + offset
            case .parameter(let name): parameters.pointer(of: name)
            case .constant(let constant):
                UnsafeMutableRawPointer(mutating: graph[constant].constant!.bytes.baseAddress!)
            case .sum(let name): UnsafeMutableRawPointer(sums[name]!.baseAddress!)
            }
        }
        var steps: [Step] = []
        for (node, prepared) in zip(graph.nodes, zip(kernels, layout.scratchOffsets))
        where node.operation.viewedInput == nil && !sinks.isBetween(node.outputs[0]) {
            var arguments = KernelArguments(
                inputs: node.inputs.map { UnsafeRawPointer(pointer($0)) }, outputs: node.outputs.map(pointer),
                scratch: base + prepared.1, pool: pool)
            let term = sinks.terms[node.outputs[0]]
            arguments.accumulates = term != nil
            steps.append(
                Step(node: node, kernel: prepared.0, arguments: arguments, startsSum: term?.isFirst ?? false))
        }
        self.steps = steps
    }

    /// Outputs that runs add up in the caller's memory.
    public var summedOutputs: Set<String> { sinks.outputs }

    /// The bytes that `init` would map for `graph`, without mapping them.
    /// - Parameter sums: outputs for which the caller has memory.
    /// - Throws: `ExecutionError` if an operation cannot be computed.
    public static func predictedBytes(_ graph: Graph, sums: Set<String> = [], pool: ThreadPool) throws(ExecutionError)
        -> Int
    {
        var scratch: [Int] = []
        for node in graph.nodes { scratch.append(try kernel(node, graph, pool).scratchBytes) }
        return BufferLayout(graph, scratchBytes: scratch, sinks: SumSinks(graph, outputs: sums)).arenaBytes
    }

    static func kernel(_ node: Node, _ graph: Graph, _ pool: ThreadPool) throws(ExecutionError) -> Kernel {
        guard let operation = node.operation as? any ExecutableOperation else {
            throw ExecutionError("\(node.origin): \(node.operation) cannot be computed")
        }
        return operation.kernel(
            inputs: node.inputs.map(graph.type(of:)), outputs: node.outputs.map(graph.type(of:)),
            threads: pool.threadCount)
    }

    /// Memory of an input, to be written before each run; a run may overwrite it.
    public func inputMemory(_ name: String) -> UnsafeMutableRawBufferPointer? {
        graph.input(named: name).map(memory)
    }

    /// Memory of an output, valid until the next run.
    public func outputMemory(_ name: String) -> UnsafeRawBufferPointer? {
        graph.output(named: name).map { UnsafeRawBufferPointer(memory($0)) }
    }

    /// An output's elements after a run.
    public func output(_ name: String) -> Constant? {
        guard let value = graph.output(named: name) else { return nil }
        return Constant(graph.type(of: value)) { $0.copyMemory(from: UnsafeRawBufferPointer(memory(value))) }
    }

    private func memory(_ value: ValueID) -> UnsafeMutableRawBufferPointer {
        let start: UnsafeMutableRawPointer =
            switch layout.storage[value] {
            case .arena(let offset)?: base + offset
            case .parameter(let name)?: parameters.pointer(of: name)
            case .constant(let constant)?:
                UnsafeMutableRawPointer(mutating: graph[constant].constant!.bytes.baseAddress!)
            case .sum(let name)?: UnsafeMutableRawPointer(sums[name]!.baseAddress!)
            case nil: preconditionFailure("the value is not part of the plan")
            }
        return UnsafeMutableRawBufferPointer(start: start, count: graph.type(of: value).byteCount)
    }

    /// - Parameter accumulates: whether `summedOutputs` are added to what their memory holds, or replace it.
    public func run(accumulating accumulates: Bool = false) {
        for step in steps { step.run(accumulating: accumulates) }
    }

    /// Runs once, replacing sums, and says what each node took, in the order in which they ran.
    public func runProfiled() -> [NodeTiming] {
        let clock = ContinuousClock()
        let start = clock.now
        return steps.map { step in
            let before = clock.now
            step.run(accumulating: false)
            let types = (step.node.inputs + step.node.outputs).map(graph.type(of:))
            return NodeTiming(
                operation: "\(step.node.operation)", origin: step.node.origin,
                types: step.node.inputs.map { "\(graph.type(of: $0))" }, start: (before - start) / .seconds(1),
                seconds: (clock.now - before) / .seconds(1), operationCount: step.kernel.operationCount,
                byteCount: types.reduce(0) { $0 + $1.byteCount })
        }
    }
}
