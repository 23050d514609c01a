import Testing

@testable import DPONNX

@Suite struct CheckPageTests {
    /// A chain, a node that passes it by, and a node on its own.
    @Test func layersLieBelowWhatTheyRead() {
        let inputs = [[], [0], [1], [0], [2, 3], [], [4, 5], [4], [4]]
        let layout = GraphLayout(inputs: inputs)
        #expect(layout.layerCount == 5)
        for (node, sources) in inputs.enumerated() {
            for source in sources { #expect(layout.places[source].layer < layout.places[node].layer) }
        }
        for layer in 0..<layout.layerCount {
            let columns = layout.places.filter { $0.layer == layer }.map(\.column).sorted()
            for (left, right) in zip(columns, columns.dropFirst()) { #expect(right - left >= 1 - 1e-9) }
        }
        #expect(layout.places.map(\.column).min() == 0)
        #expect(GraphLayout(inputs: []).layerCount == 0)
    }

    @Test(arguments: ["resnet_group", "bert_torchscript", "scan"])
    func showsEveryNodeThatComputesWithData(_ name: String) throws {
        let model = try ExportedModel(name).load()
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let check = try ModelCheck(model, trainable: names, options: InputOptions())
        #expect(check.nodes.count == model.graph.nodesWithBodies.count)
        #expect(check.nodes.contains { $0.role == .parameters } && check.nodes.contains { $0.role == .gradient })
        #expect(try #require(check.memory).bytesPerSample > 0)
        let page = CheckPage(check, title: "<\(name)>&").html
        #expect(page.contains("This model can be trained privately.") && page.contains("&lt;\(name)&gt;&amp;"))
        for (position, node) in check.nodes.enumerated() {
            #expect(page.contains("id=\"n\(position)\"") == (node.role != .sizes))
        }
        for parameter in names { #expect(page.contains("<td>\(parameter)</td>")) }
        #expect(!page.contains("<script") && !page.contains("http://www.w3.org/1999"))
    }

    /// Nodes in the graphs of control flow count as those around them do, and what holds them does what they do.
    @Test(arguments: [("scan", "Scan"), ("loop", "Loop")])
    func listsNodesInsideNodes(_ name: String, _ holder: String) throws {
        let model = try ExportedModel(name).load()
        let names = try ParameterSelection().names(in: model.repaired, findings: model.parameterFindings())
        let check = try ModelCheck(model, trainable: names, options: InputOptions())
        let outer = try #require(model.graph.nodes.first { $0.operatorType == holder })
        let inner = outer.bodies.flatMap(\.nodesWithBodies)
        #expect(!inner.isEmpty)
        for type in Set(inner.map(\.operatorType)) {
            let row = try #require(check.operators.first { $0.operatorType == type })
            #expect(row.count == model.graph.nodesWithBodies.count { $0.operatorType == type })
        }
        let row = try #require(check.operators.first { $0.operatorType == holder })
        #expect(row.forward == .yes && row.backward == .yes)
        let rows = check.nodes.enumerated().filter { entry in inner.contains { $0.origin.name == entry.element.name } }
        #expect(rows.count == inner.count)
        #expect(rows.contains { $0.element.role == .gradient || $0.element.role == .parameters })
        // The results of the node are those of the graph inside it.
        let place = try #require(check.nodes.firstIndex { $0.name == outer.origin.name })
        #expect(check.nodes[place].role != .forward && check.nodes[place].role != .sizes)
        #expect(check.nodes[place].inputs.contains { source in rows.contains { $0.offset == source } })
        for (position, node) in check.nodes.enumerated() { #expect(node.inputs.allSatisfy { $0 < position }) }
    }

    /// The reason is linked to its node, whose name is only text in the page.
    @Test func linksWhatStandsInTheWay() {
        var check = ModelCheck()
        check.nodes = [
            .init(name: "<b>", operatorType: "MatMul", role: .problem, inputs: [], parameters: [])
        ]
        check.problems = [.init(node: "<b>", operatorType: "MatMul", axis: 0, message: "mixes & more")]
        check.samplesAreIndependent = false
        let page = CheckPage(check, title: "m").html
        #expect(page.contains("cannot be trained privately"))
        #expect(page.contains("<a href=\"#n0\">&lt;b&gt; (MatMul)</a>: mixes &amp; more"))
        #expect(!page.contains("<b>"))
    }
}
