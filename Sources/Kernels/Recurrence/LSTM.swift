import CVectorKernels

/// What an LSTM reads in both directions; absent initial states are zero.
public struct LSTMInputs {
    /// R [4 H, H].
    public var weights: UnsafePointer<Float>
    /// Steps of each sequence [N]; all where absent.
    public var lengths: UnsafePointer<Int64>?
    /// h_0 [N, H]
    public var hidden: UnsafePointer<Float>?
    /// c_0 [N, H]
    public var cell: UnsafePointer<Float>?
    /// P [3 H] in the order i, o, f.
    public var peepholes: UnsafePointer<Float>?

    public init(
        weights: UnsafePointer<Float>, lengths: UnsafePointer<Int64>? = nil, hidden: UnsafePointer<Float>? = nil,
        cell: UnsafePointer<Float>? = nil, peepholes: UnsafePointer<Float>? = nil
    ) {
        self.weights = weights
        self.lengths = lengths
        self.hidden = hidden
        self.cell = cell
        self.peepholes = peepholes
    }
}

/// Floats of scratch memory for `lstm` and `lstmGradient`.
public func lstmScratchCount(_ shape: RecurrentShape, threads: Int) -> Int {
    let (n, width) = (shape.hidden, 4 * shape.hidden)
    return shape.sequences * shape.spacing(width) + 7 * threads * n
        + max(PackedMatrix.count(depth: n, columns: width), PackedMatrix.count(depth: width, columns: n))
}

/// The steps of an LSTM, sequences in parallel.
///
/// - Parameters:
///   - projections: x W^T + b of every step, [N, T, 4 H] in the order i, o, f, c.
///   - gates: [N, T, 4 H], what `lstmGradient` needs of the gates; may be `projections`. Undefined behind the end of a
///     sequence.
///   - output: h_t [N, T, H], zero behind the end of a sequence.
///   - cells: c_t [N, T, H], likewise.
///   - lastHidden, lastCell: the states [N, H] after the last step of each sequence.
public func lstm(
    _ cell: LSTMCell, _ shape: RecurrentShape, _ inputs: LSTMInputs, projections: UnsafePointer<Float>,
    gates: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>, cells: UnsafeMutablePointer<Float>,
    lastHidden: UnsafeMutablePointer<Float>, lastCell: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let isFused = cell.isFused(hasPeepholes: inputs.peepholes != nil)
    let weights = PackedMatrix(
        inputs.weights, transposed: true, depth: n, columns: 4 * n, into: scratch, pool: pool)
    let working = scratch + PackedMatrix.count(depth: n, columns: 4 * n)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let recurrent = working + rows.lowerBound * 4 * n
        let spare = working + shape.sequences * 4 * n + part * 4 * n
        let (h, c) = (lastHidden + rows.lowerBound * n, lastCell + rows.lowerBound * n)
        copy(inputs.hidden.map { $0 + rows.lowerBound * n }, to: h, count: rows.count * n)
        copy(inputs.cell.map { $0 + rows.lowerBound * n }, to: c, count: rows.count * n)
        for index in 0..<steps {
            let time = shape.time(index)
            if index == 0, inputs.hidden == nil {
                recurrent.update(repeating: 0, count: rows.count * 4 * n)
            } else {
                weights.multiply(h, lda: n, rows: rows.count, into: recurrent, ldc: 4 * n, adds: false)
            }
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                guard time < shape.length(sequence, inputs.lengths) else {
                    (output + at).update(repeating: shape.filling(sequence, inputs.lengths), count: n)
                    (cells + at).update(repeating: 0, count: n)
                    continue
                }
                let own = gates + 4 * at
                if own != projections + 4 * at { own.update(from: projections + 4 * at, count: 4 * n) }
                if isFused {
                    vector.pointee.lstm_step(
                        own, recurrent + row * 4 * n, c + row * n, cells + at, h + row * n, output + at, Int64(n))
                } else {
                    cell.step(
                        gates: own, recurrent: recurrent + row * 4 * n, state: c + row * n,
                        peepholes: inputs.peepholes, hidden: h + row * n, n: n, scratch: spare)
                    (cells + at).update(from: c + row * n, count: n)
                    (output + at).update(from: h + row * n, count: n)
                }
            }
        }
        shape.invalidate(lastHidden, rows: rows, lengths: inputs.lengths)
        shape.invalidate(lastCell, rows: rows, lengths: inputs.lengths)
    }
}

/// Gradients that arrive at the outputs of `lstm`; absent ones are zero.
public struct LSTMOutputGradients {
    /// [N, T, H]
    public var output: UnsafePointer<Float>?
    /// [N, H]
    public var lastHidden: UnsafePointer<Float>?
    /// [N, H]
    public var lastCell: UnsafePointer<Float>?

    public init(
        output: UnsafePointer<Float>? = nil, lastHidden: UnsafePointer<Float>? = nil,
        lastCell: UnsafePointer<Float>? = nil
    ) {
        self.output = output
        self.lastHidden = lastHidden
        self.lastCell = lastCell
    }
}

/// Backpropagation through time of `lstm`, from the gates and cells that it kept.
///
/// - Parameters:
///   - projections: gradients of the pre-activations, [N, T, 4 H], zero behind the end of a sequence; may be `gates`.
///   - hidden, cell: gradients of the initial states, [N, H].
public func lstmGradient(
    _ cell: LSTMCell, _ shape: RecurrentShape, _ inputs: LSTMInputs, gates: UnsafePointer<Float>,
    cells: UnsafePointer<Float>, gradients: LSTMOutputGradients, projections: UnsafeMutablePointer<Float>,
    hidden: UnsafeMutablePointer<Float>, cell cellGradient: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, pool: ThreadPool
) {
    let (n, steps) = (shape.hidden, shape.steps)
    let isFused = cell.isFused(hasPeepholes: inputs.peepholes != nil)
    let weights = PackedMatrix(
        inputs.weights, transposed: false, depth: 4 * n, columns: n, into: scratch, pool: pool)
    let working = scratch + PackedMatrix.count(depth: 4 * n, columns: n)
    let spacing = shape.spacing(4 * n)
    let parts = min(pool.threadCount, max(shape.sequences, 1))
    pool.forEach(parts) { part, _ in
        let rows = evenPart(part, of: parts, count: shape.sequences)
        let stepGradients = working + rows.lowerBound * spacing
        let spare = working + shape.sequences * spacing + part * 7 * n
        let zeros = spare + 6 * n
        zeros.update(repeating: 0, count: n)
        let (dh, dc) = (hidden + rows.lowerBound * n, cellGradient + rows.lowerBound * n)
        copy(gradients.lastHidden.map { $0 + rows.lowerBound * n }, to: dh, count: rows.count * n)
        copy(gradients.lastCell.map { $0 + rows.lowerBound * n }, to: dc, count: rows.count * n)
        for index in (0..<steps).reversed() {
            let time = shape.time(index)
            for row in 0..<rows.count {
                let sequence = rows.lowerBound + row
                let at = (sequence * steps + time) * n
                let length = shape.length(sequence, inputs.lengths)
                guard time < length else {
                    (projections + 4 * at).update(repeating: 0, count: 4 * n)
                    (stepGradients + row * spacing).update(repeating: 0, count: 4 * n)
                    continue
                }
                if let output = gradients.output { vector.pointee.add_scaled(output + at, dh + row * n, 1, Int64(n)) }
                let previous =
                    if shape.isFirst(time, length: length) {
                        inputs.cell.map { $0 + sequence * n } ?? UnsafePointer(zeros)
                    } else {
                        cells + (sequence * steps + shape.before(time)) * n
                    }
                if isFused {
                    vector.pointee.lstm_step_gradient(
                        gates + 4 * at, cells + at, previous, dh + row * n, dc + row * n, projections + 4 * at,
                        Int64(n))
                } else {
                    cell.stepGradient(
                        gates: gates + 4 * at, cell: cells + at, previous: previous, peepholes: inputs.peepholes,
                        dh: dh + row * n, dc: dc + row * n, out: projections + 4 * at, n: n, scratch: spare)
                }
                (stepGradients + row * spacing).update(from: projections + 4 * at, count: 4 * n)
            }
            if index == 0, inputs.hidden == nil { continue }
            // Rows whose sequence has ended keep their gradient: what they add is zero.
            weights.multiply(stepGradients, lda: spacing, rows: rows.count, into: dh, ldc: n, adds: true)
        }
    }
}

/// Copies, or writes zeros where there is nothing to copy.
func copy(_ source: UnsafePointer<Float>?, to target: UnsafeMutablePointer<Float>, count: Int) {
    if let source {
        target.update(from: source, count: count)
    } else {
        target.update(repeating: 0, count: count)
    }
}
