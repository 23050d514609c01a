import Glibc

/// Looks for the diagonals c of a strategy that minimise ||c||^2 ||A C^-1||_F^2.
///
/// With generating functions C^-1 is 1 / c(x), so the diagonals of A C^-1 are r = a / c, and the error is
/// sum_k (T - k) r_k^2. Its derivative by c_j is -2 sum_k (T - k) r_k u_{k-j} with u = r / c: a few passes over T numbers.
struct StrategySearch {
    private let bands: Int
    private let workload: [Double]
    private let weights: [Double]

    /// Longer runs take the diagonals of a run of this length, which hardly differ.
    private static let longest = 1 << 13
    private static let iterations = 200
    /// Pairs of steps and gradients that curvature is learnt from.
    private static let memory = 10

    init(bands: Int, steps: Int, workload: BandedStrategy.Workload) {
        self.bands = bands
        let count = min(steps, Self.longest)
        self.workload = workload.diagonals(count)
        weights = (0..<count).map { Double(count - $0) / Double(count) }
    }

    /// The diagonals, the first of them 1, found by L-BFGS from those of (1 - x)^(-1/2), the best where bands are not limited.
    func best() -> [Double] {
        var point = [1.0]
        for lag in 1..<max(bands, 1) { point.append(point[lag - 1] * (Double(lag) - 0.5) / Double(lag)) }
        if bands == 1 { return point }
        var (height, slope) = heightAndSlope(point)
        var pairs: [(step: [Double], change: [Double])] = []
        for _ in 0..<Self.iterations {
            let direction = Self.direction(slope, pairs)
            let descent = Self.dot(direction, slope)
            guard descent < -1e-16 else { break }
            var length = 1.0
            var next = point
            var found = (height: Double.infinity, slope: slope)
            while length > 1e-10 {
                next = zip(point, direction).map { $0 + length * $1 }
                found = heightAndSlope(next)
                if found.height <= height + 1e-4 * length * descent { break }
                length /= 2
            }
            guard found.height < height else { break }
            let pair = (
                step: zip(next, point).map { $0 - $1 }, change: zip(found.slope, slope).map { $0 - $1 }
            )
            if Self.dot(pair.step, pair.change) > 0 { pairs = (pairs + [pair]).suffix(Self.memory) }
            let gain = height - found.height
            (point, height, slope) = (next, found.height, found.slope)
            if gain < 1e-9 { break }
        }
        return point
    }

    /// The mean squared error per step with diagonals scaled to norm 1.
    func value(_ diagonals: [Double]) -> Double {
        let ratio = Self.quotient(workload, diagonals)
        let error = zip(weights, ratio).reduce(0) { $0 + $1.0 * $1.1 * $1.1 }
        return error * Self.dot(diagonals, diagonals)
    }

    /// log of the value, and its derivative with the first diagonal held.
    private func heightAndSlope(_ diagonals: [Double]) -> (height: Double, slope: [Double]) {
        let ratio = Self.quotient(workload, diagonals)
        let weighted = zip(weights, ratio).map { $0 * $1 }
        let error = Self.dot(weighted, ratio)
        let square = Self.dot(diagonals, diagonals)
        guard error.isFinite else { return (.infinity, diagonals.map { _ in 0 }) }
        let second = Self.quotient(ratio, diagonals)
        let slope = diagonals.indices.map { lag in
            if lag == 0 { return 0.0 }
            var sum = 0.0
            for index in lag..<max(lag, ratio.count) { sum += weighted[index] * second[index - lag] }
            return 2 * diagonals[lag] / square - 2 * sum / error
        }
        return (log(error) + log(square), slope)
    }

    /// The coefficients of 1 / c(x).
    static func inverse(_ diagonals: [Double], count: Int) -> [Double] {
        quotient([1] + Array(repeating: 0, count: max(0, count - 1)), diagonals)
    }

    /// The coefficients of a(x) / c(x), as many as `numerator` has.
    private static func quotient(_ numerator: [Double], _ diagonals: [Double]) -> [Double] {
        var result = numerator
        result.withUnsafeMutableBufferPointer { result in
            diagonals.withUnsafeBufferPointer { diagonals in
                for index in result.indices {
                    var rest = result[index]
                    for lag in 1..<max(1, min(diagonals.count, index + 1)) {
                        rest -= diagonals[lag] * result[index - lag]
                    }
                    result[index] = rest / diagonals[0]
                }
            }
        }
        return result
    }

    /// Minus the slope times an inverse Hessian learnt from `pairs`: the two loops of Nocedal (1980).
    private static func direction(_ slope: [Double], _ pairs: [(step: [Double], change: [Double])]) -> [Double] {
        var result = slope.map { -$0 }
        var factors: [Double] = []
        for pair in pairs.reversed() {
            let factor = dot(pair.step, result) / dot(pair.step, pair.change)
            factors.append(factor)
            result = zip(result, pair.change).map { $0 - factor * $1 }
        }
        if let last = pairs.last {
            let scale = dot(last.step, last.change) / dot(last.change, last.change)
            result = result.map { $0 * scale }
        }
        for (pair, factor) in zip(pairs, factors.reversed()) {
            let other = dot(pair.change, result) / dot(pair.step, pair.change)
            result = zip(result, pair.step).map { $0 + (factor - other) * $1 }
        }
        return result
    }

    private static func dot(_ one: [Double], _ other: [Double]) -> Double {
        zip(one, other).reduce(0) { $0 + $1.0 * $1.1 }
    }
}
