import Execution
import Kernels
import ONNXFormat
import TensorGraph
import Testing

@testable import Operators

/// ONNX's Dropout in training mode: y = x * mask / (1 - ratio).
@Suite struct DropoutTests {
    private let batch = 64
    private let width = 100

    /// - Parameter ratio: nil leaves the input out, which stands for 0.5.
    private func plan(_ mode: DropoutMode, ratio: Float? = 0.25, training: Bool = true) throws -> Plan {
        func tensor(_ name: String, _ value: Constant) -> ImportedGraph.Initializer {
            ImportedGraph.Initializer(name: name, dataType: .float32, shape: []) { value }
        }
        let graph = ImportedGraph(
            name: "dropout",
            inputs: [.init(name: "x", dataType: .float32, dimensions: [.symbol("B"), .fixed(width)])],
            outputs: ["y", "mask", "z"].map { .init(name: $0, dataType: .float32, dimensions: nil) },
            initializers: [
                tensor("ratio", Constant([ratio ?? 0] as [Float], shape: [])),
                tensor("training", Constant([training], shape: [])),
            ],
            nodes: ["y", "z"].map { name in
                ImportedNode(
                    name: name, operatorType: "Dropout", opsetVersion: 13,
                    inputs: ["x", ratio == nil ? "" : "ratio", "training"],
                    outputs: name == "y" ? ["y", "mask"] : ["z"])
            })
        let specializer = Specializer(graph, registry: .standard, trainable: [], dropout: mode)
        func sizes(_ batch: Int) -> RunSizes { RunSizes(batchSize: batch, inputShapes: ["x": [batch, width]]) }
        var specialized = try specializer.specialize(sizes(batch), reference: sizes(batch + 1))
        #expect(specialized.builder.mixingNodes.isEmpty)
        for output in specialized.outputs {
            let value = specialized.builder.graph[output.value]
            #expect(value.batch.factor == BatchFactor(axis: 0) || value.constant != nil)
            specialized.builder.addOutput(output.name, output.value)
        }
        return try Plan(
            specialized.builder.finish(), parameters: ParameterMemory([]), pool: ThreadPool(threads: 1))
    }

    private func run(_ plan: Plan) -> (y: [Float], z: [Float], mask: [Int64]) {
        let x = plan.inputMemory("x")!.bindMemory(to: Float.self)
        for index in x.indices { x[index] = Float(index + 1) }
        plan.run()
        return (
            plan.output("y")!.floatValues, plan.output("z")!.floatValues, plan.output("mask")!.int64Values
        )
    }

    @Test(arguments: [0.25, nil] as [Float?])
    func keepsTheMean(_ ratio: Float?) throws {
        let keep = 1 - (ratio ?? 0.5)
        let (y, _, mask) = run(try plan(.drawn(seed: nil), ratio: ratio))
        for (index, value) in y.enumerated() {
            #expect(value == (mask[index] == 1 ? Float(index + 1) * (1 / keep) : 0))
        }
        // Five standard deviations of a share of 6400 elements.
        let share = Float(mask.reduce(0, +)) / Float(mask.count)
        #expect(abs(share - keep) < 5 * (keep * (1 - keep) / Float(mask.count)).squareRoot())
    }

    /// Samples, nodes and runs draw for themselves.
    @Test func masksDiffer() throws {
        let plan = try plan(.drawn(seed: 3))
        let first = run(plan)
        let rows = Set((0..<batch).map { first.mask[$0 * width..<($0 + 1) * width] })
        #expect(rows.count == batch)
        #expect(first.y != first.z)
        #expect(run(plan).y != first.y)
        // A seed repeats the sequence of runs.
        #expect(run(try self.plan(.drawn(seed: 3))).y == first.y)
        #expect(run(try self.plan(.drawn(seed: 4))).y != first.y)
    }

    @Test func dropsNothingOtherwise() throws {
        for plan in [
            try plan(.off), try plan(.drawn(seed: 1), training: false), try plan(.drawn(seed: 1), ratio: 0),
        ] {
            let (y, z, mask) = run(plan)
            #expect(y == (1...batch * width).map(Float.init) && z == y && mask.allSatisfy { $0 == 1 })
        }
    }
}
