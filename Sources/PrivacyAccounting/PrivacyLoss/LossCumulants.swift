import Glibc

/// The cumulant generating function of a composition's privacy loss, K(theta) = log E[exp(theta L); L finite].
struct LossCumulants {
    private struct Step {
        let losses: [Double]
        let logMasses: [Double]
        let count: Double
    }

    private var steps: [Step] = []

    /// Steps composed.
    private(set) var count = 0

    /// Adds `count` steps whose losses have these masses.
    mutating func add(losses: [Double], logMasses: [Double], count: Int) {
        steps.append(Step(losses: losses, logMasses: logMasses, count: Double(count)))
        self.count += count
    }

    mutating func add(_ step: LossMasses, count: Int) {
        var (losses, logMasses) = ([Double](), [Double]())
        for (position, mass) in step.masses.enumerated() where mass > 0 {
            losses.append(step.loss(at: position))
            logMasses.append(log(mass))
        }
        add(losses: losses, logMasses: logMasses, count: count)
    }

    /// K(theta).
    func value(_ theta: Double) -> Double {
        steps.reduce(0) { total, step in
            var largest = -Double.infinity
            for index in step.losses.indices {
                largest = max(largest, theta * step.losses[index] + step.logMasses[index])
            }
            var sum = 0.0
            for index in step.losses.indices {
                sum += exp(theta * step.losses[index] + step.logMasses[index] - largest)
            }
            return total + step.count * (largest + log(sum))
        }
    }

    /// The theta > 0 at which `exponent` of theta and K(theta) is least.
    func minimize(_ exponent: (_ theta: Double, _ cumulant: Double) -> Double, of argument: (Double) -> Double)
        -> (theta: Double, value: Double)
    {
        func at(_ logTheta: Double) -> Double {
            let theta = exp(logTheta)
            let value = exponent(theta, self.value(argument(theta)))
            return value.isNaN ? .infinity : value
        }
        // A coarse scan, then golden section about its best point.
        var best = (at: 0.0, value: Double.infinity)
        for logTheta in stride(from: -14.0, through: 28, by: 1) {
            let value = at(logTheta)
            if value < best.value { best = (logTheta, value) }
        }
        let golden = (5.0.squareRoot() - 1) / 2
        var (low, high) = (best.at - 1, best.at + 1)
        var (left, right) = (high - golden * (high - low), low + golden * (high - low))
        var (leftValue, rightValue) = (at(left), at(right))
        while high - low > 1e-3 {
            if leftValue < rightValue {
                (high, right, rightValue) = (right, left, leftValue)
                left = high - golden * (high - low)
                leftValue = at(left)
            } else {
                (low, left, leftValue) = (left, right, rightValue)
                right = low + golden * (high - low)
                rightValue = at(right)
            }
        }
        return leftValue < rightValue ? (exp(left), leftValue) : (exp(right), rightValue)
    }
}
