import Kernels
import Operators
import TensorGraph
import Testing

@testable import Execution

/// Memory by hand: every tensor of these graphs fills one 64-byte line.
@Suite struct BufferLayoutTests {
    private static let line = TensorType(.float32, [4, 4])

    private func newBuilder() -> (GraphBuilder, ValueID) {
        var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
        let x = builder.addInput("x", Self.line, batch: nil)
        return (builder, x)
    }

    private func layout(_ builder: GraphBuilder, scratch: [Int: Int] = [:]) -> (Graph, BufferLayout) {
        let graph = builder.finish()
        let bytes = graph.nodes.indices.map { scratch[$0] ?? 0 }
        let layout = BufferLayout(graph, scratchBytes: bytes, sinks: SumSinks(graph, outputs: []))
        #expect(LayoutCheck(graph, layout, scratchBytes: bytes).faults == [])
        return (graph, layout)
    }

    @Test func chainsOverwriteWhatNobodyReadsAgain() throws {
        var (builder, x) = newBuilder()
        let a = try builder.unary(.tanh, x)
        let b = try builder.unary(.sigmoid, a)
        builder.addOutput("b", b)
        let (_, layout) = layout(builder)
        #expect(layout.arenaBytes == 64)
        #expect(layout.storage[b] == layout.storage[x])
    }

    @Test func aLaterReadForbidsOverwriting() throws {
        var (builder, x) = newBuilder()
        let a = try builder.unary(.tanh, x)
        let b = try builder.unary(.sigmoid, a)
        builder.addOutput("sum", try builder.multiply(b, a))
        let (_, layout) = layout(builder)
        // a takes the place of x, b stands beside it, and the product takes the place of either.
        #expect(layout.arenaBytes == 128)
        #expect(layout.storage[a] == layout.storage[x] && layout.storage[b] != layout.storage[a])
    }

    @Test func aNodeThatReadsATensorTwiceDoesNotOverwriteIt() throws {
        var (builder, x) = newBuilder()
        let a = try builder.unary(.tanh, x)
        builder.addOutput("square", try builder.multiply(a, a))
        #expect(layout(builder).1.arenaBytes == 128)
    }

    @Test func aViewKeepsItsTensorAlive() throws {
        var (builder, x) = newBuilder()
        let a = try builder.unary(.tanh, x)
        let view = try builder.view(a, [16])
        let b = try builder.unary(.sigmoid, a)
        builder.addOutput("b", b)
        builder.addOutput("sum", try builder.sum(view, axes: [0]))
        let (graph, layout) = layout(builder)
        #expect(layout.storage[view] == layout.storage[a] && layout.storage[b] != layout.storage[a])
        #expect(graph.nodes.count == 4 && layout.arenaBytes == 192)
    }

    @Test func viewsOfParametersAndConstantsNeedNoMemory() throws {
        var (builder, x) = newBuilder()
        let w = builder.addParameter("w", TensorType(.float32, [16]))
        let c = builder.addConstant(Constant([Float](repeating: 2, count: 16)))
        let matrix = try builder.view(w, [4, 4])
        let other = try builder.view(c, [4, 4])
        builder.addOutput("y", try builder.add(try builder.add(x, matrix), other))
        builder.addOutput("w", matrix)
        let (_, layout) = layout(builder)
        #expect(layout.arenaBytes == 64)
        #expect(layout.storage[matrix] == .parameter("w") && layout.storage[other] == .constant(c))
    }

    @Test func productsAlternateBetweenTwoPlaces() throws {
        var (builder, x) = newBuilder()
        let w = builder.addParameter("w", Self.line)
        var y = x
        for _ in 0..<6 { y = try builder.matmul(y, w) }
        builder.addOutput("y", y)
        #expect(layout(builder).1.arenaBytes == 128)
    }

    @Test func scratchLiesApartFromWhatIsAliveAndIsReused() throws {
        var (builder, x) = newBuilder()
        let w = builder.addParameter("w", Self.line)
        let a = try builder.matmul(x, w)
        builder.addOutput("b", try builder.matmul(a, w))
        let (_, layout) = layout(builder, scratch: [0: 100, 1: 100])
        #expect(layout.arenaBytes == 256)
        #expect(layout.scratchOffsets[0] == layout.scratchOffsets[1])
    }

    @Test func outputsAndInputsOutliveTheRun() throws {
        var (builder, x) = newBuilder()
        let a = try builder.unary(.tanh, x)
        builder.addOutput("x", x)
        builder.addOutput("a", a)
        builder.addOutput("again", a)
        builder.addOutput("b", try builder.unary(.sigmoid, a))
        #expect(layout(builder).1.arenaBytes == 192)
    }

    @Test func inputsThatNobodyReadsHaveMemoryOfTheirOwn() throws {
        var (builder, x) = newBuilder()
        let unread = builder.addInput("unread", Self.line, batch: nil)
        builder.addOutput("y", try builder.unary(.tanh, x))
        let (_, layout) = layout(builder)
        #expect(layout.arenaBytes == 128 && layout.storage[unread] != layout.storage[x])
    }

    @Test func secondOutputsThatNobodyReadHaveMemory() throws {
        var (builder, x) = newBuilder()
        let outputs = try builder.emitAll(RowNormalization(axis: 1, isCentered: true, epsilon: 1e-5), [x])
        builder.addOutput("y", try builder.unary(.tanh, outputs[0]))
        let (_, layout) = layout(builder)
        #expect(layout.storage[outputs[1]] != nil && layout.arenaBytes == 192)
    }

    @Test func emptyTensorsTakeNoRoom() throws {
        var builder = GraphBuilder(batchSize: 1, evaluator: { _, _, _ in nil })
        let x = builder.addInput("x", TensorType(.float32, [0, 4]), batch: nil)
        builder.addOutput("y", try builder.unary(.tanh, x))
        #expect(layout(builder).1.arenaBytes == 0)
    }
}
