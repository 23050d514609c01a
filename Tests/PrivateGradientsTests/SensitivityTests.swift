import Kernels
import Operators
import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// No sample moves the sums by more than C, whatever the model, the mode and the style.
@Suite struct SensitivityTests {
    private static let batch = 4

    /// The clipped gradient of each sample alone, as what is left of the sums when all others are padding.
    private func contributions(_ runner: StepRunner, _ data: [String: Constant]) -> [StepResult] {
        (0..<Self.batch).map { sample in
            runner.run(data, weights: (0..<Self.batch).map { $0 == sample ? 1 : 0 })
        }
    }

    @Test(arguments: PrivateModel.all, [ClippingFunction.abadi, .automatic(gamma: 0.01), .normalized])
    func oneSampleStaysWithinTheThreshold(_ model: PrivateModel, _ function: ClippingFunction) throws {
        let data = model.data(batch: Self.batch, seed: 81)
        let parameters = model.initialValues(seed: 82)
        for clippingNorm in [1e-3, 0.1, 3] {
            for clipping in ModelClipping.all(model, function: function, clippingNorm: clippingNorm) {
                let runner = try StepRunner(model, clipping.options, parameters: parameters, batch: Self.batch)
                let place: Comment = "\(clipping.description), C \(clippingNorm)"
                // The second pass of two-pass clipping rounds small gradients anew.
                let isFlat = clipping.options.style == .flat
                let rounding = clipping.options.mode == .ghost && !isFlat ? 1e-3 : 1e-6
                for result in contributions(runner, data) {
                    #expect(result.sumNorm <= clippingNorm * (1 + rounding), place)
                    for (names, threshold) in zip(clipping.groups, clipping.thresholds) {
                        let norm = norm(names.flatMap { result.sums[$0]! })
                        #expect(norm <= threshold * (1 + rounding), place)
                    }
                }
            }
        }
    }

    /// A bound of AUTO-V is reached: norms that are too large would pass the test above.
    @Test(arguments: PrivateModel.all)
    func normalizedGradientsReachTheThreshold(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 83)
        let parameters = model.initialValues(seed: 84)
        for style in ClippingStyle.allCases {
            let clipping = ModelClipping(
                model, mode: .bookKeeping, function: .normalized, style: style, clippingNorm: 0.3)
            let runner = try StepRunner(model, clipping.options, parameters: parameters, batch: Self.batch)
            for result in contributions(runner, data) {
                for (names, threshold) in zip(clipping.groups, clipping.thresholds) {
                    let reached = norm(names.flatMap { result.sums[$0]! })
                    // A group whose gradient is zero for this sample adds nothing.
                    #expect(reached == 0 || (reached / threshold - 1).magnitude < 1e-5)
                }
            }
        }
    }

    /// Tokens with a common mean many times their differences, and gradients that add up to zero over the tokens: the
    /// Gram matrices cancel (ALGORITHMS, "Cancellation").
    @Test(arguments: [2, 4, 64, 200], [Float(0), 3, 10, 100, 1000])
    func gramsThatCancel(tokens: Int, mean: Float) throws {
        let model = PrivateModel(
            name: "common mean", inputs: [.floats("x") { [$0, tokens, 3] }, .floats("y") { [$0, tokens, 4] }],
            parameters: [("w", [3, 4])], layers: [["w"]]
        ) { builder, values throws(GraphError) in
            let shifted = try builder.unary(.affine(scale: 1, offset: mean), values["x"]!)
            let y = try builder.matmul(shifted, values["w"]!)
            let mean = try builder.emit(Reduction(.mean, axes: [1], keepsAxes: true), y)
            let centred = try builder.subtract(y, mean)
            return try builder.squaredLoss(try builder.unary(.tanh, centred), values["y"], axes: [1, 2])
        }
        try expectTightBound(model, seed: 91)
    }

    /// A table whose gradients as an embedding and as a head are opposite but for a ten-thousandth.
    @Test func sitesThatCancel() throws {
        let model = PrivateModel(
            name: "opposite uses",
            inputs: [
                .integers("tokens", in: 0..<4) { [$0, 3] }, .floats("h") { [$0, 3, 5] },
                .floats("difference") { [$0, 3, 5] },
            ], parameters: [("table", [4, 5])], layers: [["table"]]
        ) { builder, values throws(GraphError) in
            let small = try builder.unary(.affine(scale: 1e-4, offset: 0), values["difference"]!)
            let read = try builder.emit(Gathering(axis: 0), values["table"]!, values["tokens"]!)
            let reads = try builder.sum(
                try builder.multiply(read, try builder.add(values["h"]!, small)), axes: [1, 2])
            let logits = try builder.matmul(values["h"]!, values["table"]!, transposingRight: true)
            let identity = builder.addConstant(
                Constant((0..<16).map { $0 % 5 == 0 ? 1 : 0 } as [Float], shape: [4, 4]))
            let chosen = try builder.emit(Gathering(axis: 0), identity, values["tokens"]!)
            return try builder.subtract(reads, try builder.sum(try builder.multiply(logits, chosen), axes: [1, 2]))
        }
        let data = model.data(batch: Self.batch, seed: 93)
        let parameters = model.initialValues(seed: 94)
        for mode in ClippingMode.allCases where mode != .nonPrivate {
            let options = ClippingOptions(mode: mode, function: .normalized, clippingNorm: 1)
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            for result in contributions(runner, data) {
                #expect(result.sumNorm <= 1 + 3e-6 && result.sumNorm > 0.01, "\(mode.rawValue)")
            }
        }
    }

    /// Gradients scaled to norm 1 have it, but for a hundredth where they cancel; none is longer. The second pass of
    /// two-pass clipping rounds what cancels anew.
    private func expectTightBound(_ model: PrivateModel, seed: UInt64) throws {
        let data = model.data(batch: Self.batch, seed: seed)
        let parameters = model.initialValues(seed: seed + 1)
        for mode in ClippingMode.allCases where mode != .nonPrivate {
            let options = ClippingOptions(mode: mode, function: .normalized, clippingNorm: 1)
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            for result in contributions(runner, data) {
                let rounding = mode == .ghost ? 1e-3 : 3e-6
                #expect(result.sumNorm <= 1 + rounding && result.sumNorm > 0.99, "\(mode.rawValue)")
            }
        }
    }
}
