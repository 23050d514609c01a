import Glibc

/// One step of Adam's moment estimates with exact bias correction (Kingma & Ba 2015, algorithm 1):
/// m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, w <- w - lr m_hat / (sqrt(v_hat) + epsilon), where
/// m_hat = m / (1 - b1^t) and v_hat = v / (1 - b2^t).
///
/// With a noise floor f the denominator is sqrt(max(v_hat - phi, f)), where phi is the mean variance of the noise in g, by
/// which noise makes v_hat too large (Tang, Shpilevskiy and Lecuyer 2023, algorithm 1).
struct Moments {
    private let keep1: Float
    private let keep2: Float
    private let take1: Float
    private let take2: Float
    private let rate: Float
    private let inverseRoot: Float
    private let epsilon: Float
    /// phi, bias-corrected, and f.
    private let noise: (variance: Float, floor: Float)?

    /// `step` is t, counted from 1.
    init(
        _ beta1: Double, _ beta2: Double, _ epsilon: Double, learningRate: Double, step: Int,
        noiseFloor: Double?, noiseVariance: Double
    ) {
        precondition(step >= 1)
        keep1 = Float(beta1)
        keep2 = Float(beta2)
        take1 = Float(1 - beta1)
        take2 = Float(1 - beta2)
        rate = Float(learningRate / (1 - pow(beta1, Double(step))))
        inverseRoot = Float(1 / (1 - pow(beta2, Double(step))).squareRoot())
        self.epsilon = Float(epsilon)
        noise = noiseFloor.map { (Float(noiseVariance / (1 - pow(beta2, Double(step)))), Float($0)) }
    }

    /// Moves weights; they are first multiplied by `shrink`, and `decay` times they are added to the gradient.
    func step(_ elements: Optimizer.Elements, shrink: Float, decay: Float) {
        let (weights, first, second) = (elements.weights, elements.state[0], elements.state[1])
        for i in 0..<elements.count {
            let weight = weights[i] * shrink
            let slope = elements.scale * elements.gradient[i] + decay * weight
            first[i] = keep1 * first[i] + take1 * slope
            second[i] = keep2 * second[i] + take2 * (slope * slope)
            let scale =
                if let noise {
                    max(second[i] * (inverseRoot * inverseRoot) - noise.variance, noise.floor).squareRoot()
                } else { second[i].squareRoot() * inverseRoot + epsilon }
            weights[i] = weight - rate * first[i] / scale
        }
    }
}
