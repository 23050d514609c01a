import Kernels
import Operators
import TensorGraph
import TestSupport
import Testing

@testable import Execution

@Suite struct PlanTests {
    /// Planned execution against the definition, twice on the same inputs, with other inputs in between, on one thread
    /// and on two; and the layout against what must not share memory.
    @Test(arguments: 0..<150 as Range<UInt64>)
    func randomGraphs(_ seed: UInt64) throws {
        let random = try RandomGraph(seed: seed)
        let expected = ReferenceEvaluator(random.graph).run(
            inputs: random.inputs.doubles, parameters: random.parameters.doubles)
        let memory = ParameterMemory(random.parameters)
        var results: [[String: Constant]] = []
        for threads in [1, 2] {
            let pool = ThreadPool(threads: threads)
            let plan = try Plan(random.graph, parameters: memory, pool: pool)
            #expect(try Plan.predictedBytes(random.graph, pool: pool) == plan.peakBytes)
            let first = plan.run(random.inputs)
            _ = plan.run(random.inputs.mapValues { Constant($0.floatValues.map { -2 * $0 }, shape: $0.type.shape) })
            let second = plan.run(random.inputs)
            for (name, value) in first {
                #expect(value.isIdentical(to: second[name]!), "\(name) of the second run")
                #expect(
                    relativeError(value.doubles, expected[name]!, floor: 1e-3) < 1e-4, "\(name)\n\(random.graph.dump)")
            }
            results.append(first)
        }
        for (name, value) in results[0] {
            #expect(relativeError(results[1][name]!.doubles, value.doubles, floor: 1e-3) < 1e-5)
        }
        for (name, value) in random.parameters {
            #expect(Array(memory[name]) == value.floatValues, "a run wrote into parameter \(name)")
        }
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func layoutsOfRandomGraphs(_ seed: UInt64) throws {
        let graph = try RandomGraph(seed: seed, nodes: 60).graph
        var numbers = Numbers(seed: seed)
        let scratch = graph.nodes.map { _ in numbers.integer(below: 4) == 0 ? numbers.integer(below: 300) : 0 }
        let layout = BufferLayout(graph, scratchBytes: scratch, sinks: SumSinks(graph, outputs: []))
        #expect(LayoutCheck(graph, layout, scratchBytes: scratch).faults == [])
    }

    @Test func parametersAreReadAtEveryRun() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [2]), batch: nil)
        let w = builder.addParameter("w", TensorType(.float32, [2]))
        builder.addOutput("y", try builder.multiply(x, w))
        let memory = ParameterMemory(["w": Constant([1, 2] as [Float])])
        let plan = try Plan(builder.finish(), parameters: memory, pool: ThreadPool(threads: 1))
        let inputs = ["x": Constant([3, 5] as [Float])]
        #expect(plan.run(inputs)["y"]!.floatValues == [3, 10])
        memory["w"][0] = -1
        #expect(plan.run(inputs)["y"]!.floatValues == [-3, 10])
    }

    @Test func outputsMayBeInputsParametersAndConstants() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [2]), batch: nil)
        builder.addOutput("input", x)
        builder.addOutput("parameter", builder.addParameter("w", TensorType(.float32, [2])))
        builder.addOutput("constant", builder.addConstant(Constant([7, 8] as [Int64])))
        let memory = ParameterMemory(["w": Constant([1, 2] as [Float])])
        let plan = try Plan(builder.finish(), parameters: memory, pool: ThreadPool(threads: 1))
        let results = plan.run(["x": Constant([3, 5] as [Float])])
        #expect(results["input"]!.floatValues == [3, 5] && results["parameter"]!.floatValues == [1, 2])
        #expect(results["constant"]!.int64Values == [7, 8])
        #expect(plan.inputMemory("w") == nil && plan.output("x") == nil)
    }

    /// Two plans that run at different times in one arena, the second larger than what is mapped for the first.
    @Test func plansShareAnArena() throws {
        let (small, large) = (try RandomGraph(seed: 3, nodes: 4), try RandomGraph(seed: 4, nodes: 40))
        let arena = Arena()
        let pool = ThreadPool(threads: 1)
        let plans = try [small, large, small].map {
            try Plan($0.graph, parameters: ParameterMemory($0.parameters), arena: arena, pool: pool)
        }
        for (plan, random) in zip(plans, [small, large, small]) {
            let expected = ReferenceEvaluator(random.graph).run(
                inputs: random.inputs.doubles, parameters: random.parameters.doubles)
            for (name, value) in plan.run(random.inputs) {
                #expect(relativeError(value.doubles, expected[name]!, floor: 1e-3) < 1e-4)
            }
        }
    }

    /// Two uses of one matrix and a view of their sum are added up in the caller's memory; what is not a sum of
    /// contractions, or is read by others, is not.
    @Test func sumsAreAddedUpInTheCallersMemory() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        var inputs: [String: Constant] = [:]
        var numbers = Numbers(seed: 5)
        func input(_ name: String, _ shape: [Int]) -> ValueID {
            inputs[name] = numbers.floats(shape)
            return builder.addInput(name, TensorType(.float32, shape), batch: nil)
        }
        let c = input("c", [2])
        let (x, g) = (input("x", [2, 3, 40]), input("g", [2, 3, 50]))
        let (x2, g2) = (input("x2", [2, 4, 40]), input("g2", [2, 4, 50]))
        let one = try builder.emit(LinearContraction(), x, g, c)
        let other = try builder.emit(LinearContraction(), x2, g2, c)
        builder.addOutput("sum", try builder.view(try builder.add(one, other), [2000]))
        let shared = try builder.emit(WeightedSum(), c, x)
        builder.addOutput("shared", shared)
        builder.addOutput("reader", try builder.unary(.neg, shared))
        let graph = builder.finish()
        let pool = ThreadPool(threads: 2)
        let expected = try Plan(graph, parameters: ParameterMemory([:]), pool: pool).run(inputs)
        let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2000)
        let untouched = UnsafeMutableBufferPointer<Float>.allocate(capacity: 120)
        defer {
            memory.deallocate()
            untouched.deallocate()
        }
        memory.initialize(repeating: .nan)
        untouched.initialize(repeating: 7)
        let plan = try Plan(
            graph, parameters: ParameterMemory([:]), sums: ["sum": memory, "shared": untouched, "reader": untouched],
            pool: pool
        )
        #expect(plan.summedOutputs == ["sum"])
        let predicted = try Plan.predictedBytes(graph, sums: ["sum", "shared", "reader"], pool: pool)
        #expect(plan.peakBytes == predicted)
        #expect(try Plan.predictedBytes(graph, pool: pool) >= predicted + memory.count * MemoryLayout<Float>.size)
        #expect(plan.outputMemory("sum")!.baseAddress == UnsafeRawPointer(memory.baseAddress!))
        for (name, value) in plan.run(inputs) {
            #expect(relativeError(value.doubles, expected[name]!.doubles) < 1e-6, "\(name)")
        }
        let first = Array(memory)
        #expect(untouched.allSatisfy { $0 == 7 })
        func feed() {
            for (name, value) in inputs {
                plan.inputMemory(name)!.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: value.bytes[..<value.type.byteCount]))
            }
        }
        feed()
        plan.run(accumulating: true)
        #expect(relativeError(memory.map { Double($0) }, expected["sum"]!.doubles.map { 2 * $0 }) < 1e-6)
        feed()
        plan.run(accumulating: false)
        #expect(Array(memory) == first)
    }

    @Test func whatCannotBePlannedIsSaid() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        let x = builder.addInput("x", TensorType(.float32, [2]), batch: nil)
        let w = builder.addParameter("w", TensorType(.float32, [2]))
        builder.origin = Origin(operatorType: "Mystery", name: "layer/m")
        builder.addOutput("y", try builder.multiply(try builder.emit(Incomputable(), x), w))
        let graph = builder.finish()
        let pool = ThreadPool(threads: 1)
        let error = #expect(throws: ExecutionError.self) {
            try Plan(graph, parameters: ParameterMemory(["w": Constant([1, 2] as [Float])]), pool: pool)
        }
        #expect(error?.message == "node 'layer/m' (Mystery): incomputable cannot be computed")
        var other = GraphBuilder(batchSize: 1, evaluator: ConstantFolding.evaluator)
        other.addOutput("w", other.addParameter("w", TensorType(.float32, [2])))
        for values in [[:], ["w": Constant([1, 2, 3] as [Float])]] {
            let error = #expect(throws: ExecutionError.self) {
                try Plan(other.finish(), parameters: ParameterMemory(values), pool: pool)
            }
            #expect(error?.message.contains("'w'") == true)
        }
    }
}

/// An operation that has a shape rule only.
private struct Incomputable: Operation {
    var description: String { "incomputable" }

    func outputTypes(for inputs: [TensorType]) throws(GraphError) -> [TensorType] { inputs }

    func batchFactors(_ inputs: [BatchOperand], outputs: [TensorType]) throws(BatchMixing) -> [BatchFactor?] { [nil] }
}
