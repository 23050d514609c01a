import Kernels
import Operators
import PrivateGradients
import TensorGraph
import TestSupport
import Testing

/// Samples that must contribute exactly nothing.
@Suite struct LeftOutSampleTests {
    private static let batch = 4
    private static let options = ClippingMode.allCases.filter { $0 != .nonPrivate }.flatMap { mode in
        ClippingStyle.allCases.filter { mode != .ghost || $0 == .flat }.map { style in
            ClippingOptions(mode: mode, function: .automatic(gamma: 0.01), style: style, clippingNorm: 0.5)
        }
    }

    /// Not finite, or an index and a class that do not exist.
    @Test(arguments: PrivateModel.all, [Float.nan, .infinity, -.infinity])
    func samplesThatAreNotFinite(_ model: PrivateModel, _ value: Float) throws {
        let data = model.data(batch: Self.batch, seed: 41)
        let parameters = model.initialValues(seed: 42)
        for options in Self.options {
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
        for options in Self.options + [ClippingOptions(mode: .nonPrivate)] {
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let first = runner.run(data, weights: [1, 1, 0, 0])
            let second = runner.run(mixed, weights: [1, 1, 0, 0])
            #expect(first.sums == second.sums, "\(options.mode.rawValue)")
            #expect(first.factors == second.factors && first.factors.allSatisfy { $0[2...] == [0, 0] })
            let nobody = runner.run(data, weights: [0, 0, 0, 0])
            #expect(nobody.sums.values.allSatisfy { $0.allSatisfy { $0 == 0 } })
        }
    }

    /// The loss is 0 and finite, its gradient 0/0.
    @Test func gradientsThatAreNotFinite() throws {
        let model = PrivateModel(
            name: "length", inputs: [.floats("x") { [$0, 3] }], parameters: [("w", [3, 2])], layers: [["w"]]
        ) { builder, values throws(GraphError) in
            let y = try builder.matmul(values["x"]!, values["w"]!)
            return try builder.unary(.sqrt, try builder.sum(try builder.unary(.square, y), axes: [1]))
        }
        var data = model.data(batch: Self.batch, seed: 61)
        data["x"] = data["x"]!.replacing(0, of: BatchFactor(axis: 0), with: 0)
        let parameters = model.initialValues(seed: 62)
        for options in Self.options {
            let runner = try StepRunner(model, options, parameters: parameters, batch: Self.batch)
            let result = runner.run(data)
            #expect(result.losses[0] == 0 && result.factors.allSatisfy { $0[0] == 0 })
            #expect(result.sums == runner.run(data, weights: [0, 1, 1, 1]).sums)
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
        for var options in Self.options {
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
