import Execution
import Kernels

/// Compares gradients with central differences of the loss, (L(w + hv) - L(w - hv)) / 2h.
struct FiniteDifferences {
    /// Every direction costs at least two passes over the rows.
    private static let mostParameters = 16
    /// A loss in float32 and kinks of activations allow no more; along random directions it changes little.
    private static let tolerance = 0.1
    private static let randomTolerance = 0.25
    /// Steps relative to the parameter's norm, tried until one agrees: large ones meet curvature and kinks, small ones
    /// the loss's rounding.
    private static let steps = [3e-3, 1e-2, 1e-3, 3e-4]

    private let single: SingleSampleGradients
    private let rows: [Int]
    private(set) var parameterCount = 0

    init(_ single: SingleSampleGradients, rows: [Int]) {
        self.single = single
        self.rows = rows
    }

    /// - Parameter gradient: of the rows' summed loss with respect to one parameter.
    mutating func compare(_ gradient: (String) -> [Double]) throws -> [VerificationReport.Comparison] {
        var along = VerificationReport.Comparison(
            "difference along the gradient", tolerance: Self.tolerance)
        var random = VerificationReport.Comparison(
            "difference along a random direction", tolerance: Self.randomTolerance)
        let names = single.parameters.names
        let norms = Dictionary(uniqueKeysWithValues: names.map { ($0, Self.norm(gradient($0))) })
        let all = norms.values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // The loss does not resolve what hardly changes it.
        let visible = names.filter { norms[$0]! > 1e-2 * all }
        guard !rows.isEmpty, all.isFinite, !visible.isEmpty else { return [] }
        let count = min(visible.count, Self.mostParameters)
        let chosen = (0..<count).map { visible[$0 * visible.count / count] }
        parameterCount = chosen.count
        let generator = SeededRandomGenerator(seed: 1)
        for name in chosen {
            let gradient = gradient(name)
            along.add(try error(name, gradient, along: gradient, scale: norms[name]!), at: name)
            // Sees elements that the gradient leaves out; its own derivative is of the size norm / sqrt(n).
            let signs = gradient.map { _ in generator.next() & 1 == 0 ? 1.0 : -1.0 }
            let scale = norms[name]! / Double(gradient.count).squareRoot()
            random.add(try error(name, gradient, along: signs, scale: scale), at: name)
        }
        return [along, random]
    }

    /// How far the difference is from the derivative, relative to the larger of that and `scale`.
    private func error(
        _ name: String, _ gradient: [Double], along direction: [Double], scale: Double
    ) throws -> Double {
        let length = Self.norm(direction)
        let unit = direction.map { $0 / length }
        let expected = zip(gradient, unit).reduce(0) { $0 + $1.0 * $1.1 }
        let memory = single.parameters[name]
        let original = Array(memory)
        defer { _ = memory.update(fromContentsOf: original) }
        let size = max(Self.norm(original.map(Double.init)), 1e-2 * Double(original.count).squareRoot())
        var best = Double.infinity
        for step in Self.steps {
            let h = step * size
            var losses: [Double] = []
            for sign in [1.0, -1.0] {
                for index in original.indices {
                    memory[index] = Float(Double(original[index]) + sign * h * unit[index])
                }
                losses.append(try single.loss(of: rows))
            }
            let difference = (losses[0] - losses[1]) / (2 * h)
            // What the loss's rounding alone can make of the difference.
            let resolution = 0x1p-22 * (abs(losses[0]) + abs(losses[1])) / (2 * h)
            best = min(best, max(abs(difference - expected) - resolution, 0) / max(scale, abs(expected)))
            if best < Self.tolerance / 10 { break }
        }
        return best
    }

    private static func norm(_ values: [Double]) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
}
