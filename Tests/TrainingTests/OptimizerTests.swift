import Foundation
import Kernels
import Testing

@testable import Training

/// Lines of `name value value ...`.
private func goldens(_ name: String) -> [String: [Double]] {
    var result: [String: [Double]] = [:]
    for line in String(decoding: contents(fixture(name)), as: UTF8.self).split(separator: "\n") {
        let words = line.split(separator: " ")
        result[String(words[0])] = words.dropFirst().map { Double($0)! }
    }
    return result
}

@Suite struct OptimizerTests {
    @Test(
        arguments: [
            ("sgd", UpdateRule.sgd, 0), ("sgd-decay", .sgd, 0.1), ("momentum", .momentum(0.9), 0),
            ("momentum-decay", .momentum(0.9), 0.1), ("nesterov-decay", .momentum(0.9, nesterov: true), 0.1),
            ("adam", .adam(), 0), ("adam-decay", .adam(beta1: 0.8, beta2: 0.95, epsilon: 1e-3), 0.1),
            ("adamw-decay", .adamW(beta1: 0.8, beta2: 0.95, epsilon: 1e-3), 0.1),
        ])
    func agreesWithPyTorch(name: String, rule: UpdateRule, weightDecay: Double) {
        // Two parameters of unequal size, so that state mixed up between them would show.
        var weights = (0..<8).map { (Float($0) - 3.5) / 4 }
        var optimizer = Optimizer(rule, weightDecay: weightDecay, parameterSizes: [3, 5])
        for t in 0..<7 {
            let gradient = (0..<8).map { Float(($0 * 5 + t * 3) % 11 - 5) / 4 }
            weights.withUnsafeMutableBufferPointer { w in
                gradient.withUnsafeBufferPointer { g in
                    optimizer.step(
                        learningRate: 0.05 * Double(t + 1),
                        parameters: [.init(rebasing: w[..<3]), .init(rebasing: w[3...])],
                        gradients: [.init(rebasing: g[..<3]), .init(rebasing: g[3...])], gradientScale: 0.5,
                        pool: ThreadPool(threads: 2))
                }
            }
        }
        let expected = goldens("optimizer_goldens.txt")[name]!
        for (got, want) in zip(weights, expected) { #expect(abs(Double(got) - want) <= 2e-6 * max(1, abs(want))) }
        #expect(expected.count == weights.count)
        #expect(optimizer.stepCount == 7)
    }

    /// Algorithm 1 of Tang, Shpilevskiy and Lecuyer 2023 in double precision; the noise changes from step to step.
    @Test(arguments: [1e-2, 1e-6]) func takesTheNoiseOffTheSecondMoment(floor: Double) {
        let (beta1, beta2) = (0.8, 0.95)
        var weights = (0..<4).map { Float($0) - 1.5 }
        var expected = weights.map(Double.init)
        var (m, v, phi) = ([Double](repeating: 0, count: 4), [Double](repeating: 0, count: 4), 0.0)
        var optimizer = Optimizer(.adam(beta1: beta1, beta2: beta2), noiseFloor: floor, parameterSizes: [4])
        for t in 1...6 {
            let gradient = (0..<4).map { Float(($0 * 5 + t * 3) % 11 - 5) / 4 }
            let noise = 0.02 * Double(t * t)
            weights.withUnsafeMutableBufferPointer { w in
                gradient.withUnsafeBufferPointer { g in
                    optimizer.step(
                        learningRate: 0.05, parameters: [w], gradients: [g], gradientScale: 0.5, noiseVariance: noise,
                        pool: ThreadPool(threads: 1))
                }
            }
            phi = beta2 * phi + (1 - beta2) * noise
            let (first, second) = (1 - pow(beta1, Double(t)), 1 - pow(beta2, Double(t)))
            for i in 0..<4 {
                let g = 0.5 * Double(gradient[i])
                m[i] = beta1 * m[i] + (1 - beta1) * g
                v[i] = beta2 * v[i] + (1 - beta2) * g * g
                expected[i] -= 0.05 * (m[i] / first) / max(v[i] / second - phi / second, floor).squareRoot()
            }
        }
        for (got, want) in zip(weights, expected) { #expect(abs(Double(got) - want) < 2e-4 * max(1, abs(want))) }
    }

    @Test(arguments: LearningRateSchedule.Shape.allCases, [0, 4])
    func schedulesAgreeWithPyTorch(shape: LearningRateSchedule.Shape, warmup: Int) {
        let schedule = LearningRateSchedule(shape, base: 2, warmupSteps: warmup, totalSteps: 10)
        let expected = goldens("schedule_goldens.txt")["\(shape.rawValue)-\(warmup)"]!
        #expect(expected.count == 10)
        for (step, want) in expected.enumerated() { #expect(abs(schedule.rate(at: step) - want) < 1e-12) }
        #expect(schedule.rate(at: 10) == (shape == .constant ? 2 : 0))
    }

    @Test(arguments: [0, 0.5, 0.9])
    func averageIsTheCorrectedWeightedMean(decay: Double) {
        let iterates: [[Float]] = (1...6).map { t in (0..<4).map { Float(($0 * 3 + t * t) % 7) } }
        var average = WeightAverage(decay: decay, parameterSizes: [1, 3])
        for weights in iterates {
            weights.withUnsafeBufferPointer { w in
                average.update([.init(rebasing: w[..<1]), .init(rebasing: w[1...])])
            }
        }
        let got = average.average(of: 0) + average.average(of: 1)
        let shares = (1...6).map { pow(decay, Double(6 - $0)) }
        for element in 0..<4 {
            let sum = zip(shares, iterates).reduce(0) { $0 + $1.0 * Double($1.1[element]) }
            #expect(abs(Double(got[element]) - sum / shares.reduce(0, +)) < 1e-5)
        }
    }
}
