import DPONNX
import Testing

/// A language model whose logits do not fit into the memory that is allowed, however small the batch.
@Suite struct LargeVocabularyTests {
    private static let (classes, width, positions, rows) = (3000, 4, 64, 3)
    private let pool = ThreadPool(threads: 2)
    private let loss = LossSpecification()
    private let clipping = ClippingOptions(clippingNorm: 0.02)

    /// logits = tanh(table[tokens] m) table^T.
    private func model() throws -> TrainableModel {
        var seed: UInt32 = 1
        func tensor(_ name: String, _ shape: [Int]) -> ImportedGraph.Initializer {
            let values = (0..<shape.reduce(1, *)).map { _ in
                seed = seed &* 1_664_525 &+ 1_013_904_223
                return Float(seed >> 8) / Float(1 << 23) - 1
            }
            return ImportedGraph.Initializer(name: name, dataType: .float32, shape: shape) {
                Constant(values, shape: shape)
            }
        }
        func node(_ type: String, _ inputs: [String], _ output: String) -> ImportedNode {
            ImportedNode(name: output, operatorType: type, opsetVersion: 17, inputs: inputs, outputs: [output])
        }
        let graph = ImportedGraph(
            name: "language",
            inputs: [
                .init(name: "tokens", dataType: .int64, dimensions: [.symbol("B"), .fixed(Self.positions)])
            ],
            outputs: [.init(name: "logits", dataType: .float32, dimensions: nil)],
            initializers: [tensor("table", [Self.classes, Self.width]), tensor("m", [Self.width, Self.width])],
            nodes: [
                node("Gather", ["table", "tokens"], "read"), node("MatMul", ["read", "m"], "mixed"),
                node("Tanh", ["mixed"], "hidden"), node("Transpose", ["table"], "head"),
                node("MatMul", ["hidden", "head"], "logits"),
            ])
        let sizes = try InputSizes(graph, sampleShapes: ["tokens": [Self.positions]], batchAxes: [:], dimensions: [:])
        return try TrainableModel(graph, registry: .standard, trainable: ["table", "m"], sizes: sizes)
    }

    private func data() throws -> DataSet {
        let shape = [Self.rows, Self.positions]
        func array(_ name: String, _ value: (Int) -> Int) -> NamedArray {
            NamedArray(name: name, shape: shape, values: (0..<Self.rows * Self.positions).map { Int64(value($0)) })
        }
        return try DataSet(
            arrays: [
                array("tokens") { $0 * 977 % Self.classes },
                array("labels") { $0 % 5 == 0 ? -100 : $0 * $0 * 31 % Self.classes },
            ], targetKey: "labels")
    }

    private func batch(within memoryLimit: Int) throws -> PhysicalBatch {
        try PhysicalBatch(
            wished: nil, expectedBatchSize: Self.rows, memoryLimit: memoryLimit, model: model(), loss: loss,
            clipping: clipping, data: data(), pool: pool)
    }

    /// Logits of two rows, the smallest batch, take 1500 KiB, and the contraction scales as much.
    @Test func logitsAreKeptAsLongAsTheSmallestBatchFits() throws {
        let roomy = try batch(within: 1 << 30)
        #expect(roomy.rows == Self.rows && roomy.saving == MemorySaving())
        let small = try batch(within: 3400 << 10)
        #expect(small.rows == 2 && small.saving == MemorySaving())
        #expect(try batch(within: 700 << 10).saving == .headInBlocks)
        let error = #expect(throws: ExecutionError.self) { try batch(within: 100 << 10) }
        #expect("\(error!)".contains("raise --memory-limit"))
    }

    /// Against gradients of rows alone, whose logits are kept.
    @Test func blocksGiveTheSameGradients() throws {
        let report = try GradientVerifier(
            model(), loss: loss, clipping: clipping, data: data(), samples: Self.rows, memoryLimit: 700 << 10,
            pool: pool
        ).verify()
        #expect(report.passes, "\(report.comparisons.filter { !$0.passes })")
        #expect(report.samples == Self.rows && report.comparisons.allSatisfy { $0.count > 0 })
    }
}
