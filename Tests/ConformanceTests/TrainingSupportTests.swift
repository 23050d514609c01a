import Kernels
import ONNXFormat
import TensorGraph
import Testing

@testable import ConformanceTesting
@testable import Operators

/// What the table of operators says of gradients, against what the operations that an operator expands into do.
@Suite struct TrainingSupportTests {
    @Test func theTableSaysWhatOperatorsDo() throws {
        var isDifferentiable: [String: Bool] = [:]
        for test in NodeTestsTests.tests {
            for (name, passes) in try GradientPaths(of: test).passes {
                isDifferentiable[name] = isDifferentiable[name] ?? false || passes
            }
        }
        #expect(isDifferentiable.count > 100)
        // The scale of a dynamic quantisation has a slope, what it rounds has none.
        isDifferentiable["DynamicQuantizeLinear"] = nil
        isDifferentiable["DynamicQuantizeMatMul"] = nil
        for (name, passes) in isDifferentiable.sorted(by: { $0.key < $1.key }) {
            let support = StandardTrainingSupport.support(of: name)
            let says = if case .gradient = support { true } else { false }
            #expect(says == passes, "\(name): the table says \(support)")
        }
    }
}

/// Through which nodes of a model gradients flow from a result to what the node reads.
private struct GradientPaths {
    /// By operator; nodes without an input of float type that the graph computes are left out.
    private(set) var passes: [String: Bool] = [:]

    init(of test: NodeTest) throws {
        let model = try ImportedModel(test)
        var builder = model.builder
        let nodes = builder.graph.nodes
        builder.followsBatch = false
        for group in Dictionary(grouping: nodes, by: \.origin).values {
            let own = Set(group.flatMap(\.outputs))
            let isFloat = { (value: ValueID) in builder.type(of: value).elementType == .float32 }
            let read = Set(group.flatMap(\.inputs)).filter {
                !own.contains($0) && isFloat($0) && builder.constant($0) == nil
            }
            // Equal computations are made once, for the node that comes first.
            let name = group[0].origin.operatorType
            let isShared = read.contains { builder.graph.producer(of: $0)?.origin.operatorType == name }
            guard !read.isEmpty, !isShared, model.firstResult[group[0].origin].map(own.contains) ?? true else {
                continue
            }
            var reached = Set(read)
            var isReached = false
            for node in group {
                for (place, output) in node.outputs.enumerated() where isFloat(output) {
                    var gradients = [ValueID?](repeating: nil, count: node.outputs.count)
                    gradients[place] = builder.addConstant(Constant(builder.type(of: output)) { _ in })
                    for (index, input) in node.inputs.enumerated() where reached.contains(input) {
                        let gradient = try? node.operation.inputGradient(
                            index, of: node, outputGradients: gradients, in: &builder)
                        if gradient != nil { reached.insert(output) }
                    }
                }
                let results = Set(model.results).union(nodes.filter { $0.origin != node.origin }.flatMap(\.inputs))
                if node.outputs.contains(where: { reached.contains($0) && results.contains($0) }) { isReached = true }
            }
            passes[name] = passes[name] ?? false || isReached
        }
    }
}

/// A test's model at the sizes of its inputs, integers among them known.
private struct ImportedModel {
    let builder: GraphBuilder
    let results: [ValueID]
    /// The first output of each node.
    let firstResult: [Origin: ValueID]

    init(_ test: NodeTest) throws {
        var graph = try ModelImporter.importGraph(of: try ONNXModel(path: test.modelPath))
        let inputs = try test.dataSets()[0].inputs(of: try ONNXModel(path: test.modelPath).graph)
        for port in graph.inputs {
            guard let constant = inputs[port.name], constant.type.elementType != .float32 else { continue }
            graph.initializers.append(
                .init(name: port.name, dataType: port.dataType, shape: constant.type.shape) { constant })
        }
        graph.inputs.removeAll { inputs[$0.name]?.type.elementType != .float32 }
        let sizes = RunSizes(
            batchSize: 1, inputShapes: inputs.mapValues(\.type.shape), batchFreeInputs: Set(graph.inputs.map(\.name)))
        let specialized = try Specializer(graph, registry: .standard, trainable: []).specialize(sizes, reference: nil)
        builder = specialized.builder
        results = specialized.outputs.map(\.value)
        firstResult = Dictionary(
            graph.nodes.compactMap { node in
                node.outputs.first.flatMap { specialized[$0] }.map { (node.origin, $0) }
            }, uniquingKeysWith: { first, _ in first })
    }
}
