import Kernels
import Operators
import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Samples that must contribute exactly nothing.
@Suite struct LeftOutSampleTests {
    private static let batch = 4

    private static func options(_ model: PrivateModel) -> [ClippingOptions] {
        ModelClipping.all(model, function: .automatic(gamma: 0.01), clippingNorm: 0.5).map(\.options)
    }

    /// Not finite, or an index and a class that do not exist.
    @Test(arguments: PrivateModel.all, [Float.nan, .infinity, -.infinity])
    func samplesThatAreNotFinite(_ model: PrivateModel, _ value: Float) throws {
        let data = model.data(batch: Self.batch, seed: 41)
        let parameters = model.initialValues(seed: 42)
        for options in Self.options(model) {
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let without = runner.run(data, weights: [1, 0, 1, 1])
            for input in model.inputs {
                var poisoned = data
                let isFloat = data[input.name]!.type.elementType == .float32
                poisoned[input.name] = data[input.name]!.replacing(
                    1, of: input.factor, with: isFloat ? value : value > 0 ? 99 : -99)
                let result = runner.run(poisoned)
                let place: Comment = "\(input.name), \(options.mode.rawValue), \(options.style.rawValue)"
                #expect(result.factors == without.factors, place)
                #expect(result.factors.allSatisfy { $0[1] == 0 }, place)
                #expect(result.sums == without.sums, place)
                #expect(result.sumNorm.isFinite && result.sumNorm > 0, place)
            }
        }
    }

    @Test(arguments: PrivateModel.all)
    func paddingOfAnyContent(_ model: PrivateModel) throws {
        let data = model.data(batch: Self.batch, seed: 51)
        let other = model.data(batch: Self.batch, seed: 52)
        let parameters = model.initialValues(seed: 53)
        var mixed = data
        for input in model.inputs {
            let replacement = other[input.name]!.sample(2, of: input.factor).doubles
            mixed[input.name] = data[input.name]!.replacing(2, of: input.factor, with: Float(replacement[0]))
        }
        for options in Self.options(model) + [ClippingOptions(mode: .nonPrivate)] {
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let first = runner.run(data, weights: [1, 1, 0, 0])
            let second = runner.run(mixed, weights: [1, 1, 0, 0])
            #expect(first.sums == second.sums, "\(options.mode.rawValue)")
            #expect(first.factors == second.factors && first.factors.allSatisfy { $0[2...] == [0, 0] })
            let nobody = runner.run(data, weights: [0, 0, 0, 0])
            #expect(nobody.sums.values.allSatisfy { $0.allSatisfy { $0 == 0 } })
        }
    }

    /// |x w| + x v, where the loss of x = 0 is finite, its gradient by w is 0/0 and that by v is finite.
    @Test func gradientsThatAreNotFinite() throws {
        let model = PrivateModel(
            name: "length", inputs: [.floats("x") { [$0, 3] }], parameters: [("w", [3, 2]), ("v", [3, 1])],
            layers: [["w"], ["v"]]
        ) { builder, values throws(GraphError) in
            let square = try builder.unary(.square, try builder.matmul(values["x"]!, values["w"]!))
            let length = try builder.unary(.sqrt, try builder.sum(square, axes: [1], keepingAxes: true))
            let shifted = try builder.unary(.affine(scale: 1, offset: 1), values["x"]!)
            let product = try builder.matmul(shifted, values["v"]!)
            return try builder.sum(try builder.add(length, product), axes: [1])
        }
        var data = model.data(batch: Self.batch, seed: 61)
        data["x"] = data["x"]!.replacing(0, of: BatchFactor(axis: 0), with: 0)
        try expectLeftOut(0, model, data) { $0.isFinite }
    }

    /// What makes the loss infinite does not touch the gradient.
    @Test func lossesThatAreNotFinite() throws {
        let model = PrivateModel(
            name: "shifted loss", inputs: [.floats("x") { [$0, 3] }, .floats("shift") { [$0] }],
            parameters: [("w", [3, 2]), ("b", [2])], layers: [["w", "b"]]
        ) { builder, values throws(GraphError) in
            let y = try builder.linear(values["x"]!, values["w"], values["b"])
            return try builder.add(try builder.sum(try builder.unary(.square, y), axes: [1]), values["shift"]!)
        }
        for value in [Float.nan, .infinity, -.infinity] {
            var data = model.data(batch: Self.batch, seed: 63)
            data["shift"] = data["shift"]!.replacing(2, of: BatchFactor(axis: 0), with: value)
            try expectLeftOut(2, model, data) { !$0.isFinite }
        }
    }

    private func expectLeftOut(
        _ sample: Int, _ model: PrivateModel, _ data: [String: Constant], loss isExpected: (Double) -> Bool
    ) throws {
        let parameters = model.initialValues(seed: 62)
        for options in Self.options(model) {
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let result = runner.run(data)
            #expect(isExpected(result.losses[sample]) && result.factors.allSatisfy { $0[sample] == 0 })
            let others = runner.run(data, weights: (0..<Self.batch).map { $0 == sample ? 0 : 1 })
            #expect(result.sums == others.sums && result.sumNorm > 0)
        }
    }

    @Test(arguments: [ClippingFunction.abadi, .automatic(gamma: 0.01), .normalized, .global(bound: 1)])
    func ignoredTargets(_ function: ClippingFunction) throws {
        let model = PrivateModel.tiedEmbedding
        var data = model.data(batch: Self.batch, seed: 71)
        let parameters = model.initialValues(seed: 72)
        data["y"] = data["y"]!.replacing(3, of: BatchFactor(axis: 0), with: -100)
        var ignored = data
        ignored["y"] = Constant([Int64](repeating: -100, count: data["y"]!.type.count), shape: data["y"]!.type.shape)
        for var options in Self.options(model) {
            options.function = function
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let result = runner.run(data)
            #expect(result.losses[3] == 0 && result.norms![3] == 0)
            let without = runner.run(data, weights: [1, 1, 1, 0])
            for (name, sum) in result.sums { #expect(relativeError(sum, without.sums[name]!) < 1e-6, "\(name)") }
            let nothing = runner.run(ignored)
            #expect(nothing.losses == [0, 0, 0, 0] && nothing.norms == [0, 0, 0, 0])
            #expect(nothing.sums.values.allSatisfy { $0.allSatisfy { $0 == 0 } })
        }
    }
}
