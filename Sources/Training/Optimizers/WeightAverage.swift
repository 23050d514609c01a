import Glibc

/// An exponential moving average of the weights over the steps taken, bias-corrected.
///
/// After T updates with weights w_1 ... w_T the average is
/// sum_t d^(T-t) w_t * (1 - d) / (1 - d^T), a weighted mean of trained iterates only. The initial weights have no part
/// in it: private runs are short, and with d = 0.999 an average that starts from them would, after 300 steps, still be
/// three quarters initial weights. Averaging is post-processing and costs no privacy.
public struct WeightAverage: Sendable {
    /// d, in [0, 1).
    public let decay: Double
    /// Updates so far.
    public internal(set) var updateCount = 0
    var averages: [[Float]]

    /// - Parameter parameterSizes: number of elements of each parameter, in the order in which `update` gets them.
    public init(decay: Double, parameterSizes: [Int]) {
        precondition(decay >= 0 && decay < 1, "decay outside [0, 1)")
        self.decay = decay
        averages = parameterSizes.map { [Float](repeating: 0, count: $0) }
    }

    /// Takes the weights after an optimiser step into the average.
    public mutating func update(_ parameters: [UnsafeBufferPointer<Float>]) {
        precondition(parameters.count == averages.count, "another number of parameters")
        updateCount += 1
        // The corrected average moves by this share towards the newest weights; it is 1 at the first update.
        let share = Float((1 - decay) / (1 - pow(decay, Double(updateCount))))
        for index in parameters.indices {
            let parameter = parameters[index]
            precondition(parameter.count == averages[index].count, "a parameter of another size")
            averages[index].withUnsafeMutableBufferPointer { average in
                for i in parameter.indices { average[i] += share * (parameter[i] - average[i]) }
            }
        }
    }

    /// The averaged weights of one parameter; at least one update must have happened.
    public func average(of parameter: Int) -> [Float] {
        precondition(updateCount > 0, "no weights averaged yet")
        return averages[parameter]
    }
}
