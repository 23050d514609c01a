import TensorGraph
import Testing

@Suite struct GraphBuilderTests {
    private func newBuilder(batch: Int = 3) -> GraphBuilder {
        GraphBuilder(batchSize: batch, evaluator: { _, _, _ in nil })
    }

    private let table = TensorType(.float32, [3, 4])

    @Test func equalNodesAreOne() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: nil)
        let y = builder.addInput("y", table, batch: nil)
        let sum = try builder.emit(Elementwise(), x, y)
        #expect(try builder.emit(Elementwise(), x, y) == sum)
        #expect(try builder.emit(Elementwise(), y, x) != sum)
        #expect(try builder.emit(Elementwise(name: "other"), x, y) != sum)
        let totals = try builder.emitAll(Totals(axis: 0), [x])
        #expect(try builder.emitAll(Totals(axis: 0), [x]) == totals && totals.count == 2)
        #expect(try builder.emitAll(Totals(axis: 1), [x]) != totals)
        #expect(builder.graph.nodes.count == 5)
    }

    @Test func constantsFold() throws {
        var builder = GraphBuilder(batchSize: 3) { operation, inputs, types in
            guard let operation = operation as? Elementwise, operation.name == "sum" else { return nil }
            let sums = zip(inputs[0].floatValues, inputs[1].floatValues).map { $0 + $1 }
            return [Constant(sums, shape: types[0].shape)]
        }
        let a = builder.addConstant(Constant([1, 2] as [Float]))
        let b = builder.addConstant(Constant([10, 20] as [Float]))
        let x = builder.addInput("x", TensorType(.float32, [2]), batch: nil)
        let sum = try builder.emit(Elementwise(name: "sum"), a, b)
        #expect(builder.constant(sum)?.floatValues == [11, 22] && builder.graph.nodes.isEmpty)
        let again = try builder.emit(Elementwise(name: "sum"), sum, a)
        #expect(builder.constant(again)?.floatValues == [12, 24])
        #expect(try builder.emit(Elementwise(name: "sum"), a, b) == sum)
        let open = try builder.emit(Elementwise(name: "sum"), a, x)
        let unknown = try builder.emit(Elementwise(name: "unknown"), a, b)
        #expect(builder.constant(open) == nil && builder.constant(unknown) == nil)
        #expect(builder.graph.nodes.count == 2)
    }

    @Test func constantsThatMemoryCannotKeepAreNotFolded() throws {
        var builder = GraphBuilder(batchSize: 1) { _, _, types in
            Issue.record("\(types) is made while the graph is built")
            return nil
        }
        let column = builder.addConstant(Constant([Float](repeating: 1, count: 1 << 15), shape: [1 << 15, 1]))
        let row = builder.addConstant(Constant([Float](repeating: 1, count: 1 << 14), shape: [1 << 14]))
        let table = try builder.emit(Elementwise(), column, row)
        #expect(builder.shape(of: table) == [1 << 15, 1 << 14] && builder.constant(table) == nil)
    }

    @Test func sizesThatCannotBeAreRefused() {
        for side in [1 << 20, 1 << 32] {
            var builder = newBuilder()
            let column = builder.addInput("x", TensorType(.float32, [side, 1]), batch: nil)
            let row = builder.addInput("y", TensorType(.float32, [side]), batch: nil)
            builder.origin = Origin(operatorType: "Add", name: "grid")
            let error = #expect(throws: GraphError.self) { try builder.emit(Elementwise(), column, row) }
            #expect(error?.description.contains("'grid' (Add): a tensor of shape [\(side), \(side)]") == true)
        }
    }

    @Test func shapeErrorsNameTheNode() {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: nil)
        let y = builder.addInput("y", TensorType(.float32, [5]), batch: nil)
        builder.origin = Origin(operatorType: "Add", name: "block/add")
        let error = #expect(throws: GraphError.self) { try builder.emit(Elementwise(), x, y) }
        #expect(error?.description == "node 'block/add' (Add): the shapes do not fit" && error?.kind == .invalid)
    }

    @Test func parametersAreFollowedThroughFloats() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: nil)
        let w = builder.addParameter("w", table)
        let product = try builder.emit(Elementwise(), x, w)
        let test = try builder.emit(Elementwise(name: "test", result: .bool), product)
        let totals = try builder.emitAll(Totals(axis: 0), [product])
        #expect(builder.graph[product].dependsOnParameter && builder.graph[totals[0]].dependsOnParameter)
        #expect(!builder.graph[test].dependsOnParameter && !builder.graph[totals[1]].dependsOnParameter)
        let same = try builder.emit(Elementwise(), x)
        #expect(!builder.graph[same].dependsOnParameter)
    }

    @Test func batchesAreFollowed() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: BatchFactor(axis: 0))
        let w = builder.addParameter("w", TensorType(.float32, [4]))
        let y = try builder.emit(Elementwise(), x, w)
        let totals = try builder.emitAll(Totals(axis: 1), [y])
        #expect(builder.graph[y].batch == .factor(BatchFactor(axis: 0)))
        #expect(
            builder.graph[totals[0]].batch == .factor(BatchFactor(axis: 0)) && builder.graph[totals[1]].batch == .free)
        let free = try builder.emit(Elementwise(), w)
        #expect(builder.graph[free].batch == .free)
        #expect(builder.mixingNodes.isEmpty)
    }

    @Test func mixingIsRecordedOnceWithNodeAndAxis() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: BatchFactor(axis: 0))
        builder.origin = Origin(operatorType: "ReduceSum", name: "pool")
        let mixed = try builder.emitAll(Totals(axis: 0), [x])[0]
        builder.origin = Origin(operatorType: "Add", name: "later")
        let behind = try builder.emit(Elementwise(), x, mixed)
        #expect(builder.graph[mixed].batch == .mixed && builder.graph[behind].batch == .mixed)
        #expect(builder.mixingNodes.map(\.origin.name) == ["pool"])
        let error = builder.mixingNodes[0].error
        #expect(error.kind == .mixesSamples && error.place == "node 'pool' (ReduceSum)")
        #expect(error.message.hasPrefix("mixes the samples of a batch on axis 0: it reduces over the batch, so"))
    }

    @Test func onlyMixingOnTheWayIsBlamed() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: BatchFactor(axis: 0))
        builder.origin = Origin(operatorType: "ReduceSum", name: "aside")
        _ = try builder.emitAll(Totals(axis: 0), [x])
        let y = try builder.emit(Elementwise(), x)  // of the same node of the model as what mixes aside
        builder.origin = Origin(operatorType: "Mul", name: "marked")
        builder.markMixed(y, BatchMixing(axis: nil, "it uses the batch size as a number"))
        builder.markMixed(y, BatchMixing(axis: nil, "it uses the batch size as a number"))
        builder.origin = Origin(operatorType: "Neg", name: "last")
        let z = try builder.emit(Elementwise(name: "negate"), y)
        #expect(builder.graph[z].batch == .mixed)
        #expect(builder.mixingNodes.map(\.origin.name) == ["aside", "marked"])
        #expect(builder.mixingNodes(before: x).isEmpty)
        let blamed = builder.mixingNodes(before: z)
        #expect(blamed.map(\.origin.name) == ["marked"])
        #expect(
            blamed[0].error.description.hasPrefix("node 'marked' (Mul): mixes the samples of a batch it uses the batch")
        )
    }

    @Test func repeatedValuesCanBeDeclaredBatched() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", TensorType(.float32, [3, 1, 4]), batch: BatchFactor(axis: 0))
        let w = builder.addParameter("w", TensorType(.float32, [1, 4]))
        let token = try builder.emit(Repeated(count: 3), w)
        #expect(builder.graph[token].batch == .free)
        builder.markBatched(token, BatchFactor(axis: 0))
        let sum = try builder.emit(Elementwise(), x, token)
        #expect(builder.graph[sum].batch == .factor(BatchFactor(axis: 0)))
        #expect(builder.graph.producer(of: sum)?.inputs == [x, token])
    }

    /// A parameter repeated once per sample by the exporter enters as it was before.
    @Test func copiesPerSampleAreTakenBack() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", TensorType(.float32, [3, 4]), batch: BatchFactor(axis: 0))
        let w = builder.addParameter("w", TensorType(.float32, [4]))
        let sum = try builder.emit(Elementwise(), x, try builder.emit(Repeated(count: 3), w))
        #expect(builder.graph[sum].batch == .factor(BatchFactor(axis: 0)) && builder.mixingNodes.isEmpty)
        let copy = try #require(builder.graph.producer(of: sum)?.inputs[1])
        #expect(builder.shape(of: copy) == [1, 4])
    }

    @Test func aBatchOfOneMixesNothing() throws {
        var builder = newBuilder(batch: 1)
        let x = builder.addInput("x", TensorType(.float32, [1, 4]), batch: BatchFactor(axis: 0))
        let totals = try builder.emitAll(Totals(axis: 0), [x])
        #expect(builder.graph[totals[0]].batch == .factor(BatchFactor(axis: 0, inner: 4)))
        let scalar = try builder.emitAll(Totals(axis: 0), [totals[0]])[0]
        #expect(builder.graph[scalar].batch != .free && builder.mixingNodes.isEmpty)
    }

    @Test func backwardNodesAreNotFollowed() throws {
        var builder = newBuilder()
        let x = builder.addInput("x", table, batch: BatchFactor(axis: 0))
        builder.followsBatch = false
        let total = try builder.emitAll(Totals(axis: 0), [x])[0]
        #expect(builder.graph[total].batch == .free)
        #expect(builder.mixingNodes.isEmpty)
    }
}
