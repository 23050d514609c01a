import Testing

@testable import TensorGraph

@Suite struct GraphPassTests {
    private let table = TensorType(.float32, [3, 4])

    /// x -> a -> b -> output, with totals aside of which only the second output is used, and two dead ends.
    private func build() throws -> (builder: GraphBuilder, a: ValueID, b: ValueID, count: ValueID, dead: ValueID) {
        var builder = GraphBuilder(batchSize: 3, evaluator: { _, _, _ in nil })
        let x = builder.addInput("x", table, batch: BatchFactor(axis: 0))
        let w = builder.addParameter("w", TensorType(.float32, [4]))
        builder.origin = Origin(operatorType: "Neg", name: "dead")
        let dead = try builder.emit(Elementwise(name: "dead"), x)
        _ = try builder.emit(Elementwise(name: "dead too"), dead)
        builder.origin = Origin(operatorType: "Add", name: "first")
        let scaled = try builder.emit(Elementwise(name: "scale"), w)
        let a = try builder.emit(Elementwise(), x, scaled)
        builder.origin = Origin(operatorType: "Size", name: "size")
        let count = try builder.emitAll(Totals(axis: 1), [a])[1]
        builder.origin = Origin(operatorType: "Exp", name: "second")
        let b = try builder.emit(Elementwise(name: "exp"), a, builder.addConstant(Constant([2] as [Float], shape: [])))
        builder.addOutput("b", b)
        builder.addOutput("count", count)
        return (builder, a, b, count, dead)
    }

    @Test func pruningKeepsWhatReachesAnOutput() throws {
        let (builder, a, b, count, dead) = try build()
        let graph = builder.finish()
        try builder.graph.checkWellFormed()
        try graph.checkWellFormed()
        #expect(graph.nodes.map(\.origin.name) == ["first", "first", "size", "second"])
        #expect(graph.producer(of: a)?.origin.name == "first" && graph.producer(of: b)?.origin.name == "second")
        #expect(graph.producer(of: count)?.origin.name == "size")
        #expect(graph.producer(of: dead) == nil, "a pruned value has no producer")
        #expect(graph.inputs.map(\.name) == ["x"] && graph.parameters.map(\.name) == ["w"])
        #expect(graph.values.count == builder.graph.values.count)
        #expect(graph.pruned().nodes.count == 4)
    }

    @Test func readersAreCounted() throws {
        let (builder, a, b, _, dead) = try build()
        let graph = builder.finish()
        #expect(graph.readers[a.index] == 2 && graph.readers[b.index] == 1 && graph.readers[dead.index] == 0)
    }

    @Test func dumps() throws {
        let (builder, _, _, _, _) = try build()
        #expect(
            builder.finish().dump == """
                input x: f32[3,4] <axis 0>
                parameter w: f32[4]
                %4 f32[4] = scale(w)  # node 'first' (Add)
                %5 f32[3,4] <axis 0> = combine(x, %4)  # node 'first' (Add)
                %6 f32[3] <axis 0>, %7 i64[] = totals over 1(%5)  # node 'size' (Size)
                %9 f32[3,4] <axis 0> = exp(%5, 2.0)  # node 'second' (Exp)
                output b = %9
                output count = %7

                """)
    }

    @Test func brokenGraphsAreCaught() throws {
        let graph = try build().builder.finish()
        func message(_ breaking: (inout Graph) -> Void) -> String? {
            var broken = graph
            breaking(&broken)
            let error = #expect(throws: GraphError.self) { try broken.checkWellFormed() }
            return error?.description
        }
        #expect(message { $0.nodes.swapAt(1, 2) } == "node 'size' (Size): reads %5 before it is computed")
        #expect(message { $0.nodes.append($0.nodes[1]) } == "node 'first' (Add): %5 is computed twice")
        #expect(message { $0.nodes.removeLast() } == "output 'b': is never computed")
        #expect(
            message { graph in
                let node = graph.nodes[3]
                graph.nodes[3] = Node(
                    operation: Elementwise(name: "exp", result: .float64), inputs: node.inputs, outputs: node.outputs,
                    origin: node.origin)
            } == "node 'second' (Exp): exp does not produce the types that it declares")
        #expect(
            message { graph in
                let node = graph.nodes[2]
                graph.nodes[2] = Node(
                    operation: Totals(axis: 7), inputs: node.inputs, outputs: node.outputs, origin: node.origin)
            } == "node 'size' (Size): there is no axis 7")
    }
}
