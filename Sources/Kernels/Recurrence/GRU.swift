import CVectorKernels

/// Gated recurrent unit (Cho et al. 2014), with ONNX's options.
///
///     z = f(a_z)    r = f(a_r)    n = g(a_n)    h = (1 - z) n + z h'
///
/// where a = x W^T + b + h' R^T in ONNX's order z, r, n; the reset gate works on h' before the recurrent weights of n
/// (a_n = x W^T + b + (r h') R^T), or on what comes out of them (a_n = x W^T + b + r (h' R^T + b_R)).
public struct GRUCell: Hashable, Sendable {
    public var gate: RecurrentActivation
    public var candidate: RecurrentActivation
    /// ONNX's `linear_before_reset`: the reset gate works behind the recurrent weights, as in PyTorch.
    public var resetsBehindWeights: Bool

    public init(
        gate: RecurrentActivation = RecurrentActivation(.sigmoid),
        candidate: RecurrentActivation = RecurrentActivation(.tanh), resetsBehindWeights: Bool
    ) {
        self.gate = gate
        self.candidate = candidate
        self.resetsBehindWeights = resetsBehindWeights
    }

    /// Whether fused kernels compute the cell; they keep activations, the others pre-activations.
    var isFused: Bool { self == GRUCell(resetsBehindWeights: true) }
}

/// What a GRU reads in both directions.
public struct GRUInputs {
    /// R of z, r and n [3 H, H]; without n, [2 H, H], where `candidateWeights` are given.
    public var weights: UnsafePointer<Float>
    /// R of n [H, H] where the reset gate works before it.
    public var candidateWeights: UnsafePointer<Float>?
    /// b_R [3 H] where the reset gate works behind the weights; zero where absent.
    public var bias: UnsafePointer<Float>?
    /// Steps of each sequence [N]; all where absent.
    public var lengths: UnsafePointer<Int64>?
    /// h_0 [N, H], zero where absent.
    public var hidden: UnsafePointer<Float>?

    public init(
        weights: UnsafePointer<Float>, candidateWeights: UnsafePointer<Float>? = nil,
        bias: UnsafePointer<Float>? = nil, lengths: UnsafePointer<Int64>? = nil, hidden: UnsafePointer<Float>? = nil
    ) {
        self.weights = weights
        self.candidateWeights = candidateWeights
        self.bias = bias
        self.lengths = lengths
        self.hidden = hidden
    }
}

/// Floats of scratch memory for `gru` and `gruGradient`.
public func gruScratchCount(_ shape: RecurrentShape, threads: Int) -> Int {
    let (n, width) = (shape.hidden, 3 * shape.hidden)
    return shape.sequences * (shape.spacing(width) + n) + 7 * threads * n
        + PackedMatrix.count(depth: n, columns: n)
        + max(PackedMatrix.count(depth: n, columns: width), PackedMatrix.count(depth: width, columns: n))
}

/// The steps of a GRU, sequences in parallel.
///
/// - Parameters:
///   - projections: x W^T + b of every step, [N, T, 3 H] in the order z, r, n.
///   - gates: [N, T, 3 H], what `gruGradient` needs of the gates; may be `projections`. Undefined behind the end of a
///     sequence.
///   - output: h_t [N, T, H], zero behind the end of a sequence.
///   - candidates: h' R^T + b_R of n, or r h' where the reset gate works before the weights, [N, T, H]; zero behind the
///     end of a sequence.
///   - lastHidden: h [N, H] after the last step of each sequence.
public func gru(
    _ cell: GRUCell, _ shape: RecurrentShape, _ inputs: GRUInputs, projections: UnsafePointer<Float>,
    gates: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>,
    candidates: UnsafeMutablePointer<Float>, lastHidden: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let width = cell.resetsBehindWeights ? 3 * n : 2 * n
    let (weights, candidateWeights, working) = inputs.packed(
        depth: n, columns: width, transposed: true, into: scratch, pool: pool)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let recurrent = working + rows.lowerBound * 4 * n
        let products = recurrent + rows.count * 3 * n
        let spare = working + (shape.sequences * 4 + part * 7) * n
        let h = lastHidden + rows.lowerBound * n
        copy(inputs.hidden.map { $0 + rows.lowerBound * n }, to: h, count: rows.count * n)
        for index in 0..<steps {
            let time = shape.time(index)
            weights.multiply(h, lda: n, rows: rows.count, into: recurrent, ldc: width, adds: false)
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                let (own, from) = (gates + 3 * at, recurrent + row * width)
                guard time < shape.length(sequence, inputs.lengths) else {
                    (output + at).update(repeating: shape.filling(sequence, inputs.lengths), count: n)
                    (candidates + at).update(repeating: 0, count: n)
                    (products + row * n).update(repeating: 0, count: n)
                    continue
                }
                if own != projections + 3 * at { own.update(from: projections + 3 * at, count: 3 * n) }
                if let bias = inputs.bias { vector.pointee.add_scaled(bias, from, 1, Int64(width)) }
                if cell.isFused {
                    vector.pointee.gru_step(own, from, h + row * n, candidates + at, output + at, Int64(n))
                    continue
                }
                vector.pointee.add_scaled(from, own, 1, Int64(2 * n))
                cell.gate.apply(own + n, into: spare, count: n)
                if cell.resetsBehindWeights {
                    (candidates + at).update(from: from + 2 * n, count: n)
                    for j in 0..<n { own[2 * n + j] += spare[j] * from[2 * n + j] }
                    cell.finish(own, state: h + row * n, output: output + at, n: n, scratch: spare)
                } else {
                    for j in 0..<n { products[row * n + j] = spare[j] * h[row * n + j] }
                    (candidates + at).update(from: products + row * n, count: n)
                }
            }
            guard let candidateWeights else { continue }
            candidateWeights.multiply(products, lda: n, rows: rows.count, into: recurrent, ldc: n, adds: false)
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                guard time < shape.length(sequence, inputs.lengths) else { continue }
                let at = (sequence * steps + time) * n
                vector.pointee.add_scaled(recurrent + row * n, gates + 3 * at + 2 * n, 1, Int64(n))
                cell.finish(gates + 3 * at, state: h + row * n, output: output + at, n: n, scratch: spare)
            }
        }
        shape.invalidate(lastHidden, rows: rows, lengths: inputs.lengths)
    }
}

/// Backpropagation through time of `gru`.
///
/// - Parameters:
///   - output, lastHidden: gradients that arrive at the outputs; zero where absent.
///   - projections: gradients of x W^T + b, [N, T, 3 H], zero behind the end of a sequence; may be `gates`.
///   - recurrent: those of h' R^T + b_R [N, T, 3 H], likewise; nil where the reset gate works before the weights, where
///     they are the same.
///   - hidden: gradient of the initial state, [N, H].
public func gruGradient(
    _ cell: GRUCell, _ shape: RecurrentShape, _ inputs: GRUInputs, gates: UnsafePointer<Float>,
    states: UnsafePointer<Float>, candidates: UnsafePointer<Float>, output: UnsafePointer<Float>?,
    lastHidden: UnsafePointer<Float>?, projections: UnsafeMutablePointer<Float>,
    recurrent: UnsafeMutablePointer<Float>?, hidden: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let width = cell.resetsBehindWeights ? 3 * n : 2 * n
    let (weights, candidateWeights, working) = inputs.packed(
        depth: width, columns: n, transposed: false, into: scratch, pool: pool)
    let spacing = shape.spacing(3 * n)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let products = working + rows.lowerBound * n
        let stepGradients = working + shape.sequences * n + rows.lowerBound * spacing
        let spare = working + shape.sequences * (n + spacing) + part * 7 * n
        let zeros = spare + 6 * n
        zeros.update(repeating: 0, count: n)
        let dh = hidden + rows.lowerBound * n
        copy(lastHidden.map { $0 + rows.lowerBound * n }, to: dh, count: rows.count * n)
        for index in (0..<steps).reversed() {
            let time = shape.time(index)
            func previous(_ sequence: Int, _ length: Int) -> UnsafePointer<Float> {
                if !shape.isFirst(time, length: length) {
                    return states + (sequence * steps + shape.before(time)) * n
                }
                return inputs.hidden.map { $0 + sequence * n } ?? UnsafePointer(zeros)
            }
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                let length = shape.length(sequence, inputs.lengths)
                guard time < length else {
                    (projections + 3 * at).update(repeating: 0, count: 3 * n)
                    recurrent.map { ($0 + 3 * at).update(repeating: 0, count: 3 * n) }
                    continue
                }
                if let output { vector.pointee.add_scaled(output + at, dh + row * n, 1, Int64(n)) }
                if cell.isFused {
                    vector.pointee.gru_step_gradient(
                        gates + 3 * at, candidates + at, previous(sequence, length), dh + row * n,
                        projections + 3 * at, recurrent! + 3 * at, Int64(n))
                    continue
                }
                cell.startGradient(
                    gates + 3 * at, previous: previous(sequence, length), dh: dh + row * n, out: projections + 3 * at,
                    n: n, scratch: spare)
                guard let recurrent else { continue }
                let (own, from) = (projections + 3 * at, recurrent + 3 * at)
                cell.gate.apply(gates + 3 * at + n, into: spare, count: n)
                for j in 0..<n {
                    from[2 * n + j] = own[2 * n + j] * spare[j]
                    spare[j] = own[2 * n + j] * candidates[at + j]
                }
                cell.gate.gradient(gates + 3 * at + n, spare, into: own + n, count: n, scratch: spare + n)
                from.update(from: own, count: 2 * n)
            }
            func copyStep(_ from: UnsafePointer<Float>) {
                for row in 0..<rows.count {
                    (stepGradients + row * spacing).update(
                        from: from + ((rows.lowerBound + row) * steps + time) * 3 * n, count: 3 * n)
                }
            }
            if let candidateWeights {
                copyStep(projections)
                candidateWeights.multiply(
                    stepGradients + 2 * n, lda: spacing, rows: rows.count, into: products, ldc: n, adds: false)
                for row in 0..<rows.count {
                    let sequence = rows.lowerBound + row
                    let length = shape.length(sequence, inputs.lengths)
                    guard time < length else { continue }
                    let reset = 3 * (sequence * steps + time) * n + n
                    let state = previous(sequence, length)
                    cell.gate.apply(gates + reset, into: spare, count: n)
                    for j in 0..<n {
                        let product = products[row * n + j]
                        dh[row * n + j] += product * spare[j]
                        spare[j] = product * state[j]
                    }
                    cell.gate.gradient(
                        gates + reset, spare, into: projections + reset, count: n, scratch: spare + n)
                }
            }
            if index == 0, inputs.hidden == nil { continue }
            copyStep(recurrent ?? projections)
            weights.multiply(stepGradients, lda: spacing, rows: rows.count, into: dh, ldc: n, adds: true)
        }
    }
}

extension GRUInputs {
    /// The recurrent weights as `depth` x `columns` matrices, packed into `memory`, and what is left behind them.
    fileprivate func packed(
        depth: Int, columns: Int, transposed: Bool, into memory: UnsafeMutablePointer<Float>, pool: ThreadPool
    ) -> (weights: PackedMatrix, candidates: PackedMatrix?, rest: UnsafeMutablePointer<Float>) {
        let hidden = min(depth, columns)
        let behind = memory + PackedMatrix.count(depth: depth, columns: columns)
        return (
            PackedMatrix(weights, transposed: transposed, depth: depth, columns: columns, into: memory, pool: pool),
            candidateWeights.map {
                PackedMatrix($0, transposed: transposed, depth: hidden, columns: hidden, into: behind, pool: pool)
            }, behind + PackedMatrix.count(depth: hidden, columns: hidden)
        )
    }
}

extension GRUCell {
    /// h = (1 - z) n + z h' from pre-activations; `state` is h' before and h after. `scratch` holds 2 n floats.
    fileprivate func finish(
        _ gates: UnsafePointer<Float>, state: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>, n: Int,
        scratch: UnsafeMutablePointer<Float>
    ) {
        gate.apply(gates, into: scratch, count: n)
        candidate.apply(gates + 2 * n, into: scratch + n, count: n)
        for j in 0..<n {
            state[j] = scratch[n + j] + scratch[j] * (state[j] - scratch[n + j])
            output[j] = state[j]
        }
    }

    /// Gradients of the pre-activations of z and n; `dh` becomes what h' is asked for through z alone. The
    /// pre-activation of r stays where it is. `scratch` holds 4 n floats.
    fileprivate func startGradient(
        _ gates: UnsafePointer<Float>, previous: UnsafePointer<Float>, dh: UnsafeMutablePointer<Float>,
        out: UnsafeMutablePointer<Float>, n: Int, scratch: UnsafeMutablePointer<Float>
    ) {
        let (update, new, value, working) = (scratch, scratch + n, scratch + 2 * n, scratch + 3 * n)
        gate.apply(gates, into: update, count: n)
        candidate.apply(gates + 2 * n, into: new, count: n)
        for j in 0..<n { value[j] = dh[j] * (previous[j] - new[j]) }
        gate.gradient(gates, value, into: out, count: n, scratch: working)
        for j in 0..<n { value[j] = dh[j] * (1 - update[j]) }
        candidate.gradient(gates + 2 * n, value, into: out + 2 * n, count: n, scratch: working)
        for j in 0..<n { dh[j] *= update[j] }
    }
}
