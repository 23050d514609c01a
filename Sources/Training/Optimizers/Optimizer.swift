public import Kernels

/// The update rule of an optimiser.
public enum UpdateRule: Sendable, Hashable {
    /// w <- w - lr g
    case sgd
    /// v <- mu v + g, starting with v = 0; w <- w - lr v, or with Nesterov's variant w <- w - lr (g + mu v).
    /// No dampening.
    case momentum(_ factor: Double, nesterov: Bool = false)
    /// Kingma & Ba 2015. Weight decay adds to the gradient.
    case adam(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)
    /// Loshchilov & Hutter 2019: Adam with decoupled weight decay, w <- w - lr lambda w before Adam's own update.
    case adamW(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8)

    /// mu by which a gradient goes on moving the weights; 0 where a step moves them by its own gradient or, with Adam, by one
    /// that is scaled anew every step.
    public var momentum: Double { if case .momentum(let factor, _) = self { factor } else { 0 } }

    /// Buffers of the parameter's size that the rule keeps between steps.
    var stateCount: Int {
        switch self {
        case .sgd: 0
        case .momentum: 1
        case .adam, .adamW: 2
        }
    }
}

/// Turns gradients into weight updates, with the semantics of PyTorch's optimisers of the same names.
///
/// Arithmetic is float32 elementwise, with per-step factors (bias correction among them) computed in float64.
/// The result of a step depends on nothing but the steps before it: it is post-processing of the private gradient.
public struct Optimizer: Sendable {
    public let rule: UpdateRule
    /// lambda. Decoupled for AdamW; for all others lambda w is added to the gradient, as in PyTorch.
    public let weightDecay: Double
    /// The least value of Adam's second moment after the variance of the gradients' noise is taken off it; nil to leave the
    /// noise in (Tang, Shpilevskiy and Lecuyer, "DP-AdamBC", 2023).
    public let noiseFloor: Double?
    /// Moving average of that variance, with the second moment's decay and not bias-corrected.
    public internal(set) var meanNoiseVariance = 0.0
    /// Steps taken so far.
    public internal(set) var stepCount = 0
    /// Per parameter: nothing, [velocity], or [first moment, second moment].
    var state: [[[Float]]]

    /// - Parameter parameterSizes: number of elements of each parameter, in the order in which `step` gets them.
    public init(
        _ rule: UpdateRule, weightDecay: Double = 0, noiseFloor: Double? = nil, parameterSizes: [Int]
    ) {
        precondition(weightDecay >= 0, "negative weight decay")
        precondition(noiseFloor ?? 1 > 0, "the floor of a second moment is positive")
        precondition(noiseFloor == nil || rule.stateCount == 2, "only Adam has a second moment")
        self.noiseFloor = noiseFloor
        switch rule {
        case .sgd: break
        case .momentum(let factor, _): precondition(factor >= 0 && factor < 1, "momentum outside [0, 1)")
        case .adam(let beta1, let beta2, let epsilon), .adamW(let beta1, let beta2, let epsilon):
            precondition(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1, "beta outside [0, 1)")
            precondition(epsilon > 0, "epsilon must be positive")
        }
        self.rule = rule
        self.weightDecay = weightDecay
        state = parameterSizes.map { size in
            (0..<rule.stateCount).map { _ in [Float](repeating: 0, count: size) }
        }
    }

    /// Takes one step: every parameter moves by its own gradient times `gradientScale`. Gradients are not changed.
    ///
    /// `noiseVariance` is that of the noise in one element of a scaled gradient. Elements move independently, so the result does not depend on the number of the pool's threads.
    public mutating func step(
        learningRate: Double, parameters: [UnsafeMutableBufferPointer<Float>],
        gradients: [UnsafeBufferPointer<Float>], gradientScale: Float = 1, noiseVariance: Double = 0,
        pool: ThreadPool
    ) {
        precondition(parameters.count == state.count && gradients.count == state.count, "another number of parameters")
        stepCount += 1
        if case .adam(_, let beta2, _) = rule { follow(noiseVariance, beta2) }
        if case .adamW(_, let beta2, _) = rule { follow(noiseVariance, beta2) }
        for index in parameters.indices {
            let (parameter, gradient) = (parameters[index], gradients[index])
            precondition(parameter.count == gradient.count, "a gradient of another size")
            precondition(state[index].allSatisfy { $0.count == parameter.count }, "a parameter of another size")
            let move = movement(learningRate)
            Self.withBuffers(of: &state[index]) { state in
                pool.forRanges(parameter.count, grain: 16_384) { range, _ in
                    move(Elements(range, parameter, gradient, state, gradientScale))
                }
            }
        }
    }

    private mutating func follow(_ noiseVariance: Double, _ beta2: Double) {
        meanNoiseVariance = beta2 * meanNoiseVariance + (1 - beta2) * noiseVariance
    }

    /// Lends the state buffers of one parameter, which an array cannot lend two at a time.
    private static func withBuffers(of state: inout [[Float]], _ body: ([UnsafeMutableBufferPointer<Float>]) -> Void) {
        guard state.count == 2 else {
            if state.isEmpty { body([]) } else { state[0].withUnsafeMutableBufferPointer { body([$0]) } }
            return
        }
        var second: [Float] = []
        swap(&second, &state[1])
        state[0].withUnsafeMutableBufferPointer { first in
            second.withUnsafeMutableBufferPointer { body([first, $0]) }
        }
        swap(&second, &state[1])
    }

    /// A stretch of one parameter with its gradient and state.
    struct Elements {
        let count: Int
        let weights: UnsafeMutablePointer<Float>
        let gradient: UnsafePointer<Float>
        let state: [UnsafeMutablePointer<Float>]
        let scale: Float

        init(
            _ range: Range<Int>, _ weights: UnsafeMutableBufferPointer<Float>, _ gradient: UnsafeBufferPointer<Float>,
            _ state: [UnsafeMutableBufferPointer<Float>], _ scale: Float
        ) {
            count = range.count
            self.weights = weights.baseAddress! + range.lowerBound
            self.gradient = gradient.baseAddress! + range.lowerBound
            self.state = state.map { $0.baseAddress! + range.lowerBound }
            self.scale = scale
        }
    }

    /// This step's update of any stretch.
    private func movement(_ learningRate: Double) -> (Elements) -> Void {
        let (rate, decay) = (Float(learningRate), Float(weightDecay))
        switch rule {
        case .sgd:
            return { elements in
                let weights = elements.weights
                for i in 0..<elements.count {
                    weights[i] -= rate * (elements.scale * elements.gradient[i] + decay * weights[i])
                }
            }
        case .momentum(let factor, let nesterov):
            let mu = Float(factor)
            return { elements in
                let (weights, velocity) = (elements.weights, elements.state[0])
                for i in 0..<elements.count {
                    let slope = elements.scale * elements.gradient[i] + decay * weights[i]
                    velocity[i] = mu * velocity[i] + slope
                    weights[i] -= rate * (nesterov ? slope + mu * velocity[i] : velocity[i])
                }
            }
        case .adam(let beta1, let beta2, let epsilon):
            let moments = Moments(
                beta1, beta2, epsilon, learningRate: learningRate, step: stepCount, noiseFloor: noiseFloor,
                noiseVariance: meanNoiseVariance)
            return { moments.step($0, shrink: 1, decay: decay) }
        case .adamW(let beta1, let beta2, let epsilon):
            let moments = Moments(
                beta1, beta2, epsilon, learningRate: learningRate, step: stepCount, noiseFloor: noiseFloor,
                noiseVariance: meanNoiseVariance)
            let shrink = Float(1 - learningRate * weightDecay)
            return { moments.step($0, shrink: shrink, decay: 0) }
        }
    }
}
