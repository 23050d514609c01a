import Execution
import Kernels
import Operators
import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Steps whose vocabulary head is computed in blocks, smaller than the batch and the vocabulary.
@Suite struct VocabularyHeadTests {
    private static let batch = 4
    /// Two samples of most models, and no divisor of their classes.
    private static let saving = MemorySaving(headBlock: VocabularyHead.Block(rows: 10, classes: 4))

    private static func clippings(_ model: PrivateModel, clippingNorm: Double) -> [ModelClipping] {
        ModelClipping.all(model, function: .abadi, clippingNorm: clippingNorm).filter {
            $0.options.mode == .bookKeeping || $0.options.mode == .bookKeepingGhost
        }
    }

    @Test(arguments: PrivateModel.heads)
    func stepsAgreeWithFiniteDifferences(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 211)
        let parameters = model.initialValues(seed: 212)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.batch)
        let clippingNorm = 0.8 * oracle.norms(model.parameters.map(\.name)).sorted()[2]
        for clipping in Self.clippings(model, clippingNorm: clippingNorm) {
            let runner = try StepRunner(
                model, clipping.options, parameters: parameters, batch: Self.batch, saving: Self.saving)
            #expect(runner.step.saving == Self.saving)
            #expect(!runner.step.graph.nodes.contains { $0.operation is SampleCrossEntropy })
            try expectAgreement(runner.run(data), runner.step, model, clipping, oracle)
        }
        let options = ClippingOptions(mode: .nonPrivate)
        let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch, saving: Self.saving)
        let result = runner.run(data, weights: [1, 0, 1, 1])
        for (name, _) in model.parameters {
            let sum = oracle.sum(name, factors: [1, 0, 1, 1])
            #expect(relativeError(result.sums[name]!, sum, floor: 0.01) < 5e-5, "sum of \(name)")
        }
    }

    @Test(arguments: PrivateModel.heads)
    func samplesOfSeveralRows(_ model: PrivateModel) throws {
        let shares: [Float] = [0.5, 0.5, 1, 0, 0.25, 0.75]
        let data = model.data(batch: 6, seed: 213)
        let parameters = model.initialValues(seed: 214)
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: 6).joined(2, shares: shares)
        let clippingNorm = oracle.norms(model.parameters.map(\.name)).sorted()[1] * 0.99
        for clipping in Self.clippings(model, clippingNorm: clippingNorm) {
            let runner = try StepRunner(
                model, clipping.options, parameters: parameters, batch: 6, rowsPerSample: 2, saving: Self.saving)
            try expectAgreement(runner.run(data, shares: shares), runner.step, model, clipping, oracle)
        }
    }

    /// What is not finite, or no class, leaves out its sample and no other.
    @Test(arguments: PrivateModel.heads)
    func samplesThatDoNotCount(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 215)
        let parameters = model.initialValues(seed: 216)
        for clipping in Self.clippings(model, clippingNorm: 0.5) {
            let runner = try StepRunner(
                model, clipping.options, parameters: parameters, batch: Self.batch, saving: Self.saving)
            let without = runner.run(data, weights: [1, 0, 1, 1])
            for input in model.inputs where input.name != "tokens" {
                var poisoned = data
                let isFloat = data[input.name]!.type.elementType == .float32
                poisoned[input.name] = data[input.name]!.replacing(
                    1, of: input.factor, with: isFloat ? .nan : 99)
                let result = runner.run(poisoned)
                #expect(result.factors == without.factors && result.factors.allSatisfy { $0[1] == 0 })
                #expect(result.sums == without.sums && result.sumNorm.isFinite && result.sumNorm > 0)
            }
            var ignored = data
            ignored["y"] = data["y"]!.replacing(2, of: BatchFactor(axis: 0), with: -100)
            let result = runner.run(ignored)
            #expect(result.losses[2] == 0 && result.norms![2] == 0)
        }
    }

    /// All positions of a sample have the same hidden state, far from zero, but for the first two, so that output
    /// gradients cancel in the weights'.
    @Test func cancelledNormsAreInstantiated() throws {
        let model = PrivateModel(
            name: "common mean",
            inputs: [.floats("x") { [$0, 14, 3] }, .integers("y", in: 0..<7) { [$0, 14] }],
            parameters: [("head", [3, 7])], layers: [["head"]]
        ) { builder, values throws(GraphError) in
            let logits = try builder.matmul(values["x"]!, values["head"]!)
            return try builder.emit(SampleCrossEntropy(), logits, values["y"]!)
        }
        // Weights of zero make all classes equally likely. Every class is the target of two positions: in turn, or of
        // neighbours.
        var x: [Float] = []
        var targets: [Int64] = []
        for sample in 0..<Self.batch {
            for position in 0..<14 {
                let mean = Float(60 + 30 * sample)
                x += [Float](repeating: position < 2 ? mean + 1 + 0.3 * Float(sample) : mean, count: 3)
                targets.append(Int64(sample % 2 == 0 ? position / 2 : position % 7))
            }
        }
        let data = [
            "x": Constant(x, shape: [Self.batch, 14, 3]), "y": Constant(targets, shape: [Self.batch, 14]),
        ]
        let parameters = ["head": Constant([Float](repeating: 0, count: 21), shape: [3, 7])]
        let oracle = try StepOracle(model, data: data, parameters: parameters, batch: Self.batch)
        let options = ClippingOptions(mode: .bookKeepingGhost, clippingNorm: 0.1)
        let result = try StepRunner(
            model, options, parameters: parameters, batch: Self.batch,
            saving: MemorySaving(headBlock: VocabularyHead.Block(rows: 28, classes: 4))
        ).run(data)
        #expect(relativeError(result.norms!, oracle.norms(["head"])) < 1e-4)
        #expect(result.factors[0].allSatisfy { $0 < 1 })
        #expect(result.sumNorm <= 0.1 * Double(Self.batch) * (1 + 3e-6))
    }

    /// Blocks of ordinary size, which divide neither the vocabulary nor the rows, against all logits at once.
    @Test(arguments: [true, false]) func largeVocabulariesAgreeWithKeptLogits(isTied: Bool) throws {
        let model = PrivateModel.language(classes: 2100, width: 6, positions: 40, isTied: isTied)
        let data = model.data(batch: 3, seed: 217)
        let parameters = model.initialValues(seed: 218)
        for clipping in Self.clippings(model, clippingNorm: 0.01) {
            func run(_ saving: MemorySaving) throws -> (PrivateStep, StepResult) {
                let runner = try StepRunner(model, clipping.options, parameters: parameters, batch: 3, saving: saving)
                return (runner.step, runner.run(data))
            }
            let (kept, expected) = try run(MemorySaving())
            let (saving, result) = try run(.headInBlocks)
            #expect(saving.saving == .headInBlocks && kept.saving == MemorySaving())
            #expect(saving.groups.map(Set.init) == kept.groups.map(Set.init), "\(clipping.description)")
            #expect(relativeError(result.losses, expected.losses) < 1e-6)
            #expect(relativeError(result.norms!, expected.norms!) < 1e-5)
            for (own, other) in zip(result.factors, expected.factors) { #expect(relativeError(own, other) < 1e-5) }
            #expect(result.factors.allSatisfy { $0.contains { $0 < 1 } })
            for (name, sum) in expected.sums {
                #expect(relativeError(result.sums[name]!, sum) < 2e-5, "\(clipping.description), \(name)")
            }
        }
    }

    /// The vocabulary of GPT-2: of two matrices of logits for four samples nothing is left.
    @Test(arguments: [true, false]) func logitsTakeNoMemory(isTied: Bool) throws {
        let model = PrivateModel.language(classes: 50257, width: 64, positions: 128, isTied: isTied)
        let forward = try model.forward(batch: 4)
        let pool = ThreadPool(threads: 2)
        func bytes(_ mode: ClippingMode, _ saving: MemorySaving) throws -> Int {
            let step = try PrivateStep(
                forward.builder, loss: forward.loss, options: ClippingOptions(mode: mode), saving: saving)
            let sums = Set(model.parameters.map { PrivateStep.sum(of: $0.name) })
            return try Plan.predictedBytes(step.graph, sums: sums, pool: pool)
        }
        let logits = 4 * 128 * 50257 * MemoryLayout<Float>.size
        for mode in [ClippingMode.bookKeeping, .nonPrivate] {
            #expect(try bytes(mode, MemorySaving()) > logits)
            #expect(try bytes(mode, .headInBlocks) < logits / 10, "\(mode)")
        }
    }

    /// A bias behind a slice is a layer of its own, and stays one.
    @Test func groupsDoNotDependOnHowLogitsAreComputed() throws {
        let model = PrivateModel(
            name: "bias behind a slice",
            inputs: [.floats("x") { [$0, 3, 3] }, .integers("y", in: 0..<7) { [$0, 2] }],
            parameters: [("head", [3, 7]), ("bias", [7])], layers: [["head"], ["bias"]]
        ) { builder, values throws(GraphError) in
            let logits = try builder.matmul(values["x"]!, values["head"]!)
            let shifted = try builder.slice(logits, axis: 1, 0..<2)
            return try builder.emit(SampleCrossEntropy(), try builder.add(shifted, values["bias"]!), values["y"]!)
        }
        let forward = try model.forward(batch: 2)
        let step = try PrivateStep(
            forward.builder, loss: forward.loss, options: ClippingOptions(style: .layerWise), saving: Self.saving)
        #expect(step.groups == [["head"], ["bias"]] && step.saving == MemorySaving())
    }

    /// Logits that something else reads, scaled ones and those of few classes are kept, and the step says so.
    @Test func otherHeadsStayAsTheyAre() throws {
        let scaled = PrivateModel(
            name: "", inputs: [.floats("x") { [$0, 3] }, .labels(classes: 9)], parameters: [("w", [3, 9])], layers: []
        ) { builder, values throws(GraphError) in
            let logits = try builder.unary(.tanh, try builder.matmul(values["x"]!, values["w"]!))
            return try builder.classLoss(logits, values["y"])
        }
        let few = PrivateModel(
            name: "", inputs: [.floats("x") { [$0, 3] }, .labels(classes: 4)], parameters: [("w", [3, 4])], layers: []
        ) { builder, values throws(GraphError) in
            try builder.classLoss(try builder.matmul(values["x"]!, values["w"]!), values["y"])
        }
        for model in [scaled, few] {
            let forward = try model.forward(batch: 2)
            let step = try PrivateStep(
                forward.builder, loss: forward.loss, options: ClippingOptions(), saving: Self.saving)
            #expect(step.saving == MemorySaving())
        }
        let head = try PrivateModel.classHead.forward(batch: 2)
        for mode in [ClippingMode.ghost, .instantiate] {
            let step = try PrivateStep(
                head.builder, loss: head.loss, options: ClippingOptions(mode: mode), saving: Self.saving)
            #expect(step.saving == MemorySaving())
        }
    }
}
