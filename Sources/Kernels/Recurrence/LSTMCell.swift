import CVectorKernels

/// Long short-term memory (Hochreiter and Schmidhuber 1997; peepholes: Gers et al. 2002), with ONNX's options.
///
///     i = f(a_i + P_i c')    f = f(a_f + P_f c')    g = g(a_c)    c = f c' + i g
///     o = f(a_o + P_o c)     h = o h(c)
///
/// where a = x W^T + b + h' R^T in ONNX's order i, o, f, c, and ' marks the states before the step.
public struct LSTMCell: Hashable, Sendable {
    public var gate: RecurrentActivation
    public var candidate: RecurrentActivation
    public var output: RecurrentActivation
    /// Whether f is 1 - i.
    public var couplesInputAndForget: Bool

    public init(
        gate: RecurrentActivation = RecurrentActivation(.sigmoid),
        candidate: RecurrentActivation = RecurrentActivation(.tanh),
        output: RecurrentActivation = RecurrentActivation(.tanh), couplesInputAndForget: Bool = false
    ) {
        self.gate = gate
        self.candidate = candidate
        self.output = output
        self.couplesInputAndForget = couplesInputAndForget
    }

    /// Whether fused kernels compute the cell; they keep activations, the others pre-activations.
    func isFused(hasPeepholes: Bool) -> Bool { self == LSTMCell() && !hasPeepholes }

    /// One step of one row. `gates` [4 n] holds x W^T + b before, and pre-activations after; `state` is c' before and c
    /// after. `scratch` holds 4 n floats.
    func step(
        gates: UnsafeMutablePointer<Float>, recurrent: UnsafePointer<Float>, state: UnsafeMutablePointer<Float>,
        peepholes: UnsafePointer<Float>?, hidden: UnsafeMutablePointer<Float>, n: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        let (input, forget, new) = (scratch, scratch + n, scratch + 2 * n)
        vector.pointee.add_scaled(recurrent, gates, 1, Int64(4 * n))
        if let peepholes {
            for j in 0..<n {
                gates[j] += peepholes[j] * state[j]
                gates[2 * n + j] += peepholes[2 * n + j] * state[j]
            }
        }
        activate(gates, input: input, forget: forget, new: new, n: n)
        for j in 0..<n { state[j] = forget[j] * state[j] + input[j] * new[j] }
        if let peepholes {
            for j in 0..<n { gates[n + j] += peepholes[n + j] * state[j] }
        }
        gate.apply(gates + n, into: hidden, count: n)
        output.apply(state, into: scratch, count: n)
        for j in 0..<n { hidden[j] *= scratch[j] }
    }

    private func activate(
        _ gates: UnsafePointer<Float>, input: UnsafeMutablePointer<Float>, forget: UnsafeMutablePointer<Float>,
        new: UnsafeMutablePointer<Float>, n: Int
    ) {
        gate.apply(gates, into: input, count: n)
        if couplesInputAndForget {
            for j in 0..<n { forget[j] = 1 - input[j] }
        } else {
            gate.apply(gates + 2 * n, into: forget, count: n)
        }
        candidate.apply(gates + 3 * n, into: new, count: n)
    }

    /// The gradient of one step of one row, from pre-activations `gates` [4 n]: `dh` is used up, `dc` becomes the
    /// gradient of c'. `out` may be `gates`; `scratch` holds 6 n floats.
    func stepGradient(
        gates: UnsafePointer<Float>, cell: UnsafePointer<Float>, previous: UnsafePointer<Float>,
        peepholes: UnsafePointer<Float>?, dh: UnsafeMutablePointer<Float>, dc: UnsafeMutablePointer<Float>,
        out: UnsafeMutablePointer<Float>, n: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        let (input, forget, new) = (scratch, scratch + n, scratch + 2 * n)
        let (value, spare, working) = (scratch + 3 * n, scratch + 4 * n, scratch + 5 * n)
        activate(gates, input: input, forget: forget, new: new, n: n)
        // h = o h(c)
        gate.apply(gates + n, into: value, count: n)
        for j in 0..<n { value[j] *= dh[j] }
        output.gradient(cell, value, into: spare, count: n, scratch: working)
        for j in 0..<n { dc[j] += spare[j] }
        output.apply(cell, into: value, count: n)
        for j in 0..<n { value[j] *= dh[j] }
        gate.gradient(gates + n, value, into: out + n, count: n, scratch: working)
        if let peepholes {
            for j in 0..<n { dc[j] += peepholes[n + j] * out[n + j] }
        }
        // c = f c' + i g
        for j in 0..<n {
            let forgetGradient = dc[j] * previous[j]
            value[j] = dc[j] * new[j] - (couplesInputAndForget ? forgetGradient : 0)
            spare[j] = forgetGradient
        }
        gate.gradient(gates, value, into: out, count: n, scratch: working)
        if couplesInputAndForget {
            (out + 2 * n).update(repeating: 0, count: n)
        } else {
            gate.gradient(gates + 2 * n, spare, into: out + 2 * n, count: n, scratch: working)
        }
        for j in 0..<n { value[j] = dc[j] * input[j] }
        candidate.gradient(gates + 3 * n, value, into: out + 3 * n, count: n, scratch: working)
        for j in 0..<n {
            dc[j] *= forget[j]
            dh[j] = 0
        }
        if let peepholes {
            for j in 0..<n { dc[j] += peepholes[j] * out[j] + peepholes[2 * n + j] * out[2 * n + j] }
        }
    }
}
